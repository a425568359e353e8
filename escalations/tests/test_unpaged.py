"""A service that nobody would be paged for is not saved without a warning."""

import pytest
from django.urls import reverse

from escalations.enums import TargetKind
from escalations.tests.factories import PagingSettingsFactory, PolicyFactory, RoutingRuleFactory
from incidents.enums import Severity
from teams import service_checks
from teams.models import User
from teams.tests.cast import Cast, count_queries
from teams.tests.factories import ScheduleFactory, ServiceFactory

pytestmark = pytest.mark.django_db
NOBODY = "no routing rule takes them, and the team has no default policy."


@pytest.fixture
def cast():
    return Cast()


def post(cast):
    body = {"team": str(cast.team.pk), "name": "Checkout"}
    response = cast.api("manager").post("/api/v1/services", body)
    assert response.status_code == 201
    return response.json()["warnings"]


def warnings(service):
    return service_checks.warnings_for([service])[service.pk]


def test_a_service_without_a_policy_is_saved_with_a_warning(cast):
    assert post(cast) == [f"Nobody would be paged for any incidents: {NOBODY}"]


def test_a_service_that_somebody_is_paged_for_has_no_warning(cast):
    PagingSettingsFactory(
        team=cast.team, default_policy=PolicyFactory(team=cast.team, levels=[[cast.responder]])
    )
    assert post(cast) == []


def test_the_warning_names_the_severities_and_the_policies(cast):
    service = ServiceFactory(team=cast.team)
    silent = PolicyFactory(team=cast.team, name="Silent", levels=[[ScheduleFactory(team=cast.team)]])
    loud = PolicyFactory(team=cast.team, levels=[[(TargetKind.MANAGER, cast.team)]])
    RoutingRuleFactory(team=cast.team, severities=[Severity.CRITICAL], policy=loud)
    RoutingRuleFactory(team=cast.team, severities=[Severity.HIGH, Severity.MEDIUM], policy=silent)
    assert warnings(service) == [
        f"Nobody would be paged for low incidents: {NOBODY}",
        "Nobody would be paged for high and medium incidents: the policy “Silent” reaches nobody.",
    ]


def test_hours_are_looked_at_for_the_whole_week(cast, clock):
    service = ServiceFactory(team=cast.team)
    policy = PolicyFactory(team=cast.team, levels=[[cast.responder]])
    day = {"from": "06:00", "until": "22:00"}
    RoutingRuleFactory(team=cast.team, hours=day, policy=policy)
    assert warnings(service) == [f"Nobody would be paged for any incidents at some hours: {NOBODY}"]
    RoutingRuleFactory(team=cast.team, hours={"from": "22:00", "until": "06:00"}, policy=policy)
    assert warnings(service) == []


def test_labels_are_not_counted_on(cast):
    service = ServiceFactory(team=cast.team)
    policy = PolicyFactory(team=cast.team, levels=[[cast.responder]])
    RoutingRuleFactory(team=cast.team, labels={"env": "prod"}, policy=policy)
    assert warnings(service) == [f"Nobody would be paged for any incidents: {NOBODY}"]


def test_the_list_takes_the_same_queries_however_long(cast):
    def add():
        service = ServiceFactory(team=cast.team)
        policy = PolicyFactory(
            team=cast.team, levels=[[ScheduleFactory(team=cast.team, on_call=[cast.manager])]]
        )
        RoutingRuleFactory(team=cast.team, service=service, policy=policy)

    add()
    one = count_queries(cast.api("observer"), "/api/v1/services")
    add()
    add()
    assert (one[0], count_queries(cast.api("observer"), "/api/v1/services")) == (1, (3, one[1]))


def test_the_administrator_is_warned(client, cast):
    client.force_login(User.objects.create_superuser("root@example.org", "x", name="Root"))
    given = {"team": cast.team.pk, "name": "Checkout", "resolves_with_alerts": "on"}
    answer = client.post(reverse("admin:teams_service_add"), given, follow=True)
    assert f"Checkout: Nobody would be paged for any incidents: {NOBODY}" in answer.text
