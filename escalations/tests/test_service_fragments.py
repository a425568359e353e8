"""The list of services, and how a service's incidents escalate."""

import pytest
from django.urls import reverse

from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.enums import Severity, Status
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ScheduleFactory, ServiceFactory

pytestmark = pytest.mark.django_db
SERVICES = "/services/"


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture
def pages(cast) -> Pages:
    return Pages(cast)


@pytest.fixture
def service(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


def rows(pages, who="responder"):
    return pages.client(who).get(SERVICES).context["rows"]


def test_everybody_sees_the_services_of_their_own_teams(cast, pages, service):
    search = ServiceFactory(team=cast.other_team, name="Index")
    assert pages.statuses("get", SERVICES) == pages.answers(200, 200, 200, 200)
    assert [row["service"] for row in rows(pages, "observer")] == [service]
    assert [row["service"] for row in rows(pages, "outsider")] == [search]


def test_services_in_trouble_stand_first(cast, pages, service):
    well = ServiceFactory(team=cast.team, name="Billing")
    IncidentFactory(service=service, severity=Severity.MEDIUM, status=Status.ACKNOWLEDGED)
    IncidentFactory(service=service, severity=Severity.HIGH)
    IncidentFactory(service=well, severity=Severity.CRITICAL, status=Status.RESOLVED)
    [first, second] = rows(pages)
    assert (first["service"], second["service"]) == (service, well)
    assert (first["health"].worst, first["health"].unresolved, first["health"].open) == (Severity.HIGH, 2, 1)
    assert second["health"] is None
    text = pages.text("responder", SERVICES)
    assert "2 unresolved" in text and "1 open" in text


def test_the_list_says_who_is_paged_first(cast, pages, service):
    assert "Nobody on call" in pages.text("responder", SERVICES)
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.responder])
    RoutingRuleFactory(team=cast.team, policy=PolicyFactory(team=cast.team, levels=[[schedule], [cast.team]]))
    assert rows(pages)[0]["people"] == [cast.responder]
    assert "Nobody on call" not in pages.text("responder", SERVICES)


def test_a_policy_without_steps_pages_nobody(cast, pages, service):
    RoutingRuleFactory(team=cast.team, policy=PolicyFactory(team=cast.team))
    assert rows(pages)[0]["people"] == []


def test_the_list_takes_the_same_queries_however_long(cast, pages):
    def add_service():
        service = ServiceFactory(team=cast.team)
        schedule = ScheduleFactory(team=cast.team, on_call=[cast.responder])
        policy = PolicyFactory(team=cast.team, levels=[[schedule], [cast.team, cast.manager]])
        RoutingRuleFactory(team=cast.team, service=service, policy=policy)
        IncidentFactory(service=service)

    add_service()
    one = pages.count_queries("responder", SERVICES)
    add_service()
    add_service()
    assert len(rows(pages)) == 3
    assert pages.count_queries("responder", SERVICES) == one


def test_escalation_tells_the_steps_for_each_severity(cast, pages, service):
    schedule = ScheduleFactory(team=cast.team, name="First line", on_call=[cast.responder])
    urgent = PolicyFactory(
        team=cast.team,
        name="Urgent",
        levels=[[schedule], [cast.team]],
        levels__delay_minutes=7,
        repeat_count=2,
    )
    RoutingRuleFactory(team=cast.team, severities=[Severity.CRITICAL, Severity.HIGH], policy=urgent)
    path = reverse("service-escalation", args=[service.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    response = pages.client("observer").get(path)
    [plan, none] = response.context["plans"]
    assert (plan.severities, plan.policy) == ([Severity.CRITICAL, Severity.HIGH], urgent)
    assert [step.after_minutes for step in plan.steps] == [0, 7]
    assert plan.steps[0].people == [cast.responder]
    assert sorted(plan.steps[1].people, key=str) == [cast.manager, cast.responder]
    assert (none.severities, none.policy, none.steps) == ([Severity.MEDIUM, Severity.LOW], None, [])
    for words in ("First line", "Everybody in Payments", "after 7 min", "up to 2 times", "Nobody is paged."):
        assert words in response.text


def test_names_are_escaped(cast, pages, service):
    service.name = "<b>Checkout</b>"
    service.save()
    assert "<b>Checkout" not in pages.text("responder", SERVICES)
