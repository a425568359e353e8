"""Celery's doors into the outbox."""

from uuid import UUID

from celery import shared_task

from . import chat, outbox


@shared_task
def deliver(notification_id: str) -> None:
    """Send one notification. Being lost or doubled is harmless: the row is the truth."""
    outbox.deliver(UUID(notification_id))


@shared_task
def sweep() -> None:
    """Every second: wake what is due."""
    outbox.sweep()


@shared_task
def tell_slack(response_url: str, answer: str) -> None:
    """Put the words of an answer where a button was pressed. Being lost leaves the old message there."""
    chat.tell_slack(response_url, answer)
