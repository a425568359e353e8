"""How many messages a provider gets in a minute."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis
from django.db import connection
from django.utils import timezone

from notifications import limits, outbox
from notifications.enums import Hold, NotificationStatus
from notifications.models import DeliveryAttempt, Notification
from notifications.tests.factories import DeliveryAttemptFactory, NotificationFactory
from notifications.tests.recorder import work, work_for
from openalert.ids import uuid7

SENT = NotificationStatus.SENT
MINUTE = timedelta(minutes=1)


@pytest.fixture
def no_redis(monkeypatch):
    """Redis does not answer."""
    limits._script.cache_clear()

    def away(*args, **kwargs):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(limits, "_ask_redis", away)
    yield
    limits._away_until = 0.0


def take(clock, count=1, *, account="twilio", is_critical=True):
    return [
        limits.take(account, uuid7(), is_critical=is_critical, now=clock.now) is None for _ in range(count)
    ]


def test_a_hundred_a_minute_is_the_default(clock, db):
    assert take(clock, 101) == [True] * 100 + [False]
    assert take(clock, 1, account="smtp") == [True]
    clock.advance(seconds=59.9)
    assert take(clock) == [False]
    clock.advance(seconds=0.1)
    assert take(clock) == [True]


@pytest.mark.parametrize("with_redis", [True, False])
def test_a_clock_that_was_ahead_and_is_put_right_closes_no_provider(clock, db, settings, with_redis, request):
    if not with_redis:
        request.getfixturevalue("no_redis")
    settings.PROVIDER_LIMIT_PER_MINUTE = 2
    clock.advance(hours=1)
    take(clock, 2)
    for _ in range(2):
        DeliveryAttemptFactory(account="twilio", request_id=uuid7(), started_at=clock.now)
    clock.advance(hours=-1)
    assert take(clock, 1) == [True]


def test_accounts_have_limits_of_their_own(clock, db, settings):
    settings.PROVIDER_LIMITS = {"smtp": 2, "push": 0}
    assert take(clock, 3, account="smtp") == [True, True, False]
    assert take(clock, 300, account="push") == [True] * 300
    assert take(clock, 300, account="in_app") == [True] * 300


def test_who_has_to_wait_is_told_until_when(clock, db, settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 2
    take(clock)
    clock.advance(seconds=10)
    take(clock)
    clock.advance(seconds=10)
    assert limits.take("twilio", uuid7(), is_critical=True, now=clock.now) == timedelta(seconds=40)
    assert limits.look("twilio", is_critical=True, now=clock.now) == timedelta(seconds=40)


def test_the_last_fifth_is_kept_for_critical_pages(clock, db, settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 10
    assert take(clock, 9, is_critical=False) == [True] * 8 + [False]
    assert take(clock, 3, is_critical=True) == [True, True, False]


def test_a_message_counts_once_however_often_it_is_taken(clock, db, settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 2
    name = uuid7()
    for _ in range(5):
        limits.take("twilio", name, is_critical=True, now=clock.now)
    assert take(clock, 2) == [True, False]


def test_a_flush_does_not_give_the_provider_more_than_its_limit(clock, db, settings, valkey):
    settings.PROVIDER_LIMIT_PER_MINUTE = 3
    for _ in range(3):
        name = uuid7()
        DeliveryAttemptFactory(account="twilio", request_id=name, started_at=clock.now)
        limits.take("twilio", name, is_critical=True, now=clock.now)
    valkey.flushall()
    assert take(clock) == [False]
    clock.advance(seconds=60)
    assert take(clock, 4) == [True] * 3 + [False]


def test_without_redis_the_attempts_are_counted(clock, db, settings, no_redis):
    settings.PROVIDER_LIMIT_PER_MINUTE = 2
    name = uuid7()
    DeliveryAttemptFactory(account="twilio", request_id=name, started_at=clock.now)
    DeliveryAttemptFactory(account="twilio", request_id=name, started_at=clock.now)  # bundled: one message
    assert take(clock) == [True]
    clock.advance(seconds=10)
    DeliveryAttemptFactory(account="twilio", request_id=uuid7(), started_at=clock.now)
    assert limits.take("twilio", uuid7(), is_critical=True, now=clock.now) == timedelta(seconds=50)


def test_a_redis_that_is_away_is_not_asked_each_time(clock, db, monkeypatch):
    limits._script.cache_clear()
    monkeypatch.setattr("django.conf.settings.REDIS_URL", "redis://127.0.0.1:1/0")
    assert take(clock) == [True]
    monkeypatch.setattr(limits, "_ask_redis", lambda *args: pytest.fail("asked again"))
    assert take(clock) == [True]
    monkeypatch.setattr(limits, "_away_until", 0.0)
    limits._script.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_many_workers_together_keep_the_limit(settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 20

    def worker(_):
        try:
            return [
                limits.take("twilio", uuid7(), is_critical=True, now=timezone.now()) is None
                for _ in range(10)
            ]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        taken = [is_taken for result in pool.map(worker, range(8)) for is_taken in result]
    assert sum(taken) == 20


# In the outbox


def test_what_is_above_the_limit_waits_and_nothing_is_lost(clock, db, provider, settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 5
    settings.BUNDLE_ABOVE_PER_MINUTE = 0
    pages = [NotificationFactory(priority=0) for _ in range(12)]
    for page in pages:
        outbox.deliver(page.pk)
    assert len(provider.messages) == 5
    held = Notification.objects.filter(hold=Hold.LIMIT)
    assert [(n.attempt_count, n.wake_at - clock.now) for n in held] == [(0, MINUTE)] * 7
    work_for(clock, minutes=3)
    assert len(provider.messages) == 12
    assert set(Notification.objects.values_list("status", flat=True)) == {SENT}
    assert DeliveryAttempt.objects.count() == 12


def test_places_that_come_free_go_to_the_most_urgent(clock, db, provider, settings):
    settings.PROVIDER_LIMIT_PER_MINUTE = 5
    settings.BUNDLE_ABOVE_PER_MINUTE = 0
    for priority in (3, 3, 3, 3, 3, 3, 2, 3, 1, 2, 3):
        outbox.deliver(NotificationFactory(priority=priority).pk)
    urgent = NotificationFactory(priority=0)
    outbox.deliver(urgent.pk)
    urgent.refresh_from_db()
    assert urgent.status == SENT  # by the last fifth
    waiting = Notification.objects.exclude(status=SENT).order_by("priority")
    assert [n.priority for n in waiting] == [1, 2, 2, 3, 3, 3, 3]
    clock.advance(seconds=60)
    work(clock)
    assert [n.priority for n in waiting.all()] == [3, 3, 3]


def test_the_last_place_is_not_given_twice(clock, db, provider, settings, monkeypatch):
    """Two workers look at once, and then both want to take it."""
    settings.PROVIDER_LIMIT_PER_MINUTE = 1
    monkeypatch.setattr(limits, "look", lambda *args, **kwargs: None)
    first, second = NotificationFactory(priority=0), NotificationFactory(priority=0)
    outbox.deliver(first.pk)
    outbox.deliver(second.pk)
    second.refresh_from_db()
    assert (second.status, second.hold, second.attempt_count) == ("pending", Hold.LIMIT, 0)
    assert (len(provider.messages), second.attempts.count()) == (1, 0)
