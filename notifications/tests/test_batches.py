"""Many pages at once: few statements, several calls at the same time, and nobody waits for what is slow."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, OperationalError, connection

from incidents import lifecycle
from incidents.models import LiveEvent
from incidents.timeline import SYSTEM
from notifications import leases, outbox, results, waking
from notifications.enums import AttemptStatus, Channel, Hold, NotificationStatus
from notifications.exceptions import DeliveryError
from notifications.lease_keeper import keeper
from notifications.models import DeliveryAttempt, Notification, ProviderAccount
from notifications.slots import Slots
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from notifications.tests.recorder import Recorder
from notifications.transports import TRANSPORTS
from openalert.wake import waker

PENDING, SENDING, SENT = NotificationStatus.PENDING, NotificationStatus.SENDING, NotificationStatus.SENT


class Desk(Recorder):
    """A transport whose calls take until somebody lets them go, by address."""

    def __init__(self):
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.gates = {}
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def send(self, message):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.begun.release()
        try:
            if gate := self.gates.get(message.address):
                assert gate.wait(20)
            return super().send(message)
        finally:
            with self.lock:
                self.inside -= 1


@pytest.fixture
def desk(monkeypatch):
    desk = Desk()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, desk)
    return desk


def pages_in_app(count):
    return [
        NotificationFactory(contact_method=ContactMethodFactory(channel=Channel.IN_APP)) for _ in range(count)
    ]


def deliver(pages):
    outbox.deliver_all([page.pk for page in pages])


def statuses():
    return set(Notification.objects.values_list("status", flat=True))


def in_order(pages):
    return [Notification.objects.get(pk=page.pk).status for page in pages]


@pytest.mark.parametrize("count", [2, 30])
def test_pages_in_the_app_take_the_same_queries_for_many(db, clock, count, django_assert_num_queries):
    pages = pages_in_app(count)
    with django_assert_num_queries(17):
        deliver(pages)
    assert statuses() == {SENT}
    assert DeliveryAttempt.objects.filter(status=AttemptStatus.SENT).count() == count
    toasts = LiveEvent.objects.filter(kind="toast").values_list("user_id", flat=True)
    assert sorted(toasts) == sorted(page.user_id for page in pages)
    assert [page.incident.timeline.count() for page in pages] == [1] * count


def test_what_fails_together_is_one_failure_of_the_provider(db, clock, monkeypatch):
    pages = pages_in_app(20)

    def fail(messages):
        raise OperationalError("no room")

    monkeypatch.setattr(TRANSPORTS[Channel.IN_APP], "send_together", fail)
    deliver(pages)
    assert (statuses(), ProviderAccount.objects.get().failures) == ({PENDING}, 1)
    assert set(Notification.objects.values_list("attempt_count", flat=True)) == {1}


def test_a_message_that_cannot_be_rendered_keeps_no_other_from_going(db, clock, monkeypatch):
    pages = pages_in_app(3)
    render = outbox.messages.render

    def fail(notification):
        if notification.pk == pages[1].pk:
            raise KeyError("oops")
        return render(notification)

    monkeypatch.setattr(outbox.messages, "render", fail)
    deliver(pages)
    assert in_order(pages) == [SENT, PENDING, SENT]
    assert not ProviderAccount.objects.exists()


def test_several_calls_run_at_once_and_no_more_than_there_are_slots(transactional_db, desk, monkeypatch):
    monkeypatch.setattr(outbox, "slots", Slots(3))
    pages = [NotificationFactory() for _ in range(8)]
    gate = threading.Event()
    desk.gates = {page.address: gate for page in pages}
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(in_a_thread, half) for half in (pages[:4], pages[4:])]
        for _ in range(3):
            assert desk.begun.acquire(timeout=20)
        leased = Notification.objects.filter(status=SENDING).count()
        gate.set()
        for call in calls:
            call.result(30)
    assert (leased, desk.most, len(desk.messages)) == (3, 3, 8)
    assert (statuses(), keeper.count) == ({SENT}, 0)
    assert outbox.slots.take(9, patiently=False) == 3


def in_a_thread(pages):
    try:
        deliver(pages)
    finally:
        connection.close()


def test_what_is_done_is_written_down_while_another_call_is_slow(transactional_db, desk):
    slow, *others = [NotificationFactory() for _ in range(4)]
    desk.gates[slow.address] = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(in_a_thread, [slow, *others])
        try:
            for _ in range(200):
                if Notification.objects.filter(status=SENT).count() == 3:
                    break
                threading.Event().wait(0.05)
            slow.refresh_from_db()
            assert (slow.status, statuses()) == (SENDING, {SENDING, SENT})
        finally:
            desk.gates[slow.address].set()
        call.result(30)
    assert statuses() == {SENT}


def test_what_was_answered_while_another_call_was_slow_is_not_sent(transactional_db, desk, monkeypatch):
    """There is one slot: the second page is leased only when the first call is over."""
    monkeypatch.setattr(outbox, "slots", Slots(1))
    slow, answered = NotificationFactory(), NotificationFactory()
    desk.gates[slow.address] = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(in_a_thread, [slow, answered])
        assert desk.begun.acquire(timeout=20)
        lifecycle.acknowledge(incident_id=answered.incident_id, actor=SYSTEM)
        desk.gates[slow.address].set()
        call.result(30)
    assert desk.addresses == [slow.address]
    answered.refresh_from_db()
    assert answered.status == NotificationStatus.CANCELLED


def test_the_fault_of_one_call_loses_no_other_result(transactional_db, desk):
    pages = [NotificationFactory() for _ in range(3)]
    desk.faulty = {pages[0].address: SystemExit(), pages[1].address: DeliveryError("busy")}
    with pytest.raises(SystemExit):
        deliver(pages)
    assert (in_order(pages), keeper.count) == ([SENDING, PENDING, SENT], 0)


def test_results_that_cannot_be_written_together_are_written_one_by_one(transactional_db, monkeypatch):
    pages = pages_in_app(3)
    finish = results.finish

    def refuse(answers):
        raise IntegrityError("one of them")

    def refuse_one(lease, **result):
        if lease.notifications[0].pk == pages[1].pk:
            raise IntegrityError("this one")
        return finish(lease, **result)

    written = results.finish_sent
    monkeypatch.setattr(
        results, "finish_sent", lambda answers: refuse(answers) if len(answers) > 1 else written(answers)
    )
    monkeypatch.setattr(results, "finish", refuse_one)
    with pytest.raises(IntegrityError):
        deliver(pages)
    assert in_order(pages) == [SENT, SENDING, SENT]


def test_the_most_urgent_of_many_get_the_places_of_a_limit(clock, db, provider, settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 5
    settings.BUNDLE_ABOVE_PER_MINUTE = 0
    pages = [NotificationFactory(priority=priority) for priority in (3, 2, 3, 1, 0, 0)]
    for start in (0, 3):  # what one call leaves is the next one's
        for page in pages[start : start + 3]:
            outbox.deliver_all([page.pk])
    waiting = Notification.objects.filter(hold=Hold.LIMIT)
    assert (len(provider.messages), waiting.count()) == (5, 1)


def test_only_one_of_many_tries_a_failing_provider(clock, db, provider):
    pages = [NotificationFactory() for _ in range(5)]
    ProviderAccount.objects.create(name="recorder", failures=8, open_until=clock.now, openings=1)
    taken = leases.take_all([page.pk for page in pages])
    assert [isinstance(one, leases.Lease) and one.is_probe for one in taken] == [True] + [False] * 4
    assert Notification.objects.filter(hold=Hold.BREAKER, status=PENDING).count() == 4


def test_a_probe_that_nobody_needs_is_given_back(clock, db, provider, settings):
    """All that is due waits for its bundle."""
    settings.BUNDLE_ABOVE_PER_MINUTE = 1
    page = NotificationFactory()
    outbox.deliver(page.pk)
    ProviderAccount.objects.create(name="recorder", failures=8, open_until=clock.now, openings=1)
    other = NotificationFactory(user=page.user, contact_method=page.contact_method)
    assert [type(one) for one in leases.take_all([other.pk])] == [leases.Held]
    assert ProviderAccount.objects.get().open_until <= clock.now


def test_a_wake_up_names_many_pages_of_one_urgency(transactional_db, monkeypatch):
    sent = []
    monkeypatch.setattr(waker, "send", lambda task, args, priority: sent.append((priority, len(args))))
    in_app = [NotificationFactory.build(channel=Channel.IN_APP, priority=n % 2) for n in range(250)]
    by_email = [NotificationFactory.build(channel=Channel.EMAIL, priority=0) for _ in range(20)]
    waking.wake_senders([*in_app, *by_email])
    assert sent == [(0, 16), (0, 4), (0, 100), (0, 25), (1, 100), (1, 25)]
