"""Celery's doors into alerts."""

from celery import shared_task
from django.conf import settings

from . import flapping, heartbeats, maintenance_announcements, maintenance_series, noise, release, retention


@shared_task
def expire_heartbeats() -> None:
    """Every second: fire alerts for the heartbeats that are late."""
    heartbeats.tick()


@shared_task
def release_held() -> None:
    """Every second: make alerts of what rules held back, once it has lasted."""
    release.release_due()


@shared_task
def remove_old_alerts() -> None:
    """Every five minutes: remove what is older than the installation wants to keep."""
    retention.remove_old(days=settings.ALERT_RETENTION_DAYS)
    retention.remove_old_changes(days=settings.ALERT_RETENTION_DAYS)


@shared_task
def settle_flapping() -> None:
    """Every ten seconds: resolve what has flapped and is quiet now."""
    flapping.settle()


@shared_task
def announce_maintenance() -> None:
    """Every few seconds: tell open pages which windows have begun or ended."""
    maintenance_announcements.announce()


@shared_task
def plan_maintenance() -> None:
    """Every hour: make the windows of the weeks ahead for what comes again."""
    maintenance_series.plan()


@shared_task
def count_noise() -> None:
    """Every hour: count the months that are over, for reports."""
    noise.count_months(keep_days=settings.ALERT_RETENTION_DAYS)
