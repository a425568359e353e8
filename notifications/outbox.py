"""The outbox: what is to be sent is a row, written in the transaction that decided it.

A worker leases the row and commits the attempt before it calls the transport, and writes the result after;
no transaction is open during the call. The sweep wakes what a dead worker or a flushed broker left behind.
A worker that dies between the transport's answer and the commit makes a duplicate: better than silence.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import rooms, timeline
from incidents.enums import Kind, Severity
from incidents.models import Incident
from openalert.wake import wake
from teams.models import User

from . import backoff, contacts, messages
from .enums import UNFINISHED, AttemptStatus, Channel, NotificationStatus, Purpose
from .exceptions import ContactMethodDisabled, ContactMethodUnverified, DeliveryError
from .models import ContactMethod, DeliveryAttempt, Notification
from .transports import TRANSPORTS

logger = logging.getLogger(__name__)

DELIVER_TASK = "notifications.tasks.deliver"
LEASE = timedelta(seconds=60)
# How long a wake-up may take to reach a worker before the sweep sends another.
GRACE = timedelta(seconds=5)
SWEEP_BATCH = 500


@dataclass(frozen=True)
class PageRequest:
    """Page `user` about `incident`, for the step that the last three name."""

    user: User
    incident: Incident
    run_id: UUID
    loop: int
    step: int


def page(requests: Iterable[PageRequest], *, now: datetime) -> list[PageRequest]:
    """Write the notifications that the people's rules ask for; to be called inside the deciding transaction.

    Asking twice for the same (run, loop, step, person, method) writes one. Returns the requests whose person
    has switched all contact methods off.
    """
    requests = list(requests)
    notifications: list[Notification] = []
    unreachable: list[PageRequest] = []
    by_urgency: dict[str, dict[UUID, list]] = {}
    for urgency in {Severity(r.incident.severity).urgency for r in requests}:
        users = {r.user.pk: r.user for r in requests if Severity(r.incident.severity).urgency == urgency}
        by_urgency[urgency] = contacts.rules_for(users.values(), urgency)
    for request in requests:
        severity = Severity(request.incident.severity)
        rules = by_urgency[severity.urgency].get(request.user.pk, [])
        if not rules:
            unreachable.append(request)
        for rule in rules:
            due_at = now + timedelta(minutes=rule.delay_minutes)
            notifications.append(
                Notification(
                    user=request.user,
                    incident=request.incident,
                    contact_method=rule.contact_method,
                    channel=rule.contact_method.channel,
                    address=rule.contact_method.address,
                    run_id=request.run_id,
                    loop=request.loop,
                    step=request.step,
                    priority=severity.rank,
                    due_at=due_at,
                    wake_at=due_at + GRACE if due_at <= now else due_at,
                )
            )
    Notification.objects.bulk_create(notifications, ignore_conflicts=True)
    for notification in sorted(notifications, key=lambda n: n.priority):
        if notification.due_at <= now:
            wake(DELIVER_TASK, str(notification.pk))
    return unreachable


def send_test(*, user: User, contact_method: ContactMethod) -> Notification:
    """Send a test page by one of the person's own methods.

    Raises ContactMethodDisabled and ContactMethodUnverified.
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


def cancel_pages(incidents: Iterable[Incident]) -> int:
    """Drop every page about the incidents that no worker has taken yet. Returns how many."""
    return Notification.objects.filter(
        incident__in=list(incidents), purpose=Purpose.PAGE, status=NotificationStatus.PENDING
    ).update(status=NotificationStatus.CANCELLED, updated_at=timezone.now())


def mark_seen(*, user: User, notification_ids: Iterable[UUID]) -> int:
    """The person has seen these of their notifications. Repeating it changes nothing."""
    return Notification.objects.filter(user=user, pk__in=list(notification_ids), seen_at__isnull=True).update(
        seen_at=timezone.now()
    )


@transaction.atomic
def sweep(now: datetime | None = None) -> int:
    """Wake a batch of notifications that are due: delayed, to be retried, or left behind. Returns how many."""
    now = now or timezone.now()
    due = list(
        Notification.objects.select_for_update(skip_locked=True)
        .filter(status__in=UNFINISHED, wake_at__lte=now)
        .order_by("priority", "wake_at")
        .values_list("pk", flat=True)[:SWEEP_BATCH]
    )
    Notification.objects.filter(pk__in=due).update(wake_at=now + GRACE)
    for pk in due:
        wake(DELIVER_TASK, str(pk))
    return len(due)


