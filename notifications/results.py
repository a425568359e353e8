"""Writing down what became of a message: of its notifications, of the contact method, and of the provider."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from incidents import rooms, timeline
from incidents.enums import Kind

from . import accounts, backoff, contacts, dead_letters, notices
from .enums import AttemptStatus, Channel, Hold, NotificationStatus, Purpose
from .exceptions import DeliveryError
from .leases import PATIENCE, Lease, held_by, want_fallback
from .models import DeliveryAttempt, Notification
from .transports import TRANSPORTS, Message

logger = logging.getLogger(__name__)

# What was sent must not be sent again because the database is away just then.
PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
# “Later” is no failure of the message, but it is not to be asked for ever.
MOST_UNCOUNTED = 100


@dataclass(frozen=True)
class Failure:
    """Why a message was not taken, as its transport says."""

    error: str
    permanent: bool = False
    retry_after: timedelta | None = None
    breaks_method: bool = False
    is_ours: bool = False  # not even handed to the transport: nothing is said about the provider

    @classmethod
    def of(cls, error: DeliveryError) -> "Failure":
        return cls(str(error), error.permanent, error.retry_after, error.breaks_method)


def finish_surely(
    lease: Lease, *, provider_id: str = "", failure: Failure | None = None, message: Message | None = None
) -> list[Notification]:
    """`finish`, again and again while the database is away. Raises its error when that takes too long."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return finish(lease, provider_id=provider_id, failure=failure, message=message)
        except (OperationalError, InterfaceError) as error:
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            logger.warning("the result of %s cannot be written yet: %s", lease.request_id, error)
            connection.close()
            time.sleep(PAUSE_SECONDS)


@transaction.atomic
def finish(
    lease: Lease, *, provider_id: str = "", failure: Failure | None = None, message: Message | None = None
) -> list[Notification]:
    """Write down what became of the message. Returns the notifications that still were the lease's.

    Those whose lease had run out belong to somebody else by now, and only their attempts are completed. Repeating
    it changes nothing.
    """
    now = timezone.now()
    notifications = held_by(lease)
    for attempt in lease.attempts:
        attempt.status = AttemptStatus.FAILED if failure else AttemptStatus.SENT
        attempt.finished_at = attempt.updated_at = now
        attempt.provider_id = provider_id[:255]
        attempt.error = failure.error if failure else ""
        attempt.is_permanent = bool(failure and failure.permanent)
    fields = ["status", "finished_at", "provider_id", "error", "is_permanent", "updated_at"]
    DeliveryAttempt.objects.bulk_update(lease.attempts, fields)
    if failure:
        _fail(notifications, failure, message, lease.account, now)
    else:
        _succeed(notifications, now)
    _tell(notifications)
    _tell_account(lease, failure, now)
    return notifications


def _succeed(notifications: list[Notification], now: datetime) -> None:
    for notification in notifications:
        notification.status, notification.sent_at = NotificationStatus.SENT, now
        notification.hold, notification.last_error, notification.needs_fallback = "", "", False
        notification.save()
        if notification.contact_method and notification.contact_method.broken_at:
            contacts.mark_working(notification.contact_method)


def _fail(
    notifications: list[Notification], failure: Failure, message: Message | None, account: str, now: datetime
) -> None:
    delay: timedelta | None = None
    for notification in notifications:
        notification.last_error = failure.error
        is_asked_to_wait = failure.retry_after is not None and not failure.permanent
        if is_asked_to_wait and notification.uncounted_attempts < MOST_UNCOUNTED:
            notification.uncounted_attempts += 1
        counted = notification.attempt_count - notification.uncounted_attempts
        if failure.permanent or counted >= backoff.MAX_ATTEMPTS:
            _die(notification, message)
        else:
            # What travels together is tried again together.
            if failure.retry_after is not None:
                delay = accounts.bounded(failure.retry_after)
            delay = delay or backoff.delay_after(max(counted, 1))
            notification.status = NotificationStatus.PENDING
            notification.due_at = notification.wake_at = now + delay
            if is_asked_to_wait and notification.hold != Hold.BUNDLE:
                notification.hold = Hold.PAUSE
            if is_asked_to_wait and delay > PATIENCE:
                want_fallback(notification)
        notification.save()
    _tell_of_failure(notifications, failure, account, now)


