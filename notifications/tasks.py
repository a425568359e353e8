"""Celery's doors into the outbox."""

from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import celeryd_after_setup
from django.conf import settings

from . import chat, counted_pages, fallback, messages, outbox, retention, subscriber_mail, webhooks
from .standby import LeftBehind

left_behind = LeftBehind(settings.CELERY_WORKER_CONCURRENCY)


@celeryd_after_setup.connect
def make_ready(instance: Any, **_: Any) -> None:
    """A sender loads what messages are made of before it takes pages: the first of them have no time for it."""
    if "delivery" in instance.app.amqp.queues.consume_from:
        messages.load()


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


@shared_task
def count_pages() -> None:
    """Every hour: count the pages of months that are over, for reports."""
    counted_pages.count_months()


@shared_task
def tell_slack(response_url: str, answer: str) -> None:
    """Put the words of an answer where a button was pressed. Being lost leaves the old message there."""
    chat.tell_slack(response_url, answer)


@shared_task
def deliver_subscriber_mail() -> None:
    """Every other second, and when there is something new: send it. Being lost or doubled is harmless."""
    subscriber_mail.deliver_due()


@shared_task
def remove_old_subscriber_mail() -> None:
    """Now and then: addresses are not kept for ever."""
    subscriber_mail.remove_old()


@shared_task
def deliver_webhook(delivery_id: str) -> None:
    """Call one webhook. Being lost or doubled is harmless: the row is the truth."""
    webhooks.deliver(UUID(delivery_id))


@shared_task
def sweep_webhooks() -> None:
    """Every other second: wake what is due."""
    webhooks.sweep()


@shared_task
def remove_old_webhook_deliveries() -> None:
    """Now and then: the log does not grow for ever."""
    webhooks.remove_old()
