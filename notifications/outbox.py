"""The outbox: what is to be sent is a row, written in the transaction that decided it.

A worker leases the row and commits the attempt before it calls the transport, and writes the result after
(leases.py, lease_keeper.py, results.py); no transaction is open during the call. The sweep wakes what a dead worker or a
flushed broker left behind, and senders look for it themselves (standby.py). A worker that dies between the transport's answer and the commit makes a duplicate: better than silence.
What a page may have to wait for is decided by quiet.py, bundles.py, accounts.py and limits.py, and where it goes
when it fails, by fallback.py and dead_letters.py.
"""

import contextvars
import dataclasses
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils import timezone

from incidents.enums import Severity, Urgency
from incidents.models import Incident
from openalert import sql
from openalert.wake import wake, waker
from teams.models import User

from . import contacts, fallback, leases, limits, messages, quiet, results
from .enums import UNFINISHED, Channel, Hold, NotificationStatus, Purpose
from .exceptions import ContactMethodDisabled, ContactMethodUnverified, DeliveryError, TooManyTestPages
from .lease_keeper import keeper
from .leases import Held, Known, Lease
from .models import ContactMethod, Notification
from .results import Answer, Failure
from .slots import slots
from .transports import TRANSPORTS, Message, account_of, sends_together
from .waking import FALL_BACK_TASK, GRACE, TOGETHER, wake_senders

logger = logging.getLogger(__name__)

SWEEP_BATCH = 500
MOST_TESTS_PER_MINUTE = 10
# So long the first call that is done waits for others, to be written down with them.
COMMIT_SECONDS = 0.005

_threads = ThreadPoolExecutor(256, thread_name_prefix="send")  # slots say how many are used


@dataclass(frozen=True)
class PageRequest:
    """Page `user` about `incident`, for the step that the next three name; or tell them that nobody answered."""

    user: User
    incident: Incident
    run_id: UUID
    loop: int
    step: int
    purpose: Purpose = Purpose.PAGE
    urgency: Urgency | None = None  # instead of the incident's, if that is higher

    @property
    def severity(self) -> Severity:
        """How urgently it is told: the incident's severity, but no more than the urgency that is given."""
        severity = Severity(self.incident.severity)
        return (
            max(severity, Severity.MEDIUM, key=lambda s: s.rank) if self.urgency == Urgency.LOW else severity
        )


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
    for urgency in {r.severity.urgency for r in requests}:
        users = {r.user.pk: r.user for r in requests if r.severity.urgency == urgency}
        by_urgency[urgency] = contacts.rules_for(users.values(), urgency)
    windows = quiet.windows_of({r.user for r in requests if r.severity != Severity.CRITICAL})
    for request in requests:
        severity = request.severity
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
    sql.insert(notifications, ignore_conflicts=True)
    wake_senders(notification for notification in notifications if notification.due_at <= now)
    return unreachable


def send_test(*, user: User, contact_method: ContactMethod) -> Notification:
    """Send a test page by one of the person's own methods.

    One that arrives mends a method that was marked as broken. Raises ContactMethodDisabled,
    ContactMethodUnverified and TooManyTestPages: the address may be anybody's, and nobody is flooded from here,
    whoever asks.
    """
    if not contact_method.is_enabled:
        raise ContactMethodDisabled
    if not contact_method.is_verified:
        raise ContactMethodUnverified
    since = timezone.now() - timedelta(minutes=1)
    sent = Notification.objects.filter(user=user, purpose=Purpose.TEST, created_at__gt=since)
    if sent.count() >= MOST_TESTS_PER_MINUTE:
        raise TooManyTestPages
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
    wake_senders([notification])
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
            wake_senders([notification])
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
    wake_senders(due)
    for pk in fallbacks_left_behind(limit=SWEEP_BATCH, now=now):
        wake(FALL_BACK_TASK, str(pk))
    return len(due)


@transaction.atomic
def take_left_behind(*, limit: int, now: datetime | None = None) -> list[UUID]:
    """What is due and has no wake-up on its way, the most urgent first, for the caller to deliver.

    Nobody else is given them until GRACE is over, so a caller that dies delays them by no more.
    """
    return [page.pk for page in _take_due(limit, now or timezone.now())]


def fallbacks_left_behind(*, limit: int, now: datetime | None = None) -> list[UUID]:
    """The pages whose other way nobody has found for a while, for the caller to find (`fallback.fall_back`)."""
    now = now or timezone.now()
    left_behind = Notification.objects.filter(needs_fallback=True, updated_at__lte=now - GRACE)
    return list(left_behind.order_by("updated_at").values_list("pk", flat=True)[:limit])


