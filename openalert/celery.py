"""The Celery application of workers and beat."""

import logging.config
import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings

from .standby import Standby

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

app = Celery("openalert")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Standby)


@setup_logging.connect
def log_as_django_does(**_: Any) -> None:
    """Keeps Celery from putting its own handlers and levels in the place of LOGGING."""
    logging.config.dictConfig(settings.LOGGING)
