import pytest

from alerts.enums import AlertStatus, Source
from alerts.models import Integration
from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents.enums import Severity
from incidents.tests.factories import IncidentFactory
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    return cast


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


def test_integrations_are_seen_by_members_and_changed_by_managers(cast):
    path = f"/api/v1/integrations/{IntegrationFactory(service=cast.service).pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"is_enabled": False}) == answers(200, 403, 403, 404)
    assert cast.statuses("post", f"{path}/rotate-key") == answers(200, 403, 403, 404)
    assert cast.statuses("delete", path) == answers(204, 403, 403, 404)
    body = {"service": str(cast.service.pk), "name": "Cron"}
    assert cast.statuses("post", "/api/v1/integrations", body) == answers(201, 403, 403, 400)


def test_the_key_of_an_integration_is_shown_once(cast, settings):
    settings.SITE_URL = "https://openalert.example.org/"
    api = cast.api("manager")
    body = {"service": str(cast.service.pk), "name": "Cron"}

    made = api.post("/api/v1/integrations", body).json()
    integration = Integration.objects.get()
    assert integration.key_hash == Integration.hash_key(made["key"])
    assert made["address"] == "https://openalert.example.org/api/v1/alerts"
    assert made["key_hint"] == made["key"][-4:]

    seen = api.get(f"/api/v1/integrations/{integration.pk}").json()
    assert seen == {name: value for name, value in made.items() if name not in ("key", "address")}


def test_a_new_key_makes_the_old_one_void(cast, settings):
    settings.SITE_URL = "https://openalert.example.org"
    integration = IntegrationFactory(service=cast.service, source=Source.ALERTMANAGER)
    rotated = cast.api("manager").post(f"/api/v1/integrations/{integration.pk}/rotate-key").json()

    integration.refresh_from_db()
    assert (
        integration.key_hash == Integration.hash_key(rotated["key"]) != Integration.hash_key(integration.key)
    )
    assert rotated["address"] == f"https://openalert.example.org/integrations/alertmanager/{rotated['key']}"


def test_grouping_by_labels_needs_labels(cast):
    body = {"service": str(cast.service.pk), "name": "Cron", "grouping": "labels"}
    api = cast.api("manager")

    response = api.post("/api/v1/integrations", body)
    assert (response.status_code, errors(response)) == (400, [("invalid", "grouping_labels")])
    made = api.post("/api/v1/integrations", {**body, "grouping_labels": ["cluster", "job"]})
    assert (made.status_code, made.json()["grouping_labels"]) == (201, ["cluster", "job"])


def test_an_integration_stays_with_the_services_one_manages(cast):
    integration = IntegrationFactory(service=cast.service, name="Cron")
    path, api = f"/api/v1/integrations/{integration.pk}", cast.api("manager")

    hidden = api.patch(path, {"service": str(ServiceFactory(team=cast.other_team).pk)})
    assert (hidden.status_code, errors(hidden)) == (400, [("does_not_exist", "service")])
    body = {"service": str(cast.service.pk), "name": "cron"}
    assert errors(api.post("/api/v1/integrations", body)) == [("unique", "name")]


def test_alerts_are_seen_by_members_and_written_by_nobody_here(cast):
    alert = AlertFactory(incident__service=cast.service)
    path = f"/api/v1/alerts/{alert.pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("get", f"/api/v1/incidents/{alert.incident.pk}/alerts") == SEEN_BY_MEMBERS
    assert cast.statuses("delete", path) == answers(405, 405, 405, 405)


def test_an_alert_is_shown_with_all_that_was_sent(cast):
    alert = AlertFactory(
        incident__service=cast.service,
        labels={"host": "db1"},
        metadata={"runbook": "r", "n": [1, None]},
        count=3,
    )
    seen = cast.api("observer").get(f"/api/v1/alerts/{alert.pk}").json()
    assert (seen["labels"], seen["metadata"], seen["count"]) == (alert.labels, alert.metadata, 3)
    assert seen["incident"] == {
        "id": str(alert.incident.pk),
        "number": alert.incident.number,
        "title": alert.incident.title,
    }
    assert (seen["service"]["name"], seen["team"]["name"]) == ("Checkout", "Payments")


def test_alerts_are_filtered_and_searched(cast):
    incident = IncidentFactory(service=cast.service)
    AlertFactory(incident=incident, title="Disk full", dedup_key="disk", severity=Severity.LOW)
    AlertFactory(incident=incident, title="Latency", status=AlertStatus.RESOLVED)
    other = AlertFactory(incident__service=cast.service, title="Disk slow")
    AlertFactory(incident__service__team=cast.other_team, title="Disk hidden")

    def titles(query, path="/api/v1/alerts"):
        results = cast.api("observer").get(f"{path}?ordering=first_fired_at&{query}").json()["results"]
        return [alert["title"] for alert in results]

    assert titles("") == ["Disk full", "Latency", "Disk slow"]
    assert titles("status=firing&severity=low") == ["Disk full"]
    assert titles("search=disk") == ["Disk full", "Disk slow"]
    assert titles("dedup_key=disk") == ["Disk full"]
    assert titles(f"integration={other.integration.pk}") == ["Disk slow"]
    assert titles(f"incident={incident.pk}") == ["Disk full", "Latency"]
    assert titles("", f"/api/v1/incidents/{incident.pk}/alerts") == ["Disk full", "Latency"]


LISTS = {
    "/api/v1/integrations": lambda cast: IntegrationFactory(service=ServiceFactory(team=cast.team)),
    "/api/v1/alerts": lambda cast: AlertFactory(incident__service=ServiceFactory(team=cast.team)),
    "/api/v1/incidents/{}/alerts": lambda cast: AlertFactory(incident=cast.incident),
}


@pytest.mark.parametrize("path", LISTS)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path):
    cast.incident = IncidentFactory(service=cast.service)
    add, path = LISTS[path], path.format(cast.incident.pk)
    add(cast)
    one = count_queries(cast.api("observer"), path)
    add(cast)
    add(cast)
    assert (one[0], count_queries(cast.api("observer"), path)) == (1, (3, one[1]))
    assert cast.api("nobody").get(path).status_code == 401
