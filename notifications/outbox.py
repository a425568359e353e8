"""The outbox: what is to be sent is a row, written in the transaction that decided it.

A worker leases the row and commits the attempt before it calls the transport, and writes the result after
(leases.py, lease_keeper.py, results.py); no transaction is open during the call. The sweep wakes what a dead worker or a
flushed broker left behind, and senders look for it themselves (standby.py). A worker that dies between the transport's answer and the commit makes a duplicate: better than silence.
What a page may have to wait for is decided by quiet.py, bundles.py, accounts.py and limits.py, and where it goes
when it fails, by fallback.py and dead_letters.py.
"""

import dataclasses
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents.enums import Severity
from incidents.models import Incident
from openalert.wake import wake, waker
from teams.models import User

from . import backoff, contacts, fallback, leases, limits, messages, quiet, results
from .enums import UNFINISHED, Channel, Hold, NotificationStatus, Purpose
from .exceptions import ContactMethodDisabled, ContactMethodUnverified, DeliveryError
from .lease_keeper import keeper
from .leases import Held, Known, Lease
from .models import ContactMethod, Notification
from .results import Failure
from .transports import TRANSPORTS, Message
from .waking import DELIVER_TASK, FALL_BACK_TASK, GRACE

logger = logging.getLogger(__name__)

SWEEP_BATCH = 500


@dataclass(frozen=True)
class PageRequest:
    """Page `user` about `incident`, for the step that the next three name; or tell them that nobody answered."""

    user: User
    incident: Incident
    run_id: UUID
    loop: int
    step: int
    purpose: Purpose = Purpose.PAGE


def page(requests: Iterable[PageRequest], *, now: datetime) -> list[PageRequest]:
    """Write the notifications that the people's rules ask for; to be called inside the deciding transaction.

    Those that are not critical wait for the end of a person's quiet hours, but by the methods allowed in them.
    Asking twice for the same (run, loop, step, person, method) writes one. Returns the requests whose person
    has switched all contact methods off.
    """
    requests = list(requests)
    # Without a broker no wake-up is on its way: senders may take the page at once.
    grace = timedelta() if waker.is_broker_away else GRACE
    notifications: list[Notification] = []
    unreachable: list[PageRequest] = []
    by_urgency: dict[str, dict[UUID, list]] = {}
    for urgency in {Severity(r.incident.severity).urgency for r in requests}:
        users = {r.user.pk: r.user for r in requests if Severity(r.incident.severity).urgency == urgency}
        by_urgency[urgency] = contacts.rules_for(users.values(), urgency)
    windows = quiet.windows_of({r.user for r in requests if r.incident.severity != Severity.CRITICAL})
    for request in requests:
        severity = Severity(request.incident.severity)
        rules = by_urgency[severity.urgency].get(request.user.pk, [])
        if not rules:
            unreachable.append(request)
        for rule in rules:
            due_at = wanted_at = now + timedelta(minutes=rule.delay_minutes)
            if severity != Severity.CRITICAL and request.user.pk in windows:
                due_at = quiet.earliest(
                    windows[request.user.pk],
                    method_id=rule.contact_method.pk,
                    at=wanted_at,
                    zone=request.user.tzinfo,
                )
            notifications.append(
                Notification(
                    purpose=request.purpose,
                    user=request.user,
                    incident=request.incident,
                    contact_method=rule.contact_method,
                    channel=rule.contact_method.channel,
                    address=rule.contact_method.address,
                    run_id=request.run_id,
                    loop=request.loop,
                    step=request.step,
                    priority=severity.rank,
                    hold=Hold.QUIET_HOURS if due_at > wanted_at else "",
                    due_at=due_at,
                    wake_at=due_at + grace if due_at <= now else due_at,
                )
            )
    Notification.objects.bulk_create(notifications, ignore_conflicts=True)
    for notification in sorted(notifications, key=lambda n: n.priority):
        if notification.due_at <= now:
            wake(DELIVER_TASK, str(notification.pk), priority=notification.priority)
    return unreachable


