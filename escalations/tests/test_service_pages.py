"""Services made and changed by their managers, and what is refused."""

import pytest
from django.urls import reverse

from alerts.tests.factories import IntegrationFactory, MaintenanceWindowFactory
from escalations import routing, services
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.enums import Severity
from incidents.tests.factories import IncidentFactory
from openalert.models import AuditEntry
from openalert.tests.pages import Pages
from teams.models import Service, ServiceDependency
from teams.tests.cast import Cast
from teams.tests.factories import ServiceDependencyFactory, ServiceFactory

pytestmark = pytest.mark.django_db
NEW = "/services/new/"


@pytest.fixture
def pages():
    return Pages(Cast())


@pytest.fixture
def cast(pages):
    return pages.cast


def given(**fields):
    return {"name": "Checkout", "description": "", "runbook_url": "", "resolves_with_alerts": "on", **fields}


def test_a_service_is_made_with_what_it_needs_and_the_policy_in_charge(pages, cast):
    database = ServiceFactory(team=cast.team, name="Database")
    policy, general = PolicyFactory(team=cast.team), PolicyFactory(team=cast.team)
    RoutingRuleFactory(team=cast.team, policy=general)
    body = given(
        team=cast.team.pk, policy=policy.pk, upstreams=[database.pk], runbook_url="https://wiki.example/c"
    )
    assert pages.statuses("post", NEW, body) == pages.answers(302, 403, 403, 422)
    response = pages.client("manager").post(NEW, body)
    service = Service.objects.get(name="Checkout")
    assert response["Location"] == reverse("service", args=[service.pk])
    assert [d.upstream for d in service.dependencies.all()] == [database]
    assert routing.policy_for(service=service, severity=Severity.LOW) == policy
    assert routing.policy_for(service=database, severity=Severity.LOW) == general
    entry = AuditEntry.objects.get(object_id=str(service.pk), action="created")
    assert entry.actor_name == "Mara Manager"


def test_a_service_is_changed_in_place_and_keeps_what_its_manager_does_not_see(pages, cast):
    service = ServiceFactory(team=cast.team, name="Checkout")
    hidden = ServiceDependencyFactory(service=service, upstream=ServiceFactory(team=cast.other_team))
    seen = ServiceDependencyFactory(service=service, upstream=ServiceFactory(team=cast.team))
    other = ServiceFactory(team=cast.team)
    policy = PolicyFactory(team=cast.team)
    path = reverse("service-edit", args=[service.pk])
    assert pages.statuses("get", path) == pages.answers(200, 403, 403, 404)
    body = given(name="Till", upstreams=[other.pk], policy=policy.pk, resolves_with_alerts="")
    assert pages.client("manager").post(path, body).status_code == 302
    service.refresh_from_db()
    assert (service.name, service.resolves_with_alerts) == ("Till", False)
    assert {d.upstream for d in service.dependencies.all()} == {hidden.upstream, other}
    assert not ServiceDependency.objects.filter(pk=seen.pk).exists()
    text = pages.text("manager", path)
    assert f'value="{policy.pk}" selected' in text
    assert pages.client("manager").post(path, {**body, "policy": ""}).status_code == 302
    assert services.own_rule(service) is None


def test_what_is_refused_is_said_at_its_field_and_changes_nothing(pages, cast):
    service = ServiceFactory(team=cast.team, name="Database")
    dependent = ServiceFactory(team=cast.team, name="Checkout")
    ServiceDependencyFactory(service=dependent, upstream=service)
    path = reverse("service-edit", args=[service.pk])
    for body, words in (
        (given(name="Renamed", upstreams=[dependent.pk]), "itself depends on"),
        (given(name="CHECKOUT"), "has a service of this name already"),
        (given(name="Renamed", policy=PolicyFactory(team=cast.other_team).pk), "Select a valid choice"),
        (given(name="Renamed", runbook_url="javascript:alert(1)"), "Enter a valid URL"),
        (given(name=""), "required"),
    ):
        response = pages.client("manager").post(path, body)
        assert response.status_code == 422
        assert words in response.content.decode()
    service.refresh_from_db()
    assert service.name == "Database"
    assert not service.dependencies.exists()


def test_only_a_service_that_nothing_tells_of_is_removed(pages, cast):
    service = ServiceFactory(team=cast.team)
    path = reverse("service-remove", args=[service.pk])
    assert pages.statuses("post", path) == pages.answers(302, 403, 403, 404)
    manager = pages.client("manager")
    for row in (
        IntegrationFactory(service=service),
        MaintenanceWindowFactory(team=cast.team, services=[service]),
        IncidentFactory(service=service),
    ):
        assert manager.post(path)["Location"] == reverse("service-edit", args=[service.pk])
        assert Service.objects.filter(pk=service.pk).exists()
        row.delete()
    assert manager.post(path)["Location"] == reverse("services")
    assert not Service.objects.filter(pk=service.pk).exists()
