"""Celery's doors into incidents."""

from uuid import UUID

from celery import shared_task
from django.conf import settings

from . import lifecycle, on_call_watch, once, retention
from .live.log import prune
from .reports import mail, schedules


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


@shared_task
def send_report(schedule_id: str) -> None:
    """By a report's own periodic task: mail it. Doing it again on the same day sends nothing."""
    mail.send_by_schedule(UUID(schedule_id))


@shared_task
def tend_reports() -> None:
    """Every few minutes: give new teams their reports, and try again what could not be mailed."""
    schedules.add_missing()
    while mail.send_failed() == mail.BATCH:
        pass
