"""Two beats never send the same tick twice, and one that dies is soon replaced."""

import signal
import time
from collections import Counter
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask, PeriodicTasks
from kombu import Connection

from openalert.models import Election
from openalert.scheduler import OFFICE_SECONDS, ElectedScheduler
from openalert.tests.stack import Stack, eventually

pytestmark = pytest.mark.django_db(transaction=True)
TICK = "escalations.tasks.tick"
RARE = "teams.tasks.look_ahead"


@pytest.fixture
def stack():
    stack = Stack()
    yield stack
    stack.stop()


class Sent:
    """What beats have put into the queues, which nobody empties."""

    def __init__(self, url):
        self._broker = Connection(url)

    def tasks(self):
        found = Counter()
        client = self._broker.default_channel.client
        for queue in ("openalert", "delivery"):
            for text in client.lrange(queue, 0, -1):
                found[self._task(text)] += 1
        return found

    @staticmethod
    def _task(text):
        import json

        return json.loads(text)["headers"]["task"]


def holder():
    row = Election.objects.filter(name="beat", until__gt=timezone.now()).first()
    return row.holder if row else None


@pytest.mark.timeout(180)
def test_of_two_beats_one_sends_and_the_other_takes_over(stack, settings):
    sent = Sent(settings.CELERY_BROKER_URL)
    beats = [stack.start_beat(), stack.start_beat()]
    eventually(lambda: sent.tasks()[TICK], within=40, what="a beat ticks")
    time.sleep(2)  # the second has started by now, or does meanwhile
    eventually(holder, within=5)
    # Due now, and then not for six hours.
    PeriodicTask.objects.filter(task=RARE).update(last_run_at=timezone.now() - timedelta(days=2))
    PeriodicTasks.update_changed()
    eventually(lambda: sent.tasks()[RARE], within=10, what="what is rare is sent")
    before, began = sent.tasks(), time.monotonic()
    time.sleep(10)
    after, seconds = sent.tasks(), time.monotonic() - began
    ticks = after[TICK] - before[TICK]
    assert seconds - 2 <= ticks <= seconds + 1, "one a second, not two"
    assert after[RARE] == 1

    first = holder()
    pid = int(first.split(":")[1])
    [active] = [beat for beat in beats if beat._child.pid == pid]
    active.kill()
    eventually(lambda: holder() not in (None, first), within=OFFICE_SECONDS + 10, what="the other is elected")
    before, began = sent.tasks(), time.monotonic()
    time.sleep(5)
    ticks = sent.tasks()[TICK] - before[TICK]
    assert ticks >= 3, "the other one ticks"
    assert sent.tasks()[RARE] == 1, "what was sent before it was elected is not sent again"


@pytest.mark.timeout(180)
def test_beat_that_was_frozen_sends_nothing_while_another_is_elected(stack, settings):
    sent = Sent(settings.CELERY_BROKER_URL)
    frozen = stack.start_beat()
    eventually(lambda: sent.tasks()[TICK], within=40)
    frozen.send(signal.SIGSTOP)
    other = stack.start_beat()
    first = f":{frozen._child.pid}:"
    eventually(
        lambda: first not in (holder() or first), within=OFFICE_SECONDS + 40, what="another is elected"
    )
    frozen.send(signal.SIGCONT)
    time.sleep(1)
    before, began = sent.tasks()[TICK], time.monotonic()
    time.sleep(6)
    ticks = sent.tasks()[TICK] - before
    assert ticks <= time.monotonic() - began + 1
    assert first not in holder()
    assert other.is_running


@pytest.mark.timeout(120)
def test_beat_that_ends_leaves_its_office_at_once(stack, settings):
    sent = Sent(settings.CELERY_BROKER_URL)
    beat = stack.start_beat()
    eventually(lambda: sent.tasks()[TICK], within=40)
    beat.send(signal.SIGTERM)
    eventually(lambda: not beat.is_running, within=20)
    assert holder() is None


@pytest.mark.timeout(120)
def test_beat_that_is_ended_in_the_middle_of_a_query_ends(stack, settings):
    sent = Sent(settings.CELERY_BROKER_URL)
    beat = stack.start_beat()
    eventually(lambda: sent.tasks()[TICK], within=40)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE openalert_election IN EXCLUSIVE MODE")
        eventually(lambda: is_waited_for(cursor), within=20, what="beat waits for the lock")
        beat.send(signal.SIGTERM)
        time.sleep(0.5)  # it has heard by now
    eventually(lambda: not beat.is_running, within=20)
    assert holder() is None


def is_waited_for(cursor):
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'openalert_election'::regclass"
    )
    return cursor.fetchone()[0] > 0


def test_scheduler_that_is_not_elected_sends_nothing(monkeypatch, settings):
    settings.CELERY_BEAT_SCHEDULE = {}
    Election.objects.create(name="beat", holder="somebody else", until=timezone.now() + timedelta(hours=1))
    scheduler = ElectedScheduler(current_app._get_current_object())
    monkeypatch.setattr(scheduler, "send_task", lambda *a, **k: pytest.fail("sent"))
    assert scheduler.tick() == 1.0
    assert PeriodicTask.objects.filter(last_run_at__isnull=False).count() == 0