def send_test(*, user: User, contact_method: ContactMethod) -> Notification:
    """Send a test page by one of the person's own methods.

    One that arrives mends a method that was marked as broken. Raises ContactMethodDisabled and
    ContactMethodUnverified.
    """
    if not contact_method.is_enabled:
        raise ContactMethodDisabled
    if not contact_method.is_verified:
        raise ContactMethodUnverified
    return send_now(user=user, contact_method=contact_method, purpose=Purpose.TEST)


@transaction.atomic
def send_now(*, user: User, contact_method: ContactMethod, purpose: Purpose) -> Notification:
    """Send what is about no incident, at once."""
    now = timezone.now()
    notification = Notification.objects.create(
        purpose=purpose,
        user=user,
        contact_method=contact_method,
        channel=contact_method.channel,
        address=contact_method.address,
        due_at=now,
        wake_at=now + GRACE,
    )
    wake(DELIVER_TASK, str(notification.pk))
    return notification


@transaction.atomic
def cancel_pages(incidents: Iterable[Incident]) -> int:
    """Drop every page about the incidents that no worker has taken yet. Returns how many."""
    waiting = Notification.objects.filter(
        incident__in=list(incidents), purpose=Purpose.PAGE, status=NotificationStatus.PENDING
    )
    locked = list(waiting.select_for_update().order_by("pk").values_list("pk", flat=True))
    return Notification.objects.filter(pk__in=locked).update(
        status=NotificationStatus.CANCELLED, needs_fallback=False, updated_at=timezone.now()
    )


@transaction.atomic
def reprioritise(incidents: Iterable[Incident]) -> None:
    """Let waiting pages take their turns by the incidents' severities as they are now.

    What has become critical waits for nobody's quiet hours.
    """
    now = timezone.now()
    ranks: dict[UUID | None, int] = {i.pk: Severity(i.severity).rank for i in incidents}
    waiting = Notification.objects.filter(
        incident__in=ranks, purpose=Purpose.PAGE, status=NotificationStatus.PENDING
    )
    pages = list(waiting.select_for_update().order_by("pk"))
    for notification in pages:
        notification.priority, notification.updated_at = ranks[notification.incident_id], now
        if notification.priority == Severity.CRITICAL.rank and notification.hold == Hold.QUIET_HOURS:
            notification.hold, notification.due_at, notification.wake_at = "", now, now + GRACE
            wake(DELIVER_TASK, str(notification.pk))
    Notification.objects.bulk_update(pages, ["priority", "hold", "due_at", "wake_at", "updated_at"])


def mark_seen(*, user: User, notification_ids: Iterable[UUID]) -> int:
    """The person has seen these of their notifications. Repeating it changes nothing."""
    return Notification.objects.filter(user=user, pk__in=list(notification_ids), seen_at__isnull=True).update(
        seen_at=timezone.now()
    )


@transaction.atomic
def sweep(now: datetime | None = None) -> int:
    """Wake a batch of notifications that are due: delayed, to be retried, held, or left behind. Returns how many.

    The most urgent come first, so what waits for a provider's limit gets its places in that order.
    """
    now = now or timezone.now()
    due = _take_due(SWEEP_BATCH, now)
    for pk, priority in due.items():
        wake(DELIVER_TASK, str(pk), priority=priority)
    for pk in fallbacks_left_behind(limit=SWEEP_BATCH, now=now):
        wake(FALL_BACK_TASK, str(pk))
    return len(due)


@transaction.atomic
def take_left_behind(*, limit: int, now: datetime | None = None) -> list[UUID]:
    """What is due and has no wake-up on its way, the most urgent first, for the caller to deliver.

    Nobody else is given them until GRACE is over, so a caller that dies delays them by no more.
    """
    return list(_take_due(limit, now or timezone.now()))


