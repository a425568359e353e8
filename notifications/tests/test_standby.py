"""Pages whose wake-ups were lost are sent by the senders' own look."""

import threading

import pytest
from celery import Celery, current_app
from celery.signals import celeryd_after_setup
from django.db import OperationalError, connection

from incidents.tests.factories import IncidentFactory
from notifications import leases, messages, outbox, results, tasks, waking
from notifications.enums import Channel, NotificationStatus
from notifications.leases import LEASE
from notifications.models import Notification
from notifications.outbox import PageRequest
from notifications.slots import Slots
from notifications.standby import LeftBehind
from notifications.tests.factories import NotificationFactory
from notifications.tests.recorder import Recorder
from notifications.transports import TRANSPORTS
from openalert.ids import uuid7
from teams.tests.factories import UserFactory


class Gate(Recorder):
    """A transport that lets messages through once it is open, and knows the most that waited at once."""

    def __init__(self):
        super().__init__()
        self.is_open = threading.Event()
        self.lock = threading.Lock()
        self.waiting = self.most = 0
        self.sent = []

    def send(self, message):
        with self.lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        assert self.is_open.wait(20)
        with self.lock:
            self.waiting -= 1
            self.sent.append(message.notification_id)
        return "id"


@pytest.fixture
def gate(monkeypatch):
    gate = Gate()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, gate)
    return gate


def test_pages_left_behind_are_sent_once_and_no_more_at_once_than_allowed(
    transactional_db, gate, monkeypatch
):
    monkeypatch.setattr(outbox, "slots", Slots(3))
    pages = [NotificationFactory().pk for _ in range(7)]
    first, second = LeftBehind(2), LeftBehind(1)

    def look(standby):
        standby.look()
        connection.close()

    looks = [threading.Thread(target=look, args=[standby]) for standby in (first, second)]
    gate.is_open.set()
    for thread in looks:
        thread.start()
    for thread in looks:
        thread.join(20)
    first._pool.shutdown()
    second._pool.shutdown()
    assert sorted(gate.sent) == sorted(pages)
    assert gate.most <= 3
    assert set(Notification.objects.values_list("status", flat=True)) == {NotificationStatus.SENT}


def test_page_that_was_taken_waits_its_grace_before_another_takes_it(db, clock):
    page = NotificationFactory()
    assert outbox.take_left_behind(limit=9) == [page.pk]
    assert (outbox.take_left_behind(limit=9), outbox.sweep()) == ([], 0)
    clock.advance(seconds=waking.GRACE.total_seconds())
    assert outbox.sweep() == 1


@pytest.mark.parametrize("is_away", [True, False])
def test_page_is_free_for_senders_at_once_when_no_wake_up_can_come(db, clock, monkeypatch, is_away):
    user, incident = UserFactory(), IncidentFactory()
    monkeypatch.setattr(outbox.waker, "is_broker_away", is_away)
    outbox.page([PageRequest(user, incident, uuid7(), 0, 0)], now=clock.now)
    taken = outbox.take_left_behind(limit=9)
    assert set(taken) == (set(Notification.objects.values_list("pk", flat=True)) if is_away else set())


def test_result_is_written_when_the_database_is_back(transactional_db, gate, monkeypatch):
    page = NotificationFactory()
    finish, faults = results.finish, [OperationalError("the server is gone"), OperationalError("still")]

    def finish_later(lease, **result):
        if faults:
            raise faults.pop(0)
        return finish(lease, **result)

    monkeypatch.setattr(results, "finish", finish_later)
    monkeypatch.setattr(results, "PAUSE_SECONDS", 0)
    gate.is_open.set()
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, gate.sent) == (NotificationStatus.SENT, 1, [page.pk])


def test_result_that_was_written_though_the_answer_was_lost_is_written_once(db, gate):
    page = NotificationFactory()
    lease = leases.take(page.pk)
    results.finish(lease, provider_id="id")
    results.finish(lease, provider_id="id")
    assert page.incident.timeline.count() == 1


def test_result_that_cannot_be_written_for_long_is_given_up(transactional_db, gate, monkeypatch):
    page = NotificationFactory()

    def finish_never(lease, **result):
        raise OperationalError("the server is gone")

    monkeypatch.setattr(results, "finish", finish_never)
    monkeypatch.setattr(results, "PATIENCE_SECONDS", -1)
    gate.is_open.set()
    with pytest.raises(OperationalError):
        outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == NotificationStatus.SENDING, "its lease is to run out"


def test_page_that_needs_another_way_finds_it_without_wake_ups(db, clock, gate):
    page = NotificationFactory(needs_fallback=True)
    clock.advance(seconds=waking.GRACE.total_seconds())
    Notification.objects.update(wake_at=clock.now + LEASE)
    LeftBehind(1).look()
    page.refresh_from_db()
    assert (page.needs_fallback, page.fell_back_at) == (False, clock.now)


@pytest.mark.parametrize("queue", ["delivery", "openalert"])
def test_a_sender_loads_messages_before_it_takes_pages(queue, monkeypatch):
    loaded = []
    assert tasks.make_ready in [receiver() for _, receiver in celeryd_after_setup.receivers]
    monkeypatch.setattr(messages, "load", lambda: loaded.append(queue))
    ours = current_app._get_current_object()
    app = Celery(broker="memory://", set_as_current=False)
    try:
        worker = app.Worker(queues=[queue], pool="solo")  # the current application is the worker's then
        celeryd_after_setup.send(sender=worker.hostname, instance=worker, conf=app.conf)
    finally:
        ours.set_current()
        ours.set_default()  # the current one of threads that are yet to come
    assert loaded == (["delivery"] if queue == "delivery" else [])
