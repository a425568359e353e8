"""A check that comes and goes."""

from datetime import timedelta

import pytest

from alerts import flapping, intake
from alerts.enums import EventStatus
from alerts.events import AlertEvent
from alerts.models import Flap
from alerts.problems import Arrival
from alerts.tests.factories import IntegrationFactory
from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident
from incidents.timeline import SYSTEM, sentence
from teams.tests.factories import ServiceFactory

FIRING, RESOLVED = EventStatus.FIRING, EventStatus.RESOLVED


@pytest.fixture
def integration(db):
    return IntegrationFactory()


def send(integration, status, key="check"):
    event = AlertEvent(dedup_key=key, status=status, title="Check", severity=Severity.HIGH, name=key)
    [result] = intake.ingest([Arrival(integration, event)])
    return result


def flap(integration, clock, times):
    for _ in range(times):
        send(integration, FIRING)
        clock.advance(minutes=1)
        send(integration, RESOLVED)
        clock.advance(minutes=1)


def newest():
    return Incident.objects.order_by("-number").first()


def test_the_fourth_time_the_incident_stays_open_and_what_follows_belongs_to_it(integration, clock):
    flap(integration, clock, flapping.FLAPS_FROM - 1)
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.RESOLVED}
    flap(integration, clock, 1)
    incident = newest()
    assert (Incident.objects.count(), incident.status) == (flapping.FLAPS_FROM, Status.OPEN)
    flap(integration, clock, 3)
    assert (Incident.objects.count(), newest().status) == (flapping.FLAPS_FROM, Status.OPEN)
    [entry] = incident.timeline.filter(kind=Kind.FLAPPING)
    assert sentence(entry) == (
        "It comes and goes: it has ended 4 times within an hour. "
        "The incident stays open until it has been quiet for 10 minutes"
    )


def test_it_is_resolved_once_it_has_been_quiet(integration, clock):
    flap(integration, clock, flapping.FLAPS_FROM)
    clock.advance(minutes=8)
    assert flapping.settle() == 0
    clock.advance(minutes=2)
    assert flapping.settle() == 1
    incident = newest()
    assert (incident.status, incident.timeline.last().kind) == (Status.RESOLVED, Kind.RESOLVED)
    assert flapping.settle() == 0


def test_what_fires_is_not_resolved(integration, clock):
    flap(integration, clock, flapping.FLAPS_FROM)
    send(integration, FIRING)
    clock.advance(minutes=20)
    assert flapping.settle() == 0
    assert newest().status == Status.OPEN
    assert send(integration, RESOLVED).outcome == "resolved"
    assert newest().status == Status.OPEN
    clock.advance(minutes=11)
    assert flapping.settle() == 1


def test_what_ends_now_and_then_does_not_flap(integration, clock):
    for _ in range(6):
        flap(integration, clock, flapping.FLAPS_FROM - 1)
        clock.advance(seconds=flapping.WINDOW.total_seconds())
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.RESOLVED}
    assert not Incident.objects.filter(timeline__kind=Kind.FLAPPING).exists()


def test_other_problems_are_not_concerned(integration, clock):
    flap(integration, clock, flapping.FLAPS_FROM - 1)
    send(integration, FIRING, "other")
    send(integration, RESOLVED, "other")
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.RESOLVED}


def test_a_person_may_resolve_it_before(integration, clock):
    flap(integration, clock, flapping.FLAPS_FROM)
    lifecycle.resolve(incident_id=newest().pk, actor=SYSTEM)
    clock.advance(minutes=30)
    assert flapping.settle() == 0


def test_services_that_people_resolve_are_left_to_them(db, clock):
    integration = IntegrationFactory(service=ServiceFactory(resolves_with_alerts=False))
    flap(integration, clock, flapping.FLAPS_FROM * 2)
    assert not Flap.objects.exists()
    assert newest().status == Status.OPEN


def test_counts_are_forgotten(integration, clock):
    flap(integration, clock, 1)
    clock.advance(seconds=(flapping.WINDOW + timedelta(seconds=1)).total_seconds())
    flapping.settle()
    assert not Flap.objects.exists()
