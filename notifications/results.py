"""Writing down what became of a message: of its notifications, of the contact method, and of the provider."""

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from incidents import rooms, timeline
from incidents.enums import Kind
from openalert import sql

from . import accounts, backoff, contacts, dead_letters, notices
from .counting import count_failed, count_sent
from .enums import AttemptStatus, Channel, Hold, NotificationStatus, Purpose, Receipt
from .exceptions import DeliveryError
from .leases import PATIENCE, Lease, held_by, want_fallback
from .models import DeliveryAttempt, Notification
from .told import Told
from .transports import Message, channels_of

logger = logging.getLogger(__name__)

# What was sent must not be sent again because the database is away just then.
PAUSE_SECONDS = 0.5
PATIENCE_SECONDS = 60.0
AWAY = (OperationalError, InterfaceError)
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


@dataclass(frozen=True)
class Answer:
    """What became of a message: its provider's id for it, or why it was not taken. `message` is what it said."""

    lease: Lease
    provider_id: str = ""
    failure: Failure | None = None
    message: Message | None = None


def finish_surely(answers: Iterable[Answer]) -> list[Notification]:
    """Write down what became of messages, again and again while the database is away.

    Those that were sent in one transaction, each of the others in its own. Returns the notifications that still were
    their leases'. Raises the database's error when that takes too long, once the others have had their turn.
    """
    answers = list(answers)
    sent = [answer for answer in answers if not answer.failure]
    finished: list[Notification] = []
    fault: DatabaseError | None = None
    until = time.monotonic() + PATIENCE_SECONDS
    groups = [sent] if sent else []
    groups += [[answer] for answer in answers if answer.failure]
    while groups:
        group = groups.pop(0)
        try:
            finished += _write_surely(group, until=until)
        except DatabaseError as error:
            if connection.in_atomic_block:
                raise
            if len(group) > 1 and not isinstance(error, AWAY):
                groups += [[answer] for answer in group]  # it is one of them
            else:
                fault = error
    if fault:
        raise fault
    return finished


def _write_surely(group: Sequence[Answer], *, until: float) -> list[Notification]:
    while True:
        try:
            if len(group) > 1:
                return finish_sent(group)
            [only] = group
            return finish(
                only.lease, provider_id=only.provider_id, failure=only.failure, message=only.message
            )
        except AWAY as error:
            if connection.in_atomic_block or time.monotonic() > until:
                raise
            logger.warning("results of %s messages cannot be written yet: %s", len(group), error)
            connection.close()
            time.sleep(PAUSE_SECONDS)


@transaction.atomic
def finish(
    lease: Lease, *, provider_id: str = "", failure: Failure | None = None, message: Message | None = None
) -> list[Notification]:
    """Write down what became of a message. Returns the notifications that still were the lease's.

    Those whose lease had run out belong to somebody else by now, and only their attempts are completed. Repeating
    it changes nothing. A failure is none when the provider has told meanwhile that it has the message.
    """
    if failure is None:
        return finish_sent([Answer(lease, provider_id, message=message)])
    now = timezone.now()
    notifications = held_by(lease)
    if not failure.permanent and (told := _told_of(lease)):
        return finish_sent([Answer(lease, told.provider_id, message=message)])
    attempts = _complete([Answer(lease, failure=failure)], now)
    _fail(notifications, failure, message, lease.account, now)
    _tell(notifications)
    _publish(notifications[:1])
    if attempts:
        _tell_account(lease, failure, now)
        _count_failed_on_commit(lease, notifications, failure)
    return notifications or list(
        Notification.objects.filter(request_id=lease.request_id, needs_fallback=True)
    )


def _told_of(lease: Lease) -> DeliveryAttempt | None:
    """The attempt of the message that its provider has told of (receipts.py): its answer alone was lost."""
    attempts = DeliveryAttempt.objects.filter(request_id=lease.request_id).exclude(receipt=Receipt.NOTHING)
    return next((attempt for attempt in attempts if attempt.has_arrived), None)


SENT = """
WITH locked AS MATERIALIZED (
    SELECT n.id FROM notifications_notification n
    JOIN json_to_recordset(%s::json) AS k (id uuid, request_id uuid) ON n.id = k.id AND n.request_id = k.request_id
    WHERE n.status = 'sending' ORDER BY n.id FOR UPDATE OF n
)
UPDATE notifications_notification n
SET status = 'sent', sent_at = %s, hold = '', last_error = '', needs_fallback = false, updated_at = %s
FROM locked WHERE n.id = locked.id RETURNING n.id::text
"""


