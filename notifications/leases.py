"""Taking a notification to deliver it, and writing down what became of that.

The lease and the attempt are committed before the transport is called, the result after. `request_id` names the
message that is handed over: whoever comes back after its lease has run out finds another one and changes nothing.
Locks, in their order: the contact method (so that two pages of a storm are counted one after the other),
notifications (never waited for while the method is held), the provider account.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import rooms, timeline
from incidents.enums import Kind, Severity
from openalert.ids import uuid7

from . import accounts, backoff, bundles, contacts, dead_letters, notices
from .enums import UNFINISHED, AttemptStatus, Channel, Hold, NotificationStatus, Purpose
from .exceptions import DeliveryError
from .models import ContactMethod, DeliveryAttempt, Notification
from .transports import TRANSPORTS, Message

LEASE = timedelta(seconds=60)
# A page that has to wait longer than this for its provider goes another way too.
PATIENCE = timedelta(seconds=10)
# “Later” is no failure of the message, but it is not to be asked for ever.
MOST_UNCOUNTED = 100


@dataclass
class Lease:
    """The notifications that travel in one message, and their attempts; the first is the one that was asked for."""

    request_id: UUID
    account: str
    is_probe: bool
    notifications: list[Notification]
    attempts: list[DeliveryAttempt]

    @property
    def is_critical(self) -> bool:
        return any(n.priority == Severity.CRITICAL.rank for n in self.notifications)


@dataclass(frozen=True)
class Held:
    """The notification has to wait; `needs_fallback` when too long for its person."""

    needs_fallback: bool = False


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


def account_of(channel: str) -> str:
    return TRANSPORTS[Channel(channel)].account


@transaction.atomic
def take(notification_id: UUID) -> Lease | Held | None:
    """Take the notification, with what is bundled with it; None when there is nothing to do."""
    now = timezone.now()
    method_id = (
        Notification.objects.filter(pk=notification_id, purpose=Purpose.PAGE)
        .values_list("contact_method", flat=True)
        .first()
    )
    if method_id:
        list(ContactMethod.objects.select_for_update(no_key=True).filter(pk=method_id))
    free = Notification.objects.select_for_update(of=("self",), skip_locked=True).select_related(
        "user", "incident__service", "contact_method"
    )
    notification = free.filter(pk=notification_id, status__in=UNFINISHED, due_at__lte=now).first()
    if notification is None:
        return None
    if notification.status == NotificationStatus.SENDING and not _has_run_out(notification, now):
        return None
    if not is_needed(notification):
        _drop([notification], now)
        return None
    if until := bundles.waits_until(notification, now=now):
        notification.hold, notification.due_at, notification.wake_at = Hold.BUNDLE, until, until
        notification.save()
        return Held()
    account = account_of(notification.channel)
    admission = accounts.admit(account, now=now)
    if isinstance(admission, accounts.Closed):
        return _hold(notification, admission.hold, until=admission.until, now=now)
    others = list(
        free.filter(pk__in=bundles.companions(notification, now=now).values("pk")).order_by(
            "priority", "due_at"
        )[: bundles.LARGEST]
    )
    unneeded = [other for other in others if not is_needed(other)]
    _drop(unneeded, now)
    taken = [notification, *(other for other in others if other not in unneeded)]
    return _lease(taken, account, is_probe=admission.is_probe, now=now)


def _has_run_out(notification: Notification, now: datetime) -> bool:
    return notification.lease_until is None or notification.lease_until <= now


def _drop(notifications: Sequence[Notification], now: datetime) -> None:
    for notification in notifications:
        notification.status, notification.needs_fallback = NotificationStatus.CANCELLED, False
        notification.updated_at = now
    if notifications:
        Notification.objects.bulk_update(notifications, ["status", "needs_fallback", "updated_at"])
        _abandon(notifications, now)


def _abandon(notifications: Iterable[Notification], now: datetime) -> None:
    """End the attempts whose worker is not expected back."""
    DeliveryAttempt.objects.filter(
        notification__in=[n.pk for n in notifications], status=AttemptStatus.STARTED
    ).update(status=AttemptStatus.ABANDONED, finished_at=now, updated_at=now)


def _lease(taken: list[Notification], account: str, *, is_probe: bool, now: datetime) -> Lease:
    _abandon([n for n in taken if n.status == NotificationStatus.SENDING], now)
    request_id = uuid7()
    for notification in taken:
        notification.attempt_count += 1
        notification.status = NotificationStatus.SENDING
        notification.lease_until = notification.wake_at = now + LEASE
        notification.request_id, notification.bundle_size = request_id, len(taken)
        notification.updated_at = now
        if notification.hold != Hold.BUNDLE:
            notification.hold = ""
    fields = ["attempt_count", "status", "lease_until", "wake_at", "request_id", "bundle_size", "hold"]
    Notification.objects.bulk_update(taken, [*fields, "updated_at"])
    attempts = DeliveryAttempt.objects.bulk_create(
        DeliveryAttempt(
            notification=notification,
            number=notification.attempt_count,
            request_id=request_id,
            account=account,
            method_id=notification.contact_method_id,
            started_at=now,
        )
        for notification in taken
    )
    return Lease(request_id, account, is_probe, taken, attempts)


def is_needed(notification: Notification) -> bool:
    """Whether anybody still waits for it: the person is active and the incident, if it is about one, open."""
    if not notification.user.is_active:
        return False
    return notification.incident.needs_paging if notification.incident else True


def _hold(notification: Notification, hold: Hold, *, until: datetime, now: datetime) -> Held:
    """Let a notification (row locked) wait for its provider; when that is too long, another way is to be found."""
    if notification.status == NotificationStatus.SENDING:
        _abandon([notification], now)
        notification.status = NotificationStatus.PENDING
    if notification.hold != Hold.BUNDLE:
        notification.hold = hold
    notification.wake_at = until
    is_urgent = hold != Hold.LIMIT or notification.priority == Severity.CRITICAL.rank
    if is_urgent and until - now > PATIENCE:
        _want_fallback(notification)
    notification.save()
    return Held(notification.needs_fallback)


def _want_fallback(notification: Notification) -> None:
    """Once for each page: the next method, or the next step, is not tried again for its sake."""
    if notification.purpose == Purpose.PAGE and notification.fell_back_at is None:
        notification.needs_fallback = True


@transaction.atomic
def hold_for_limit(notification_id: UUID, *, until: datetime) -> Held | None:
    """Let a notification that nobody has taken wait for its provider's limit."""
    now = timezone.now()
    notification = (
        Notification.objects.select_for_update(skip_locked=True)
        .filter(pk=notification_id, status=NotificationStatus.PENDING, due_at__lte=now)
        .first()
    )
    return notification and _hold(notification, Hold.LIMIT, until=until, now=now)