def bury(
    notifications: list[Notification],
    failure: Failure,
    message: Message | None,
    *,
    account: str,
    now: datetime,
) -> None:
    """A provider took the message of these (rows locked) and says later that it did not arrive."""
    for notification in notifications:
        notification.last_error = failure.error
        _die(notification, message)
        notification.save()
    _tell_of_failure(notifications, failure, account, now)


def _die(notification: Notification, message: Message | None) -> None:
    """It failed for good: kept with what it said, less the secrets. Does not save."""
    notification.status = NotificationStatus.DEAD
    is_secret = notification.purpose == Purpose.VERIFICATION
    if message and not notification.is_about_paging and not is_secret:
        notification.payload = {"subject": message.subject, "text": message.text_without_links}
    want_fallback(notification)


def _tell_of_failure(
    notifications: list[Notification], failure: Failure, account: str, now: datetime
) -> None:
    if failure.breaks_method:
        _break_method(notifications, failure, account, now)
    dead = [n for n in notifications if n.status == NotificationStatus.DEAD and n.purpose == Purpose.PAGE]
    if dead:
        dead_letters.tell_operations(dead[0], account=account, now=now)


def _break_method(notifications: list[Notification], failure: Failure, account: str, now: datetime) -> None:
    method = notifications[0].contact_method if notifications else None
    if method and contacts.mark_broken(method, reason=failure.error, now=now):
        notices.tell_owner_of_broken_method(method, reason=failure.error, account=account, now=now)


def _tell_account(lease: Lease, failure: Failure | None, now: datetime) -> None:
    if failure is None or (failure.permanent and not failure.is_ours):
        if accounts.succeeded(lease.account, now=now):
            _release(lease.account, now)
    elif failure.retry_after is not None:
        accounts.pause(lease.account, span=failure.retry_after, error=failure.error, now=now)
    elif not failure.is_ours:
        accounts.failed(lease.account, error=failure.error, is_probe=lease.is_probe, now=now)
    elif lease.is_probe:
        accounts.give_back_probe(lease.account, now=now)


def _release(account: str, now: datetime) -> None:
    """The provider is back: what waited for it goes now."""
    channels = [channel for channel, transport in TRANSPORTS.items() if transport.account == account]
    waiting = Notification.objects.filter(
        status=NotificationStatus.PENDING, channel__in=channels, due_at__lte=now, wake_at__gt=now
    ).exclude(hold=Hold.LIMIT)
    locked = waiting.select_for_update(skip_locked=True).values_list("pk", flat=True)
    Notification.objects.filter(pk__in=list(locked)).update(wake_at=now)


def _tell(notifications: Sequence[Notification]) -> None:
    entries = []
    for notification in notifications:
        incident, channel = notification.incident, Channel(notification.channel).phrase
        told: dict[str, Any] = {"user": str(notification.user), "channel": channel}
        is_sent = notification.status == NotificationStatus.SENT
        if notification.purpose == Purpose.NOTICE and is_sent:
            continue  # the end of the escalation has told of it
        if incident and is_sent:
            if notification.bundle_size > 1:
                told["bundle"] = notification.bundle_size
            entries.append(timeline.entry(incident, Kind.PAGE_SENT, **told))
        elif incident and notification.status == NotificationStatus.DEAD:
            error = notification.last_error
            entries.append(timeline.entry(incident, Kind.PAGE_FAILED, **told, error=error))
    if entries:
        timeline.record_all(entries)
    for first in notifications[:1]:  # they are all the same person's
        is_sent = first.status == NotificationStatus.SENT
        kind = "notification.sent" if is_sent else "notification.failed"
        rooms.publish_to_user(first.user_id, kind, {"notification_id": str(first.pk)})
