"""The Celery application of workers and beat."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")

app = Celery("openalert")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
