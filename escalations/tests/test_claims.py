"""What is carried out first: criticals, and of each priority the teams by turns."""

from datetime import timedelta

import pytest
from django.utils import timezone

from escalations import claims
from escalations.tests.factories import PolicyFactory, RunFactory
from incidents.enums import Severity
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


def due(service, severity, count, *, ago=0):
    policy = service.team.escalation_policies.first() or PolicyFactory(team=service.team)
    at = timezone.now() - timedelta(seconds=ago)
    for n in range(count):
        RunFactory(
            incident__service=service,
            incident__severity=severity,
            policy=policy,
            due_at=at + timedelta(microseconds=n),
        )


def batches(limit):
    """The batches in which a single worker carries out all that is due, as (severity, service)."""
    found = []
    while runs := claims.claim(timezone.now(), limit=limit):
        found.append([(run.incident.severity, run.incident.service) for run in runs])
        for run in runs:
            run.due_at = timezone.now() + timedelta(hours=1)
        claims.write(runs, now=timezone.now())
    return found


def test_all_criticals_go_before_anything_else_however_the_teams_are():
    big, small = ServiceFactory(), ServiceFactory()
    due(big, Severity.CRITICAL, 7)
    due(small, Severity.CRITICAL, 1)
    due(small, Severity.LOW, 5, ago=60)
    taken = batches(4)
    assert [len(batch) for batch in taken] == [4, 4, 4, 1]
    order = [severity for batch in taken for severity, _ in batch]
    assert order == [Severity.CRITICAL] * 8 + [Severity.LOW] * 5


def test_a_teams_few_do_not_wait_behind_anothers_many():
    big, small = ServiceFactory(), ServiceFactory()
    due(big, Severity.HIGH, 12, ago=60)
    due(small, Severity.HIGH, 3)
    taken = batches(4)
    assert [sum(service == small for _, service in batch) for batch in taken] == [2, 1, 0, 0]
    assert [len(batch) for batch in taken] == [4, 4, 4, 3]


def test_a_batch_with_more_teams_than_room_takes_those_that_wait_longest():
    services = ServiceFactory.create_batch(5)
    for n, service in enumerate(services):
        due(service, Severity.HIGH, 2, ago=60 - n)
    [first, *_] = batches(3)
    assert [service for _, service in first] == services[:3]
