"""Wake-ups are in nobody's way."""

import threading

import pytest
from celery import current_app
from kombu import Connection

from openalert import wake
from openalert.tests.stack import eventually
from openalert.wake import Waker


@pytest.fixture
def broker(monkeypatch):
    return Broker(monkeypatch)


class Broker:
    """Takes what is sent once it is `free`; raises while it is `away`."""

    def __init__(self, monkeypatch):
        self.free, self.is_away, self.taken, self.asked = threading.Event(), False, [], 0
        monkeypatch.setattr(wake.current_app, "send_task", self.send_task)

    def send_task(self, task, args, **options):
        self.asked += 1
        assert self.free.wait(20)
        if self.is_away:
            raise ConnectionError("nobody listens")
        self.taken.append((task, *args))


def test_caller_does_not_wait_for_a_broker_that_hangs(broker):
    waker = Waker()
    waker.send("tick", ())
    waker.send("deliver", ("1",))
    assert broker.taken == []  # and yet we are here
    broker.free.set()
    eventually(lambda: broker.taken == [("tick",), ("deliver", "1")], within=10)


def test_wake_ups_wait_for_the_commit(transactional_db, broker):
    from django.db import transaction

    broker.free.set()
    with transaction.atomic():
        wake.wake("tick", "1")
        assert broker.asked == 0
    eventually(lambda: broker.taken == [("tick", "1")], within=10)


def test_what_waits_for_a_broker_that_is_away_is_dropped(broker, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(wake.time, "monotonic", lambda: now[0])
    waker = Waker()
    broker.is_away = True
    for number in range(5):
        waker.send("deliver", (str(number),))
    eventually(lambda: broker.asked == 1, within=10)
    broker.free.set()
    eventually(lambda: waker._paused_until > 0 and waker._waiting.empty(), within=10)
    assert waker.is_broker_away
    broker.is_away = False
    waker.send("deliver", ("too soon",))
    eventually(waker._waiting.empty, within=10)
    now[0] = wake.PAUSE_SECONDS
    waker.send("deliver", ("later",))
    eventually(lambda: broker.taken == [("deliver", "later")], within=10)
    assert broker.asked == 2
    eventually(lambda: not waker.is_broker_away, within=10)


def test_what_is_too_much_to_keep_is_dropped(broker, monkeypatch):
    monkeypatch.setattr(wake, "MAX_WAITING", 2)
    waker = Waker()
    waker.send("deliver", ("0",))
    eventually(lambda: broker.asked == 1, within=10)
    for number in range(1, 4):
        waker.send("deliver", (str(number),))
    assert waker._waiting.empty()
    broker.free.set()
    eventually(lambda: broker.taken == [("deliver", "0")], within=10)


def test_workers_take_the_most_urgent_first(settings, db):
    waker = Waker()
    for number, priority in enumerate((3, 2, 3, 0, 1)):
        waker.send("notifications.tasks.deliver", (str(number),), priority)
    with Connection(settings.CELERY_BROKER_URL) as broker:
        names = [f"delivery\x06\x16{rank}" if rank else "delivery" for rank in wake.PRIORITIES]
        count = broker.default_channel.client.llen
        eventually(lambda: sum(map(count, names)) == 5, within=10)
        queue = broker.SimpleQueue(current_app.amqp.queues["delivery"])
        taken = []
        for _ in range(5):
            message = queue.get(timeout=5)
            message.ack()
            taken.append(message.payload[0][0])
        queue.close()
    assert taken == ["3", "4", "1", "0", "2"]
