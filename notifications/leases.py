"""Taking a notification to deliver it, and letting it wait.

The lease and the attempt are committed before the transport is called, the result (results.py) after. `request_id`
names the message that is handed over: whoever comes back after its lease has run out finds another one and changes
nothing. Locks, in their order: the contact method (so that two pages of a storm are counted one after the other),
notifications (never waited for while the method is held), the provider account.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from incidents.enums import Severity
from openalert import sql
from openalert.ids import uuid7

from . import accounts, backoff, bundles
from .enums import UNFINISHED, AttemptStatus, Channel, Hold, NotificationStatus, Purpose
from .models import ContactMethod, DeliveryAttempt, Notification
from .transports import account_of

# Short, as it is renewed while its sender lives (lease_keeper.py): one that was killed is soon taken over from.
LEASE = timedelta(seconds=15)
# A page that has to wait longer than this for its provider goes another way too.
PATIENCE = timedelta(seconds=10)


# A page whose senders died so often in a row goes another way too, and is tried again more and more seldom. It dies
# after about an hour of that: killed workers kill no page, and what kills them does not go on for ever.
DEATHS_TO_FALL_BACK = 3
MOST_DEATHS = 20
NO_END = (AttemptStatus.STARTED, AttemptStatus.ABANDONED)

# What taking, holding and dropping change.
WRITTEN = (
    "status",
    "due_at",
    "wake_at",
    "hold",
    "lease_until",
    "request_id",
    "bundle_size",
    "attempt_count",
    "uncounted_attempts",
    "needs_fallback",
    "updated_at",
)


@dataclass
class Lease:
    """The notifications that travel in one message, and their attempts; the first is the one that was asked for.

    `deaths` says how many senders of the first have died one after the other.
    """

    request_id: UUID
    account: str
    is_probe: bool
    notifications: list[Notification]
    attempts: list[DeliveryAttempt]
    deaths: int = 0

    @property
    def is_critical(self) -> bool:
        return any(n.priority == Severity.CRITICAL.rank for n in self.notifications)

    @property
    def channel(self) -> Channel:
        return Channel(self.notifications[0].channel)


@dataclass(frozen=True)
class Held:
    """The notification has to wait; `needs_fallback` when too long for its person."""

    notification_id: UUID
    needs_fallback: bool = False


@dataclass(frozen=True)
class Known:
    """Its sender died, but the provider has told meanwhile that it has the message: the lease is to be finished."""

    lease: Lease
    provider_id: str


def take(notification_id: UUID) -> Lease | Held | Known | None:
    """Take one notification, with what is bundled with it; None when there is nothing to do."""
    taken = take_all([notification_id])
    return taken[0] if taken else None


@transaction.atomic
def take_all(notification_ids: Sequence[UUID]) -> list[Lease | Held | Known]:
    """Take those of the notifications that may go out, the most urgent first, with what is bundled with them.

    Says what has to wait, and nothing of those with which there is nothing to do. In a fixed number of queries, but
    for bundles and for what was left by senders that died.
    """
    now = timezone.now()
    asked = Notification.objects.filter(pk__in=notification_ids)
    if settings.BUNDLE_ABOVE_PER_MINUTE:
        methods = asked.filter(purpose=Purpose.PAGE).values("contact_method")
        list(ContactMethod.objects.select_for_update(no_key=True).filter(pk__in=methods).order_by("pk"))
    free = Notification.objects.select_for_update(of=("self",), skip_locked=True).select_related(
        "user", "incident__service", "contact_method"
    )
    due = free.filter(pk__in=notification_ids, status__in=UNFINISHED, due_at__lte=now)
    asked_for = list(due.order_by("priority", "due_at", "pk"))
    return _Taking(free, now).take(asked_for)


class _Taking:
    """One transaction that takes notifications: what it has changed is written at its end."""

    def __init__(self, free: QuerySet[Notification], now: datetime) -> None:
        self.free, self.now = free, now
        self.touched: dict[UUID, Notification] = {}
        self.abandoned: list[UUID] = []
        self.attempts: list[DeliveryAttempt] = []
        self.taken: list[Lease | Held | Known] = []

    def take(self, notifications: Sequence[Notification]) -> list[Lease | Held | Known]:
        takeable = [
            n for n in notifications if n.status == NotificationStatus.PENDING or _has_run_out(n, self.now)
        ]
        known = _known([n for n in takeable if n.status == NotificationStatus.SENDING])
        self.taken += known.values()
        needed = [n for n in takeable if n.request_id not in known and self._is_needed(n)]
        storms = bundles.Storms(needed, now=self.now)
        # In one order, so that two workers that wait for a probe's row cannot deadlock.
        accounts_of = sorted({account_of(n.channel, n.address) for n in needed})
        admissions = {name: accounts.admit(name, now=self.now) for name in accounts_of}
        for notification in needed:
            if notification.pk in self.touched:
                continue  # another one's bundle took it along
            deaths = self._take_over(notification)
            if until := storms.waits_until(notification):
                notification.hold, notification.due_at, notification.wake_at = Hold.BUNDLE, until, until
                self._hold_back(notification, Held(notification.pk))
                continue
            account = account_of(notification.channel, notification.address)
            admission = admissions[account]
            if isinstance(admission, accounts.Closed):
                held = _hold(notification, admission.hold, until=admission.until, now=self.now)
                self._hold_back(notification, held)
                continue
            if DEATHS_TO_FALL_BACK <= deaths < MOST_DEATHS:
                self._hold_back(notification, _put_off(notification, deaths, self.now))
                continue
            if admission.is_probe:
                admissions[account] = accounts.closed_for_probe(now=self.now)
            storms.count(self._lease(notification, account, admission, deaths))
        for name, admission in admissions.items():
            if isinstance(admission, accounts.Admitted) and admission.is_probe:
                accounts.give_back_probe(name, now=self.now)
        self._write()
        return self.taken

    def _is_needed(self, notification: Notification) -> bool:
        if is_needed(notification):
            return True
        if notification.status == NotificationStatus.SENDING:
            self.abandoned.append(notification.pk)
        notification.status, notification.needs_fallback = NotificationStatus.CANCELLED, False
        self.touched[notification.pk] = notification
        return False

    def _hold_back(self, notification: Notification, held: Held) -> None:
        self.touched[notification.pk] = notification
        self.taken.append(held)

    def _take_over(self, notification: Notification) -> int:
        """From a sender that died or was too slow, if it was one. How many have been so in a row."""
        if notification.status != NotificationStatus.SENDING:
            return 0
        attempts = notification.attempts.order_by("-number").values_list("status", flat=True)
        ends = takewhile(lambda status: status in NO_END, attempts[:MOST_DEATHS])
        deaths = sum(1 for _ in ends)
        # Nobody says that it failed, so it does not count as one of its tries.
        notification.uncounted_attempts += 1
        notification.status = NotificationStatus.PENDING
        self.abandoned.append(notification.pk)
        return deaths

    def _lease(
        self, notification: Notification, account: str, admission: accounts.Admitted, deaths: int
    ) -> list[Notification]:
        together = [notification]
        if notification.hold == Hold.BUNDLE:
            others = bundles.companions(notification, now=self.now).exclude(pk__in=self.touched)
            found = self.free.filter(pk__in=others.values("pk")).order_by("priority", "due_at")
            for other in found[: bundles.LARGEST - 1]:
                if self._is_needed(other):
                    self._take_over(other)
                    together.append(other)
        request_id = uuid7()
        attempts = []
        for n in together:
            n.attempt_count += 1
            n.status = NotificationStatus.SENDING
            n.lease_until = n.wake_at = self.now + LEASE
            n.request_id, n.bundle_size = request_id, len(together)
            if n.hold != Hold.BUNDLE:
                n.hold = ""
            self.touched[n.pk] = n
            attempts.append(
                DeliveryAttempt(
                    notification=n,
                    number=n.attempt_count,
                    request_id=request_id,
                    account=account,
                    method_id=n.contact_method_id,
                    started_at=self.now,
                )
            )
        self.attempts += attempts
        self.taken.append(Lease(request_id, account, admission.is_probe, together, attempts, deaths))
        return together

    def _write(self) -> None:
        if self.abandoned:
            _abandon(self.abandoned, self.now)
        for notification in self.touched.values():
            notification.updated_at = self.now
        sql.update(list(self.touched.values()), WRITTEN)
        sql.insert(self.attempts)


def _has_run_out(notification: Notification, now: datetime) -> bool:
    return notification.lease_until is None or notification.lease_until <= now


def _known(left: Sequence[Notification]) -> dict[UUID | None, Known]:
    """What became of the messages of senders that are not expected back, by their names, where the providers have told
    (receipts.py)."""
    if not left:
        return {}
    attempts: dict[UUID | None, list[DeliveryAttempt]] = {}
    for attempt in DeliveryAttempt.objects.filter(
        request_id__in={n.request_id for n in left if n.request_id}, status=AttemptStatus.STARTED
    ).select_related("notification__user", "notification__incident__service", "notification__contact_method"):
        attempts.setdefault(attempt.request_id, []).append(attempt)
    known: dict[UUID | None, Known] = {}
    for request_id, of_message in attempts.items():
        told = next((attempt for attempt in of_message if attempt.has_arrived), None)
        if told and request_id:
            pages = [attempt.notification for attempt in of_message]
            lease = Lease(request_id, told.account, is_probe=False, notifications=pages, attempts=of_message)
            known[request_id] = Known(lease, told.provider_id)
    return known


def _abandon(ids: Iterable[UUID], now: datetime) -> None:
    """End the attempts whose worker is not expected back."""
    DeliveryAttempt.objects.filter(notification__in=list(ids), status=AttemptStatus.STARTED).update(
        status=AttemptStatus.ABANDONED, finished_at=now, updated_at=now
    )


def is_needed(notification: Notification) -> bool:
    """Whether anybody still waits for it: the person is active and the incident, if it is about one, open."""
    if not notification.user.is_active:
        return False
    return notification.incident.needs_paging if notification.incident else True


def _put_off(notification: Notification, deaths: int, now: datetime) -> Held:
    """Its senders die one after the other."""
    notification.due_at = notification.wake_at = now + backoff.delay_after(deaths - DEATHS_TO_FALL_BACK + 1)
    want_fallback(notification)
    return Held(notification.pk, notification.needs_fallback)


def _hold(notification: Notification, hold: Hold, *, until: datetime, now: datetime) -> Held:
    """Let a notification (row locked) wait for its provider; when that is too long, another way is to be found.

    It is for the caller to write.
    """
    if notification.hold != Hold.BUNDLE:
        notification.hold = hold
    notification.wake_at = until
    is_urgent = hold != Hold.LIMIT or notification.priority == Severity.CRITICAL.rank
    if is_urgent and until - now > PATIENCE:
        want_fallback(notification)
    return Held(notification.pk, notification.needs_fallback)


def want_fallback(notification: Notification) -> None:
    """Once for each: the next method, or the next step, is not tried again for its sake.

    Pages have other ways, and notices that nobody answered; a test is of its own method, and what is broken in the
    paging is told by several methods at once.
    """
    is_about_incident = notification.purpose != Purpose.TEST and notification.incident_id is not None
    if is_about_incident and notification.fell_back_at is None:
        notification.needs_fallback = True


@transaction.atomic
def hold_for_limit(notification_ids: Iterable[UUID], *, until: datetime) -> list[Held]:
    """Let those of the notifications that nobody has taken wait for their provider's limit."""
    now = timezone.now()
    waiting = Notification.objects.select_for_update(skip_locked=True).filter(
        pk__in=list(notification_ids), status=NotificationStatus.PENDING, due_at__lte=now
    )
    notifications = list(waiting.order_by("pk"))
    held = []
    for notification in notifications:
        held.append(_hold(notification, Hold.LIMIT, until=until, now=now))
        notification.updated_at = now
    sql.update(notifications, WRITTEN)
    return held


@transaction.atomic
def give_back(lease: Lease, *, until: datetime) -> list[Notification]:
    """Undo a lease: the message was not handed over, as the limit was used up meanwhile. Returns what it held."""
    now = timezone.now()
    notifications = held_by(lease)
    DeliveryAttempt.objects.filter(pk__in=[attempt.pk for attempt in lease.attempts]).delete()
    for notification in notifications:
        notification.attempt_count -= 1
        notification.status, notification.lease_until = NotificationStatus.PENDING, None
        notification.request_id, notification.updated_at = None, now
        _hold(notification, Hold.LIMIT, until=until, now=now)
    sql.update(notifications, WRITTEN)
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