def _take_due(limit: int, now: datetime) -> list[Notification]:
    """What is due, the most urgent first, with what a wake-up says of it; it is put off by GRACE."""
    due = list(
        Notification.objects.select_for_update(skip_locked=True)
        .filter(status__in=UNFINISHED, wake_at__lte=now)
        .order_by("priority", "wake_at")
        .only("priority", "channel")[:limit]
    )
    if due:
        Notification.objects.filter(pk__in=[page.pk for page in due]).update(wake_at=now + GRACE)
    return due


def deliver(notification_id: UUID) -> None:
    """Send one notification; see `deliver_all`."""
    deliver_all([notification_id])


def deliver_all(notification_ids: Iterable[UUID]) -> None:
    """Send those of the notifications that are due, still needed and that nobody else is sending.

    Repeating it, or doing it twice at once, is harmless. Failures are kept in the rows and tried again by
    the sweep; nothing is raised for a transport's sake.
    """
    messages.load()  # before anything is leased: an answer is to stop what is not handed over
    together, apart = _within_limits(list(notification_ids))
    for start in range(0, len(together), TOGETHER):
        _send_together(together[start : start + TOGETHER])
    if len(apart) == 1:
        _send_one(apart[0])
    elif apart:
        _send_apart(apart)


def _within_limits(notification_ids: list[UUID]) -> tuple[list[UUID], list[UUID]]:
    """Those that are due and whose providers' limits are not used up, which hold the others back; the urgent ones first.

    First those of transports that take many together, then the others.
    """
    now = timezone.now()
    due = Notification.objects.filter(pk__in=notification_ids, status__in=UNFINISHED, due_at__lte=now)
    waits: dict[tuple[str, bool], timedelta | None] = {}
    within: dict[bool, list[UUID]] = {True: [], False: []}
    beyond: dict[timedelta, list[UUID]] = {}
    for pk, channel, address, priority in due.order_by("priority", "due_at", "pk").values_list(
        "pk", "channel", "address", "priority"
    ):
        transport, is_critical = TRANSPORTS[Channel(channel)], priority == Severity.CRITICAL.rank
        kind = account_of(channel, address), is_critical
        if kind not in waits:
            waits[kind] = limits.look(kind[0], is_critical=is_critical, now=now)
        if span := waits[kind]:
            beyond.setdefault(span, []).append(pk)
        else:
            within[sends_together(transport)].append(pk)
    for span, ids in beyond.items():
        held = leases.hold_for_limit(ids, until=now + span)
        _fall_back(one.notification_id for one in held if one.needs_fallback)
    return within[True], within[False]


def _send_together(notification_ids: Sequence[UUID]) -> None:
    """Hand over what transports take many of in one call, in this thread."""
    taken = _take(notification_ids)
    try:
        by_channel: dict[Channel, list[Lease]] = {}
        for lease in taken:
            by_channel.setdefault(lease.channel, []).append(lease)
        for channel, of_channel in by_channel.items():
            _finish(_hand_over_together(channel, of_channel))
    finally:
        keeper.release(taken)


def _send_one(notification_id: UUID) -> None:
    """Hand over one message in this thread."""
    taken: list[Lease] = []
    try:
        slots.take(1, patiently=True)
        try:
            taken = _take([notification_id])
            answers = [_hand_over(lease) for lease in taken]
        finally:
            slots.give_back(1)
        _finish(answers)
    finally:
        keeper.release(taken)


def _send_apart(notification_ids: Sequence[UUID]) -> None:
    """Hand over messages that are a call each, several at once, as many as this process may.

    A page is leased when its call can begin. What is done is written down with whatever else is done by then, and
    waits for nothing that is slow. A fault ends it once all that had begun is written down.
    """
    waiting = deque(notification_ids)
    calls: dict[Future[Answer], Lease] = {}
    fault: BaseException | None = None
    while waiting or calls:
        try:
            if waiting:
                _begin(waiting, calls)
            if calls:
                _finish_done(calls)
        except BaseException as error:
            fault = fault or error
            waiting.clear()
    if fault:
        raise fault


def _begin(waiting: deque[UUID], calls: dict[Future[Answer], Lease]) -> None:
    """Begin as many calls as there are slots for; wait for one when none is running."""
    count = slots.take(len(waiting), patiently=not calls)
    try:
        for lease in _take([waiting.popleft() for _ in range(count)]):
            calls[_threads.submit(contextvars.copy_context().run, _call, lease)] = lease
            count -= 1  # it gives its slot back itself
    finally:
        slots.give_back(count)


def _call(lease: Lease) -> Answer:
    try:
        return _hand_over(lease)
    finally:
        connection.close()  # back to the pool
        slots.give_back(1)


