"""Problems that come from what a service depends on."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts import upstream
from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.enums import Correlation
from teams.tests.cast import Cast
from teams.tests.factories import MembershipFactory, ServiceDependencyFactory, ServiceFactory

pytestmark = pytest.mark.django_db
OFF, SUGGEST, JOIN = Correlation.OFF, Correlation.SUGGEST, Correlation.JOIN


@pytest.fixture
def pages():
    return Pages(Cast())


@pytest.fixture
def cast(pages):
    return pages.cast


@pytest.fixture
def checkout(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


@pytest.fixture
def database(cast):
    return ServiceFactory(team=cast.team, name="Payments DB")


@pytest.fixture
def disk(cast):
    return ServiceFactory(team=cast.team, name="Disk")


def depend(service, on, correlation=JOIN, minutes=30):
    ServiceDependencyFactory(service=service, upstream=on, correlation=correlation, window_minutes=minutes)


def ago(clock, minutes):
    return {"opened_at": clock.now - timedelta(minutes=minutes)}


def to_join(clock, *services):
    return upstream.upstream_to_join([service.pk for service in services], now=clock.now)


# What new alerts join


def test_alerts_join_the_upstream_incident(clock, checkout, database, disk):
    depend(checkout, database)
    there = IncidentFactory(service=database)
    IncidentFactory(service=disk)
    assert to_join(clock, checkout, database) == {checkout.pk: there.pk}


@pytest.mark.parametrize("correlation", [OFF, SUGGEST])
def test_only_join_joins(clock, checkout, database, correlation):
    depend(checkout, database, correlation)
    IncidentFactory(service=database)
    assert to_join(clock, checkout) == {}


@pytest.mark.parametrize("status", Status)
def test_only_what_is_unresolved_is_joined(clock, checkout, database, status):
    depend(checkout, database)
    there = IncidentFactory(service=database, status=status)
    assert to_join(clock, checkout) == ({} if status == Status.RESOLVED else {checkout.pk: there.pk})


def test_the_window_begins_with_the_last_alert(clock, checkout, database):
    depend(checkout, database, minutes=10)
    there = IncidentFactory(
        service=database, opened_at=clock.now - timedelta(days=1), last_alert_at=clock.now
    )
    clock.advance(minutes=10)
    assert to_join(clock, checkout) == {checkout.pk: there.pk}
    clock.advance(seconds=1)
    assert to_join(clock, checkout) == {}


def test_the_farthest_upstream_is_joined_then_the_most_severe_then_the_oldest(
    clock, checkout, database, disk
):
    depend(checkout, database)
    depend(checkout, disk)  # directly as well: the longer way counts
    depend(database, disk)
    found = []
    for service, severity, minutes in [
        (database, Severity.CRITICAL, 20),
        (disk, Severity.LOW, 15),
        (disk, Severity.HIGH, 5),
        (disk, Severity.HIGH, 10),
    ]:
        there = IncidentFactory(service=service, severity=severity, **ago(clock, minutes))
        found.append(to_join(clock, checkout)[checkout.pk] == there.pk)
    assert found == [True, True, True, True]
    assert to_join(clock, checkout, database) == {checkout.pk: there.pk, database.pk: there.pk}


@pytest.mark.parametrize(
    ("first", "second", "minutes", "joins"),
    [
        ((JOIN, 30), (JOIN, 30), 20, True),
        ((JOIN, 10), (JOIN, 30), 20, False),
        ((JOIN, 30), (JOIN, 10), 20, False),
        ((SUGGEST, 30), (JOIN, 30), 20, False),
        ((JOIN, 30), (SUGGEST, 30), 20, False),
        ((OFF, 30), (JOIN, 30), 20, False),
    ],
)
def test_a_path_is_as_willing_as_its_least_willing_part(
    clock, checkout, database, disk, first, second, minutes, joins
):
    depend(checkout, database, *first)
    depend(database, disk, *second)
    there = IncidentFactory(service=disk, **ago(clock, minutes))
    assert to_join(clock, checkout) == ({checkout.pk: there.pk} if joins else {})


def test_a_willing_path_is_enough(clock, checkout, database, disk):
    depend(checkout, disk, SUGGEST)
    depend(checkout, database)
    depend(database, disk)
    there = IncidentFactory(service=disk)
    assert to_join(clock, checkout) == {checkout.pk: there.pk}


def test_paths_end_somewhere(clock, cast):
    chain = ServiceFactory.create_batch(upstream.FARTHEST + 2, team=cast.team)
    for lower, upper in pairwise(chain):
        depend(lower, upper)
    IncidentFactory(service=chain[-1])
    assert to_join(clock, chain[0]) == {}
    near = IncidentFactory(service=chain[-2])
    assert to_join(clock, chain[0]) == {chain[0].pk: near.pk}


def test_it_is_one_query_however_many_there_are(clock, checkout, database, disk):
    def cost(*services):
        with CaptureQueriesContext(connection) as queries:
            to_join(clock, *services)
        return len(queries)

    assert cost(checkout) == 1
    depend(checkout, database)
    depend(database, disk)
    IncidentFactory.create_batch(3, service=disk)
    assert (cost(checkout, database, disk), cost()) == (1, 1)


# What is told and suggested


def open_by_hand(service):
    return lifecycle.open_by_hand(service=service, title="Slow", severity=Severity.LOW, actor=timeline.SYSTEM)


@pytest.mark.parametrize("correlation", [SUGGEST, JOIN])
def test_a_new_incident_tells_of_the_upstream_one(clock, checkout, database, correlation):
    depend(checkout, database, correlation)
    there = IncidentFactory(service=database)
    entry = open_by_hand(checkout).timeline.get(kind=Kind.UPSTREAM_OPEN)
    assert timeline.sentence(entry) == (
        f"Checkout depends on Payments DB, where #{there.number} is unresolved"
    )


def test_a_new_incident_tells_of_no_more_than_three(clock, checkout, database, disk):
    depend(checkout, database)
    depend(database, disk)
    numbers = [IncidentFactory(service=disk, **ago(clock, 9 - n)).number for n in range(4)]
    data = open_by_hand(checkout).timeline.get(kind=Kind.UPSTREAM_OPEN).data
    assert data == {"dependent": "Checkout", "services": ["Disk"], "numbers": numbers[:3]}


def test_otherwise_a_new_incident_tells_of_nothing(clock, checkout, database, disk):
    depend(checkout, database, OFF)
    depend(checkout, disk, minutes=5)
    IncidentFactory(service=database)
    IncidentFactory(service=disk, **ago(clock, 6))
    assert not open_by_hand(checkout).timeline.filter(kind=Kind.UPSTREAM_OPEN).exists()


def test_incidents_up_and_down_are_suggested(clock, cast, checkout, database, disk):
    depend(checkout, database, SUGGEST)
    depend(database, disk)
    symptom, mine, cause = (IncidentFactory(service=service) for service in (checkout, database, disk))
    near = IncidentFactory(service=database)  # of the same service: grouping's matter
    IncidentFactory(service=disk, status=Status.RESOLVED)
    assert upstream.suggestions(mine, user=cast.observer) == [(cause, True), (symptom, False)]
    found = upstream.suggestions(symptom, user=cast.observer)
    assert {other for other, is_upstream in found if is_upstream} == {mine, near, cause}
    assert upstream.suggestions(mine, user=cast.outsider) == []
    lifecycle.resolve(incident_id=mine.pk, actor=timeline.SYSTEM)
    assert upstream.suggestions(Incident.objects.get(pk=mine.pk), user=cast.observer) == []


@pytest.mark.parametrize(("minutes", "found"), [(-31, False), (-30, True), (30, True), (31, False)])
def test_what_is_suggested_was_near_in_time(clock, cast, checkout, database, minutes, found):
    depend(checkout, database)
    mine = IncidentFactory(service=checkout)
    cause = IncidentFactory(service=database, **ago(clock, -minutes))
    clock.advance(days=1)
    assert upstream.suggestions(mine, user=cast.observer) == ([(cause, True)] if found else [])


# The page


def test_page_suggests_to_those_who_see_it(pages, checkout, database):
    depend(checkout, database)
    symptom, cause = IncidentFactory(service=checkout), IncidentFactory(service=database, title="<b>Cause")
    related = reverse("incident-related", args=[symptom.number])
    assert pages.statuses("get", related) == pages.answers(200, 200, 200, 404)
    assert "Merge into it" not in pages.text("observer", related)
    text = pages.text("responder", related)
    assert "Checkout depends on Payments DB" in text
    assert "&lt;b&gt;Cause" in text
    assert f'<input type="hidden" name="into" value="{cause.number}">' in text
    other = pages.text("responder", reverse("incident-related", args=[cause.number]))
    assert "Merge it here" in other
    assert reverse("incident-merge", args=[symptom.number]) in other


def test_page_says_nothing_when_there_is_nothing(pages, checkout):
    incident = IncidentFactory(service=checkout)
    text = pages.text("responder", reverse("incident-related", args=[incident.number]))
    assert (" hidden" in text, "<li" in text) == (True, False)


def test_merging_is_offered_to_responders_of_both_teams(pages, cast, checkout):
    theirs = ServiceFactory(team=cast.other_team)
    depend(checkout, theirs)
    MembershipFactory(team=cast.other_team, user=cast.responder, role="observer")
    MembershipFactory(team=cast.other_team, user=cast.manager)
    symptom = IncidentFactory(service=checkout)
    IncidentFactory(service=theirs)
    related = reverse("incident-related", args=[symptom.number])
    offered = {who: "Merge into it" in pages.text(who, related) for who in ("manager", "responder")}
    assert offered == {"manager": True, "responder": False}


def test_page_takes_the_same_queries_however_many(pages, checkout, database):
    depend(checkout, database)
    symptom = IncidentFactory(service=checkout)
    IncidentFactory(service=database)
    related = reverse("incident-related", args=[symptom.number])
    one = pages.count_queries("responder", related)
    IncidentFactory.create_batch(2, service=database)
    assert pages.count_queries("responder", related) == one


def test_alerts_keep_their_own_service_in_sight(pages, cast, checkout, database, disk):
    depend(checkout, database)
    incident = IncidentFactory(service=database)
    path = reverse("incident-alerts", args=[incident.number])
    AlertFactory(incident=incident)
    assert "from " not in pages.text("observer", path)
    for service in (checkout, disk):
        AlertFactory(incident=incident, integration=IntegrationFactory(service=service))
    text = pages.text("observer", path)
    assert "<span>from Checkout, which depends on Payments DB</span>" in text
    assert "<span>from Disk</span>" in text
    several = pages.count_queries("observer", path)
    for service in (checkout, disk):
        AlertFactory(incident=incident, integration=IntegrationFactory(service=service))
    assert pages.count_queries("observer", path) == several
