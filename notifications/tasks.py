"""Celery's doors into the outbox."""

from uuid import UUID

from celery import shared_task
from django.conf import settings

from . import fallback, outbox, retention
from .standby import LeftBehind

left_behind = LeftBehind(settings.CELERY_WORKER_CONCURRENCY)


@shared_task
def deliver(*notification_ids: str) -> None:
    """Send notifications. Being lost or doubled is harmless: the rows are the truth."""
    outbox.deliver_all(map(UUID, notification_ids))


@shared_task
def fall_back(notification_id: str) -> None:
    """Find another way to the person of a page that failed. Being lost or doubled is harmless."""
    fallback.fall_back(UUID(notification_id))


@shared_task
def sweep() -> None:
    """Every second: wake what is due."""
    outbox.sweep()


@shared_task
def deliver_left_behind() -> None:
    """Every second in each sender, by its standby: send what no wake-up came for."""
    left_behind.look()


@shared_task
def remove_old_pages() -> None:
    """Every quarter of an hour: remove pages that are older than the installation wants to keep."""
    retention.remove_old(days=settings.PAGE_RETENTION_DAYS)
