"""Celery's doors into alerts."""

from celery import shared_task

from . import heartbeats


@shared_task
def expire_heartbeats() -> None:
    """Every second: fire alerts for the heartbeats that are late."""
    heartbeats.tick()
