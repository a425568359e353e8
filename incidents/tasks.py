"""Celery's doors into incidents."""

from celery import shared_task

from . import lifecycle


@shared_task
def wake_snoozed() -> None:
    """Every second: open the incidents whose snooze has ended."""
    while lifecycle.wake_snoozed() == lifecycle.WAKE_BATCH:
        pass
