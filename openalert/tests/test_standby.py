"""What is due is done without broker and without beat."""

import socket
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from celery.signals import task_success
from django.conf import settings
from django.db import OperationalError
from django.utils import timezone

from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents import lifecycle
from incidents.enums import Severity
from incidents.timeline import SYSTEM
from notifications.enums import Channel, NotificationStatus
from notifications.models import Notification
from notifications.tests.factories import NotificationFactory
from openalert import standby
from openalert.embedded.places import Places
from openalert.embedded.servers import EmbeddedServers
from openalert.embedded.valkey import wait_for_valkey
from openalert.standby import Lookout
from openalert.tests.stack import Stack, eventually
from teams.tests.factories import ServiceFactory, UserFactory


class Task:
    """What Celery keeps of a task, as far as the standby cares; `fault` is what it raises."""

    def __init__(self, name, done):
        self.name, self.done, self.fault = name, done, None

    def __call__(self):
        if self.fault:
            raise self.fault
        self.done.append(self.name)


class Work:
    """An application with tasks of these names, and what they did."""

    def __init__(self, *names):
        self.done = []
        self.tasks = {name: Task(name, self.done) for name in names}


@pytest.fixture
def seconds(monkeypatch):
    """Adds to the standby's clock."""
    now = [1000.0]
    monkeypatch.setattr(standby.time, "monotonic", lambda: now[0])

    def move(by):
        now[0] += by

    return move


@pytest.fixture
def no_database(monkeypatch):
    monkeypatch.setattr(standby.connection, "close", lambda: None)


def test_standby_waits_until_nobody_asks_and_then_works_every_second(seconds, no_database):
    work = Work("tick")
    lookout = Lookout(work, ["tick"])
    assert lookout.look() == []
    seconds(standby.PATIENCE_SECONDS)
    assert (lookout.look(), lookout.look()) == (["tick"], ["tick"])
    lookout._note(sender=work.tasks["tick"])  # somebody asked
    assert lookout.look() == []
    seconds(standby.PATIENCE_SECONDS)
    assert lookout.look() == ["tick"]


@pytest.mark.parametrize("fault", [OperationalError("gone"), ValueError("a bug")])
def test_task_that_fails_keeps_no_other_from_its_turn(seconds, no_database, fault):
    work = Work("tick", "wake")
    lookout = Lookout(work, ["tick", "wake"])
    work.tasks["tick"].fault = fault
    seconds(standby.PATIENCE_SECONDS)
    assert lookout.look() == ["wake"]
    work.tasks["tick"].fault = None
    assert lookout.look() == ["tick", "wake"]


def test_standby_hears_what_the_workers_carry_out(monkeypatch, no_database):
    monkeypatch.setattr(standby, "INTERVAL_SECONDS", 0.01)
    work = Work("tick")
    lookout = Lookout(work, ["tick"])
    lookout._told_at["tick"] = before = -1e9
    lookout.start()
    try:
        eventually(lambda: work.done, within=10, what="it works by itself")
        task_success.send(sender=work.tasks["tick"], result=None)
        eventually(lambda: lookout._told_at["tick"] > before, within=10, what="it has heard")
    finally:
        lookout.end()
    assert not lookout.is_alive()


def test_each_worker_stands_by_for_its_own_queues(settings):
    assert standby.tasks_of(["delivery"]) == ["notifications.tasks.deliver_left_behind"]
    assert "escalations.tasks.tick" in standby.tasks_of(["openalert"])
    assert standby.tasks_of(["another"]) == []


@pytest.fixture
def broker():
    """A Valkey of its own, to be killed and started again."""
    with tempfile.TemporaryDirectory(prefix="openalert-broker-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        with EmbeddedServers(Places(folder / "data"), durable=False) as servers:
            yield servers


@pytest.fixture
def hanging_mail_server():
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.timeout(180)
def test_worker_outlives_the_broker_that_it_has_tasks_from(transactional_db, broker, hanging_mail_server):
    # The standby does not look at them today, so the worker must be told.
    first, second = NotificationFactory.create_batch(2, wake_at=timezone.now() + timedelta(days=1))
    stack = Stack()
    stack.environment["REDIS_URL"] = broker.places.redis_url
    stack.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{hanging_mail_server}"
    valkey = broker.children[1]
    try:
        worker = stack.start_worker()
        tell(broker, first)
        eventually(first.attempts.exists, within=30, what="the worker is sending")
        valkey.kill()
        eventually(lambda: "Cannot connect to" in worker.output, within=30, what="it has noticed")
        valkey.restart()
        wait_for_valkey(valkey, broker.places, 0)
        tell(broker, second)
        eventually(second.attempts.exists, within=60, what="it is told again")
        assert worker.is_running
    finally:
        stack.stop()


def tell(broker, page):
    url = broker.places.redis_url.replace("unix://", "redis+socket://")
    with Celery("asks", broker=url, set_as_current=False) as asker:
        asker.send_task("notifications.tasks.deliver", args=[str(page.pk)], queue="delivery")


@pytest.mark.timeout(120)
def test_page_is_sent_while_there_is_no_broker_and_no_beat(transactional_db):
    service = ServiceFactory()
    policy = PolicyFactory(team=service.team, levels=[[UserFactory(name="ana")]])
    RoutingRuleFactory(team=service.team, policy=policy)
    stack = Stack()
    stack.environment["REDIS_URL"] = "redis://127.0.0.1:1/0"
    try:
        stack.start_worker()
        incident = lifecycle.open_by_hand(
            service=service, title="Redis is down", severity=Severity.CRITICAL, actor=SYSTEM
        )

        def page():
            return Notification.objects.filter(
                incident=incident, channel=Channel.EMAIL, status=NotificationStatus.SENT
            ).first()

        assert eventually(page, within=60, what="the page was sent").user.name == "ana"
    finally:
        stack.stop()


def test_whatever_beat_asks_for_each_second_is_done_without_it():
    each_second = {
        entry["task"]
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if entry["schedule"] <= timedelta(seconds=1)
    }
    # Senders look for what was left behind themselves.
    each_second.remove("notifications.tasks.sweep")
    assert set(settings.STANDBY["openalert"]) == each_second