def _finish_done(calls: dict[Future[Answer], Lease]) -> None:
    """Write down the calls that are done, and wait for one if none is."""
    wait(calls, return_when=FIRST_COMPLETED)
    if len(calls) > 1:
        wait(calls, timeout=COMMIT_SECONDS)
    done = [call for call in calls if call.done()]
    leases_done = [calls.pop(call) for call in done]
    try:
        _finish([call.result() for call in done if not call.exception()])
        for call in done:
            call.result()
    finally:
        keeper.release(leases_done)


def _take(notification_ids: Sequence[UUID]) -> list[Lease]:
    """Lease what may go out now, within the providers' limits; the leases are kept until they are released."""
    if not notification_ids:
        return []
    found = leases.take_all(notification_ids)
    taken = [lease for lease in found if isinstance(lease, Lease)]
    keeper.hold(taken)
    try:
        return _keep_to_limits(found, taken)
    except BaseException:
        keeper.release(taken)  # nobody will send them: others are to take over soon
        raise


def _keep_to_limits(found: Sequence[Lease | Held | Known], taken: list[Lease]) -> list[Lease]:
    """Those of the leases for which the limits have places; the others are given back."""
    _finish([Answer(one.lease, one.provider_id) for one in found if isinstance(one, Known)])
    held = {one.notification_id for one in found if isinstance(one, Held) and one.needs_fallback}
    for lease in list(taken):
        now = timezone.now()
        if span := limits.take(lease.account, lease.request_id, is_critical=lease.is_critical, now=now):
            taken.remove(lease)
            given_back = leases.give_back(lease, until=now + span)
            held |= {notification.pk for notification in given_back if notification.needs_fallback}
            keeper.release([lease])
    _fall_back(held)
    return taken


def _finish(answers: Sequence[Answer]) -> None:
    """Write down what became of messages."""
    try:
        finished = results.finish_surely(answers)
    finally:
        keeper.release(answer.lease for answer in answers)
    _fall_back(notification.pk for notification in finished if notification.needs_fallback)


def _fall_back(notification_ids: Iterable[UUID]) -> None:
    for pk in notification_ids:
        try:
            fallback.fall_back(pk)
        except DatabaseError as error:
            if connection.in_atomic_block:
                raise
            logger.warning("another way for page %s is left to the sweep: %s", pk, error)


def _hand_over(lease: Lease) -> Answer:
    """Call the transport, outside any transaction."""
    said = _prepare(lease)
    if isinstance(said, Answer):
        return said
    try:
        return Answer(lease, TRANSPORTS[lease.channel].send(said), message=said)
    except Exception as error:
        return Answer(lease, failure=_failure(lease, error), message=said)


def _hand_over_together(channel: Channel, of_channel: Sequence[Lease]) -> list[Answer]:
    """Call a transport that takes many messages at once."""
    transport = TRANSPORTS[channel]
    assert sends_together(transport)
    prepared = [(lease, _prepare(lease)) for lease in of_channel]
    answers = [said for _, said in prepared if isinstance(said, Answer)]
    messages = [(lease, said) for lease, said in prepared if isinstance(said, Message)]
    if not messages:
        return answers
    try:
        ids = transport.send_together([message for _, message in messages])
    except Exception as error:
        failure = _failure(messages[0][0], error)
        for lease, message in messages:
            answers.append(Answer(lease, failure=failure, message=message))
            failure = dataclasses.replace(failure, is_ours=True)  # one call is one failure of the provider
        return answers
    return answers + [Answer(lease, pk) for (lease, _), pk in zip(messages, ids, strict=True)]


def _prepare(lease: Lease) -> Message | Answer:
    """What is to be handed over, or why nothing is."""
    transport = TRANSPORTS[lease.channel]
    if lease.deaths >= leases.MOST_DEATHS:
        # Not one of them came to an end: whatever kills or stops its senders is not to go on for ever.
        reason = "its senders died or were too slow"
        return Answer(lease, failure=Failure(reason, permanent=True, is_ours=True))
    try:
        said = messages.render_together(lease.notifications)
    except Exception as error:
        return Answer(lease, failure=dataclasses.replace(_failure(lease, error), is_ours=True))
    if not transport.is_configured():
        return Answer(lease, failure=Failure(transport.why_off(), permanent=True, is_ours=True))
    return dataclasses.replace(said, request_id=str(lease.request_id))


def _failure(lease: Lease, error: Exception) -> Failure:
    if isinstance(error, DeliveryError):
        return Failure.of(error)
    # A transport's bug must not leave the row to its lease.
    logger.error("delivery of %s failed", lease.request_id, exc_info=error)
    return Failure(f"internal error: {error!r}")