@transaction.atomic
def give_back(lease: Lease, *, until: datetime) -> list[Notification]:
    """Undo a lease: the message was not handed over, as the limit was used up meanwhile. Returns what it held."""
    now = timezone.now()
    notifications = _ours(lease)
    DeliveryAttempt.objects.filter(pk__in=[attempt.pk for attempt in lease.attempts]).delete()
    for notification in notifications:
        notification.attempt_count -= 1
        notification.status, notification.lease_until = NotificationStatus.PENDING, None
        notification.request_id = None
        _hold(notification, Hold.LIMIT, until=until, now=now)
    if lease.is_probe:
        accounts.give_back_probe(lease.account, now=now)
    return notifications


def _ours(lease: Lease) -> list[Notification]:
    """What the lease still holds, locked in the order of ids."""
    return list(
        Notification.objects.select_for_update(of=("self",))
        .select_related("user", "incident__service", "contact_method")
        .filter(pk__in=[n.pk for n in lease.notifications])
        .filter(request_id=lease.request_id, status=NotificationStatus.SENDING)
        .order_by("pk")
    )


@transaction.atomic
def finish(
    lease: Lease, *, provider_id: str = "", failure: Failure | None = None, message: Message | None = None
) -> list[Notification]:
    """Write down what became of the message. Returns the notifications that still were the lease's.

    Those whose lease had run out belong to somebody else by now, and only their attempts are completed.
    """
    now = timezone.now()
    notifications = _ours(lease)
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
            notification.status = NotificationStatus.DEAD
            if message and notification.purpose != Purpose.NOTICE:
                notification.payload = {"subject": message.subject, "text": message.text}
            _want_fallback(notification)
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
                _want_fallback(notification)
        notification.save()
    if failure.breaks_method:
        _break_method(notifications, failure, account, now)
    dead = [n for n in notifications if n.status == NotificationStatus.DEAD and n.purpose == Purpose.PAGE]
    if dead:
        dead_letters.tell_operations(dead[0], account=account, now=now)


def _break_method(
    notifications: list[Notification], failure: Failure, account: str, now: datetime
) -> None:
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
        told = {"user": str(notification.user), "channel": channel}
        is_sent = notification.status == NotificationStatus.SENT
        if incident and is_sent:
            bundle = {"bundle": notification.bundle_size} if notification.bundle_size > 1 else {}
            entries.append(timeline.entry(incident, Kind.PAGE_SENT, **told, **bundle))
        elif incident and notification.status == NotificationStatus.DEAD:
            error = notification.last_error
            entries.append(timeline.entry(incident, Kind.PAGE_FAILED, **told, error=error))
    if entries:
        timeline.record_all(entries)
    for first in notifications[:1]:  # they are all the same person's
        is_sent = first.status == NotificationStatus.SENT
        kind = "notification.sent" if is_sent else "notification.failed"
        rooms.publish_to_user(first.user_id, kind, {"notification_id": str(first.pk)})