def fallbacks_left_behind(*, limit: int, now: datetime | None = None) -> list[UUID]:
    """The pages whose other way nobody has found for a while, for the caller to find (`fallback.fall_back`)."""
    now = now or timezone.now()
    left_behind = Notification.objects.filter(needs_fallback=True, updated_at__lte=now - GRACE)
    return list(left_behind.order_by("updated_at").values_list("pk", flat=True)[:limit])


def _take_due(limit: int, now: datetime) -> dict[UUID, int]:
    """The priorities of what is due, the most urgent first; it is put off by GRACE."""
    due = dict(
        Notification.objects.select_for_update(skip_locked=True)
        .filter(status__in=UNFINISHED, wake_at__lte=now)
        .order_by("priority", "wake_at")
        .values_list("pk", "priority")[:limit]
    )
    if due:
        Notification.objects.filter(pk__in=due).update(wake_at=now + GRACE)
    return due


def deliver(notification_id: UUID) -> None:
    """Send one notification, if it is due, still needed and nobody else is sending it.

    Repeating it, or doing it twice at once, is harmless. Failures are kept in the row and tried again by
    the sweep; nothing is raised for the transport's sake.
    """
    if _must_wait_for_limit(notification_id):
        return
    lease = leases.take(notification_id)
    if isinstance(lease, Held) and lease.needs_fallback:
        fallback.fall_back(notification_id)
    if isinstance(lease, Known):
        results.finish_surely(lease.lease, provider_id=lease.provider_id)
    if not isinstance(lease, Lease):
        return
    with keeper.holding(lease):
        now = timezone.now()
        wait = limits.take(lease.account, lease.request_id, is_critical=lease.is_critical, now=now)
        finished = leases.give_back(lease, until=now + wait) if wait else _hand_over(lease)
    for notification in finished:
        if notification.needs_fallback:
            fallback.fall_back(notification.pk)


def _must_wait_for_limit(notification_id: UUID) -> bool:
    """Whether the provider's limit is used up; the notification then waits, and nothing else was done."""
    now = timezone.now()
    waiting = Notification.objects.filter(pk=notification_id, status__in=UNFINISHED, due_at__lte=now)
    row = waiting.values_list("channel", "priority").first()
    if row is None:
        return True
    channel, priority = row
    is_critical = priority == Severity.CRITICAL.rank
    wait = limits.look(leases.account_of(channel), is_critical=is_critical, now=now)
    if wait is None:
        return False
    held = leases.hold_for_limit(notification_id, until=now + wait)
    if held and held.needs_fallback:
        fallback.fall_back(notification_id)
    return True


def _hand_over(lease: Lease) -> list[Notification]:
    """Call the transport, outside any transaction, and write down what it says."""
    head = lease.notifications[0]
    transport = TRANSPORTS[Channel(head.channel)]
    message: Message | None = None
    if head.attempt_count - head.uncounted_attempts > backoff.MAX_ATTEMPTS:
        # Not one of them came to an end: whatever kills or stops its senders is not to go on for ever.
        failure = Failure("its senders died or were too slow", permanent=True, is_ours=True)
        return results.finish_surely(lease, failure=failure)
    try:
        message = dataclasses.replace(
            messages.render_together(lease.notifications), request_id=str(lease.request_id)
        )
        if not transport.is_configured():
            return results.finish_surely(
                lease, failure=Failure(transport.why_off(), permanent=True, is_ours=True)
            )
        provider_id = transport.send(message)
    except DeliveryError as error:
        return results.finish_surely(lease, failure=Failure.of(error), message=message)
    except Exception as error:  # a transport's bug must not leave the row to its lease
        logger.exception("delivery of %s failed", lease.request_id)
        failure = Failure(f"internal error: {error!r}", is_ours=message is None)
        return results.finish_surely(lease, failure=failure, message=message)
    return results.finish_surely(lease, provider_id=provider_id)