def deliver(notification_id: UUID) -> None:
    """Send one notification, if it is due, still needed and nobody else is sending it.

    Repeating it, or doing it twice at once, is harmless. Failures are kept in the row and tried again by
    the sweep; nothing is raised for the transport's sake.
    """
    attempt = _lease(notification_id)
    if attempt is None:
        return
    notification = attempt.notification
    try:
        message = messages.render(notification)
        provider_id = TRANSPORTS[Channel(notification.channel)].send(message)
    except DeliveryError as error:
        _finish(attempt, error=str(error), permanent=error.permanent)
    except Exception as error:  # a transport's bug must not leave the row to its lease
        logger.exception("delivery of %s failed", notification_id)
        _finish(attempt, error=f"internal error: {error!r}", permanent=False)
    else:
        _finish(attempt, provider_id=provider_id)


@transaction.atomic
def _lease(notification_id: UUID) -> DeliveryAttempt | None:
    """Take the notification and write down the attempt; None when there is nothing to do."""
    now = timezone.now()
    notification = (
        Notification.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("user", "contact_method", "incident__service")
        .filter(pk=notification_id, status__in=UNFINISHED, due_at__lte=now)
        .first()
    )
    if notification is None:
        return None
    if notification.status == NotificationStatus.SENDING:
        if notification.lease_until and notification.lease_until > now:
            return None
        notification.attempts.filter(status=AttemptStatus.STARTED).update(
            status=AttemptStatus.ABANDONED, finished_at=now, updated_at=now
        )
    if not is_needed(notification):
        notification.status = NotificationStatus.CANCELLED
        notification.save()
        return None
    notification.attempt_count += 1
    notification.status = NotificationStatus.SENDING
    notification.lease_until = notification.wake_at = now + LEASE
    notification.save()
    return DeliveryAttempt.objects.create(
        notification=notification, number=notification.attempt_count, started_at=now
    )


def is_needed(notification: Notification) -> bool:
    """Whether anybody still waits for it: the person is active and the incident, if it is about one, open."""
    if not notification.user.is_active:
        return False
    return notification.incident.needs_paging if notification.incident else True


@transaction.atomic
def _finish(
    attempt: DeliveryAttempt, *, provider_id: str = "", error: str = "", permanent: bool = False
) -> None:
    now = timezone.now()
    attempt.status = AttemptStatus.FAILED if error else AttemptStatus.SENT
    attempt.finished_at = now
    attempt.provider_id, attempt.error, attempt.is_permanent = provider_id[:255], error, permanent
    # The provider may have told what became of the message before this: its receipt is not ours to overwrite.
    attempt.save(
        update_fields=["status", "finished_at", "provider_id", "error", "is_permanent", "updated_at"]
    )
    notification = (
        Notification.objects.select_for_update(of=("self",))
        .select_related("user", "incident__service")
        .get(pk=attempt.notification_id)
    )
    if notification.attempt_count != attempt.number:
        return  # our lease ran out and somebody else has taken it over
    if not error:
        notification.status, notification.sent_at = NotificationStatus.SENT, now
    elif permanent or attempt.number >= backoff.MAX_ATTEMPTS:
        notification.status = NotificationStatus.DEAD
    else:
        notification.status = NotificationStatus.PENDING
        notification.due_at = notification.wake_at = now + backoff.delay_after(attempt.number)
    notification.last_error = error
    notification.save()
    _tell(notification)


def _tell(notification: Notification) -> None:
    if notification.incident is None:
        kind = (
            "notification.sent" if notification.status == NotificationStatus.SENT else "notification.failed"
        )
        rooms.publish_to_user(notification.user_id, kind, {"notification_id": str(notification.pk)})
        return
    user, channel = str(notification.user), Channel(notification.channel).phrase
    if notification.status == NotificationStatus.SENT:
        timeline.record(notification.incident, Kind.PAGE_SENT, user=user, channel=channel)
    elif notification.status == NotificationStatus.DEAD:
        error = notification.last_error
        timeline.record(notification.incident, Kind.PAGE_FAILED, user=user, channel=channel, error=error)
