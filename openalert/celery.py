"""The Celery application of workers and beat."""

import logging.config
import os
from types import FrameType
from typing import Any

from celery import Celery, platforms
from celery.beat import Service
from celery.signals import beat_init, setup_logging, worker_ready
from django.conf import settings
from kombu.transport.virtual import QoS

from . import figures, task_context
from .standby import Standby

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "openalert.settings")
task_context.connect()

app = Celery("openalert")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Standby)

# A wake-up that was not carried out is not given back to the broker: the row is found without it. When the broker was
# lost, giving back ends the whole worker (kombu 5.7.0: the closed channel has no address any more).
QoS.restore_at_shutdown = False


@setup_logging.connect
def log_as_django_does(**_: Any) -> None:
    """Keeps Celery from putting its own handlers and levels in the place of LOGGING."""
    logging.config.dictConfig(settings.LOGGING)


@worker_ready.connect
def introduce_worker(sender: Any = None, **_: Any) -> None:
    """The page of queues shows which workers there are, and whose queues they take from."""
    queues = list(sender.app.amqp.queues.consume_from)
    figures.reporter.introduce("sender" if queues == ["delivery"] else "worker", queues)


@beat_init.connect
def introduce_beat(**_: Any) -> None:
    figures.reporter.introduce("beat")


@beat_init.connect
def end_beat_between_ticks(sender: Service, **_: Any) -> None:
    """Celery's own handlers of these signals write to the database. In the middle of a query that waits forever for the
    connection's lock, which the query holds."""

    def end(number: int, frame: FrameType | None) -> None:
        if sender._is_shutdown.is_set():
            raise SystemExit  # asked twice
        sender._is_shutdown.set()

    platforms.signals.update(SIGTERM=end, SIGINT=end)
