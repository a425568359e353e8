"""Celery's doors into incidents."""

from celery import shared_task
from django.conf import settings

from . import lifecycle, on_call_watch, once, retention
from .live.log import prune


@shared_task
def wake_snoozed() -> None:
    """Every second: open the incidents whose snooze has ended."""
    while lifecycle.wake_snoozed() == lifecycle.WAKE_BATCH:
        pass


@shared_task
def tell_on_call() -> None:
    """Every five seconds: tell open pages who is on call now, where that is somebody else than before."""
    on_call_watch.tell_changes()


@shared_task
def forget_what_was_told() -> None:
    """Every minute: remove live events that nobody comes back for, and keys of actions that nobody asks for again."""
    prune()
    once.forget_old()


@shared_task
def remove_old_entries() -> None:
    """Some times a day: thin the timelines that are older than the installation wants to keep."""
    retention.remove_old_entries(days=settings.TIMELINE_RETENTION_DAYS)
