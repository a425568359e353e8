"""Heartbeats: watched, late, and alive again, whoever looks and however often."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from alerts import heartbeats
from alerts.models import Alert, Heartbeat
from alerts.tests.factories import HeartbeatFactory
from incidents.models import Incident


def late(count=1, **fields):
    now = timezone.now()
    return [
        HeartbeatFactory(last_ping_at=now, due_at=now - timedelta(seconds=1), **fields) for _ in range(count)
    ]


@pytest.mark.django_db
def test_late_ones_are_told_in_as_many_statements_however_many_they_are(django_assert_max_num_queries):
    late()
    with django_assert_max_num_queries(60) as few:
        assert heartbeats.tick() == 1
    late(5)
    with django_assert_max_num_queries(len(few)):
        assert heartbeats.tick() == 5
    assert Alert.objects.count() == 6
    assert heartbeats.tick() == 0


@pytest.mark.django_db
def test_heartbeats_of_an_integration_that_is_off_are_let_alone():
    late(integration__is_enabled=False)
    assert heartbeats.tick() == 0


@pytest.mark.django_db(transaction=True)
def test_ticks_and_pings_at_once_tell_each_failure_once():
    found = late(20)

    def run(function, *arguments):
        try:
            function(*arguments)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(heartbeats.tick,)) for _ in range(4)]
    threads += [threading.Thread(target=run, args=(heartbeats.ping, one.pk)) for one in found[:10]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    heartbeats.tick()
    expired = set(Heartbeat.objects.filter(expired_at__isnull=False))
    assert expired == set(found[10:])
    assert Alert.objects.filter(status="firing").count() == len(expired)
    assert all(alert.count == 1 for alert in Alert.objects.all())
    assert Incident.objects.count() == Alert.objects.count()
