"""Taking a notification to deliver it, and letting it wait.

The lease and the attempt are committed before the transport is called, the result (results.py) after. `request_id`
names the message that is handed over: whoever comes back after its lease has run out finds another one and changes
nothing. Locks, in their order: the contact method (so that two pages of a storm are counted one after the other),
notifications (never waited for while the method is held), the provider account.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents.enums import Severity
from openalert.ids import uuid7

from . import accounts, bundles
from .enums import UNFINISHED, AttemptStatus, Channel, Hold, NotificationStatus, Purpose, Receipt
from .models import ContactMethod, DeliveryAttempt, Notification
from .transports import TRANSPORTS

# Short, as it is renewed while its sender lives (lease_keeper.py): one that was killed is soon taken over from.
LEASE = timedelta(seconds=15)
# A page that has to wait longer than this for its provider goes another way too.
PATIENCE = timedelta(seconds=10)


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
class Known:
    """Its sender died, but the provider has told meanwhile that it has the message: the lease is to be finished."""

    lease: Lease
    provider_id: str


def account_of(channel: str) -> str:
    return TRANSPORTS[Channel(channel)].account


@transaction.atomic
def take(notification_id: UUID) -> Lease | Held | Known | None:
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
    if notification.status == NotificationStatus.SENDING and (known := _known(notification)):
        return known
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
        )[: bundles.LARGEST - 1]
    )
    unneeded = [other for other in others if not is_needed(other)]
    _drop(unneeded, now)
    taken = [notification, *(other for other in others if other not in unneeded)]
    return _lease(taken, account, is_probe=admission.is_probe, now=now)


def _has_run_out(notification: Notification, now: datetime) -> bool:
    return notification.lease_until is None or notification.lease_until <= now


def _known(notification: Notification) -> Known | None:
    """What became of the message of a sender that is not expected back, when its provider has told (receipts.py)."""
    attempts = list(
        DeliveryAttempt.objects.filter(
            request_id=notification.request_id, request_id__isnull=False, status=AttemptStatus.STARTED
        )
    )
    told = next(
        (a for a in attempts if a.receipt != Receipt.NOTHING and not Receipt(a.receipt).is_failure), None
    )
    if told is None:
        return None
    pages = list(Notification.objects.filter(pk__in=[attempt.notification_id for attempt in attempts]))
    return Known(Lease(told.request_id, told.account, False, pages, attempts), told.provider_id)


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
        want_fallback(notification)
    notification.save()
    return Held(notification.needs_fallback)


def want_fallback(notification: Notification) -> None:
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
    return _hold(notification, Hold.LIMIT, until=until, now=now) if notification else None


@transaction.atomic
def give_back(lease: Lease, *, until: datetime) -> list[Notification]:
    """Undo a lease: the message was not handed over, as the limit was used up meanwhile. Returns what it held."""
    now = timezone.now()
    notifications = held_by(lease)
    DeliveryAttempt.objects.filter(pk__in=[attempt.pk for attempt in lease.attempts]).delete()
    for notification in notifications:
        notification.attempt_count -= 1
        notification.status, notification.lease_until = NotificationStatus.PENDING, None
        notification.request_id = None
        _hold(notification, Hold.LIMIT, until=until, now=now)
    if lease.is_probe:
        accounts.give_back_probe(lease.account, now=now)
    return notifications


def held_by(lease: Lease) -> list[Notification]:
    """What the lease still holds, locked in the order of ids."""
    return list(
        Notification.objects.select_for_update(of=("self",))
        .select_related("user", "incident__service", "contact_method")
        .filter(pk__in=[n.pk for n in lease.notifications])
        .filter(request_id=lease.request_id, status=NotificationStatus.SENDING)
        .order_by("pk")
    )