@transaction.atomic
def finish_sent(answers: Sequence[Answer]) -> list[Notification]:
    """`finish` for messages that all were taken, in a fixed number of queries."""
    now = timezone.now()
    leased = {n.id_text: n for answer in answers for n in answer.lease.notifications}
    rows = [{"id": n.id_text, "request_id": n.request_id} for n in leased.values()]
    ours = {pk for (pk,) in sql.fetch(SENT, [sql.as_json(rows), now, now])}
    notifications = [n for pk, n in leased.items() if pk in ours]
    for n in notifications:
        n.status, n.sent_at, n.updated_at = NotificationStatus.SENT, now, now
        n.hold, n.last_error, n.needs_fallback = "", "", False
    attempts = _complete(answers, now)
    _mend_methods(notifications)
    _tell(notifications)
    _publish(
        answer.lease.notifications[0] for answer in answers if answer.lease.notifications[0].id_text in ours
    )
    _heed(answers, ours, attempts, now)
    for account in sorted({answer.lease.account for answer in answers}):
        if attempts and accounts.succeeded(account, now=now):
            _release(account, now)
    if attempts:
        _count_sent_on_commit(answers, notifications)
    return notifications


def _count_sent_on_commit(answers: Sequence[Answer], notifications: Sequence[Notification]) -> None:
    for account in {answer.lease.account for answer in answers}:
        messages = [answer.lease for answer in answers if answer.lease.account == account]
        theirs = {n.pk for lease in messages for n in lease.notifications}
        sent = [n for n in notifications if n.pk in theirs]
        count = partial(count_sent, account, messages=len(messages), notifications=sent)
        transaction.on_commit(count, robust=True)


def _count_failed_on_commit(lease: Lease, notifications: Iterable[Notification], failure: Failure) -> None:
    count = partial(
        count_failed,
        lease.account,
        is_dead=any(n.status == NotificationStatus.DEAD for n in notifications),
        is_permanent=failure.permanent,
        is_asked_to_wait=failure.retry_after is not None,
    )
    transaction.on_commit(count, robust=True)


COMPLETE = """
UPDATE notifications_deliveryattempt a
SET status = k.status, finished_at = %s, updated_at = %s, provider_id = k.provider_id, error = k.error,
    is_permanent = k.is_permanent
FROM json_to_recordset(%s::json) AS k (id uuid, status text, provider_id text, error text, is_permanent boolean)
WHERE a.id = k.id AND a.status IN ('started', 'abandoned') RETURNING a.notification_id::text, a.receipt, a.receipt_detail
"""


# Of which page a provider has told already, by the page's id.
Receipts = dict[str, Told]


def _complete(answers: Iterable[Answer], now: datetime) -> Receipts:
    """Complete the messages' attempts. Returns what is known of those that were not completed before."""
    rows = [
        {
            "id": attempt.id_text,
            "status": AttemptStatus.FAILED if answer.failure else AttemptStatus.SENT,
            "provider_id": answer.provider_id[:255],
            "error": answer.failure.error if answer.failure else "",
            "is_permanent": bool(answer.failure and answer.failure.permanent),
        }
        for answer in answers
        for attempt in answer.lease.attempts
    ]
    completed = sql.fetch(COMPLETE, [now, now, sql.as_json(rows)])
    return {page: Told(Receipt(receipt), detail) for page, receipt, detail in completed}


def _heed(answers: Iterable[Answer], ours: Collection[str], receipts: Receipts, now: datetime) -> None:
    """The provider was quicker than we, and has told that a message which it took did not arrive (receipts.py)."""
    for answer in answers:
        pages = [n for n in answer.lease.notifications if n.id_text in ours and n.id_text in receipts]
        for told in {receipts[n.id_text] for n in pages}:
            of_it = [n for n in pages if receipts[n.id_text] == told]
            if told.is_unheard:
                for notification in of_it:
                    want_fallback(notification)
                    notification.save(update_fields=["needs_fallback", "updated_at"])
            elif told.receipt.is_failure:
                failure = Failure(told.words, permanent=True)
                bury(of_it, failure, answer.message, account=answer.lease.account, now=now)


def _mend_methods(notifications: Iterable[Notification]) -> None:
    methods = {n.contact_method.pk: n.contact_method for n in notifications if n.contact_method}
    for _, method in sorted(methods.items()):
        if method.broken_at:
            contacts.mark_working(method)


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
        break_method(notifications, failure, account, now)
    dead = [
        n
        for n in notifications
        if n.status == NotificationStatus.DEAD and n.purpose != Purpose.TEST and n.incident
    ]
    if dead:
        dead_letters.tell_operations(dead[0], account=account, now=now)


def break_method(notifications: list[Notification], failure: Failure, account: str, now: datetime) -> None:
    """The address of these is no good for any message; its owner is told."""
    method = notifications[0].contact_method if notifications else None
    if method and contacts.mark_broken(method, reason=failure.error, now=now):
        notices.tell_owner_of_broken_method(method, reason=failure.error, account=account, now=now)


def _tell_account(lease: Lease, failure: Failure, now: datetime) -> None:
    if failure.permanent and not failure.is_ours:
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
    waiting = Notification.objects.filter(
        status=NotificationStatus.PENDING, channel__in=channels_of(account), due_at__lte=now, wake_at__gt=now
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


def _publish(heads: Iterable[Notification]) -> None:
    """Tell people's open pages, once for each message."""
    rooms.publish_to_users(
        (
            head.user_id,
            "notification.sent" if head.status == NotificationStatus.SENT else "notification.failed",
            {"notification_id": head.id_text},
        )
        for head in heads
    )
