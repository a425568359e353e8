"""Rules and held alerts through the REST API."""

from datetime import timedelta

import pytest

from alerts import rulebook
from alerts.models import IntegrationRule
from alerts.tests.factories import AlertFactory, HeldAlertFactory, IntegrationFactory, RuleFactory
from incidents.tests.factories import IncidentFactory
from openalert.ids import uuid7
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db

STAGING = {"test": "equals", "field": "labels.env", "value": "staging"}
DROP = {"do": "drop"}
BODY = {"name": "No staging", "conditions": [STAGING], "actions": [DROP]}


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    cast.integration = IntegrationFactory(service=cast.service)
    cast.rules = f"/api/v1/integrations/{cast.integration.pk}/rules"
    cast.held = f"/api/v1/integrations/{cast.integration.pk}/held-alerts"
    return cast


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


def add(cast, name):
    return str(rulebook.add(cast.integration, name=name, conditions=[STAGING], actions=[DROP]).pk)


def names(cast):
    return [rule["name"] for rule in cast.api("observer").get(cast.rules).json()["results"]]


def test_rules_are_seen_by_members_and_changed_by_managers(cast):
    pk = add(cast, "a")
    path = f"{cast.rules}/{pk}"
    assert cast.statuses("get", cast.rules) == SEEN_BY_MEMBERS
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("post", cast.rules, BODY) == answers(201, 403, 403, 404)
    assert cast.statuses("put", path, BODY) == answers(200, 403, 403, 404)
    assert cast.statuses("patch", path, {"is_enabled": False}) == answers(200, 403, 403, 404)
    assert cast.statuses("delete", path) == answers(204, 403, 403, 404)
    assert cast.statuses("post", f"{cast.rules}/order", {"rules": [pk]}) == answers(200, 403, 403, 404)
    assert cast.statuses("post", f"{cast.rules}/dry-run", {}) == answers(200, 200, 200, 404)
    assert cast.statuses("get", cast.held) == SEEN_BY_MEMBERS
    assert cast.statuses("post", cast.held, {}) == answers(405, 405, 405, 405)


def test_a_rule_is_of_the_integration_in_the_address(cast):
    other = RuleFactory(integration__service=cast.service)
    api = cast.api("manager")
    assert api.get(f"{cast.rules}/{other.pk}").status_code == 404
    assert api.delete(f"{cast.rules}/{other.pk}").status_code == 404
    assert errors(api.post(f"{cast.rules}/order", {"rules": [str(other.pk)]})) == [
        ("not_the_integrations_rules", "rules")
    ]
    assert names(cast) == []


def test_a_new_rule_comes_last_or_where_it_is_put(cast):
    api = cast.api("manager")
    made = api.post(cast.rules, BODY).json()
    assert made == {
        "id": str(IntegrationRule.objects.get().pk),
        "position": 0,
        "is_enabled": True,
        **BODY,
        "created_at": made["created_at"],
        "updated_at": made["updated_at"],
    }
    assert api.post(cast.rules, {"name": "b", "actions": [DROP]}).json()["position"] == 1
    assert api.post(cast.rules, {**BODY, "name": "c", "position": 1}).json()["position"] == 1
    assert names(cast) == ["No staging", "c", "b"]
    assert api.patch(f"{cast.rules}/{made['id']}", {"position": 40}).json()["position"] == 2
    assert names(cast) == ["c", "b", "No staging"]


def test_what_is_answered_can_be_sent_back(cast):
    pk = add(cast, "a")
    path, api = f"{cast.rules}/{pk}", cast.api("manager")
    seen = api.get(path).json()
    back = api.put(path, seen).json()
    assert {**back, "updated_at": None} == {**seen, "updated_at": None}
    changed = api.patch(path, {"name": "b", "conditions": []}).json()
    assert (changed["name"], changed["conditions"], changed["actions"]) == ("b", [], [DROP])
    assert api.delete(path).status_code == 204
    assert names(cast) == []


def test_rules_are_put_in_order(cast):
    a, b, c = (add(cast, name) for name in "abc")
    api = cast.api("manager")
    answer = api.post(f"{cast.rules}/order", {"rules": [c, a, b]}).json()
    assert [(rule["name"], rule["position"]) for rule in answer] == [("c", 0), ("a", 1), ("b", 2)]
    for wrong in ([a, b], [a, b, c, c], [a, b, str(uuid7())]):
        response = api.post(f"{cast.rules}/order", {"rules": wrong})
        assert (response.status_code, errors(response)) == (400, [("not_the_integrations_rules", "rules")])
    assert names(cast) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": ""}, ("blank", "name")),
        ({"actions": []}, ("invalid_rule", "actions")),
        ({"conditions": {"test": "exists"}}, ("invalid_rule", "conditions")),
        ({"conditions": [STAGING, {"test": "exists"}]}, ("invalid_rule", "conditions.1")),
        ({"conditions": [{**STAGING, "field": "host"}]}, ("invalid_rule", "conditions.0.field")),
        ({"conditions": [{**STAGING, "value": "\0"}]}, ("invalid_rule", "conditions.0")),
        ({"conditions": [{"test": "matches", "field": "title", "pattern": "("}]}, ("invalid_rule", "conditions.0.pattern")),
        ({"actions": [{"do": "delay", "minutes": 0}]}, ("invalid_rule", "actions.0.minutes")),
        ({"actions": [{"do": "set_service", "service": str(uuid7())}]}, ("invalid", "actions")),
        ({"position": 50}, ("max_value", "position")),
    ],
)  # fmt: skip
def test_faults_are_named_by_their_place(cast, changes, fault):
    path = f"{cast.rules}/{add(cast, 'a')}"
    api = cast.api("manager")
    for response in (api.post(cast.rules, {**BODY, **changes}), api.patch(path, changes)):
        assert (response.status_code, errors(response)) == (400, [fault])
    response = api.post(f"{cast.rules}/dry-run", {"rules": [BODY, {**BODY, **changes}]})
    assert (response.status_code, errors(response)) == (400, [(fault[0], f"rules.1.{fault[1]}")])
    assert names(cast) == ["a"]


def test_there_are_fifty_rules_at_most(cast):
    for number in range(50):
        RuleFactory(integration=cast.integration, position=number)
    response = cast.api("manager").post(cast.rules, BODY)
    assert (response.status_code, errors(response)) == (409, [("too_many_rules", None)])


def test_dry_run_of_the_rules_as_they_are_and_of_others(cast):
    incident = IncidentFactory(service=cast.service)
    AlertFactory(integration=cast.integration, incident=incident, title="Calm")
    alert = AlertFactory(
        integration=cast.integration, incident=incident, title="Slow", labels={"env": "staging"}
    )
    shown = {
        "id": str(alert.pk),
        "dedup_key": alert.dedup_key,
        "title": "Slow",
        "first_fired_at": alert.first_fired_at.isoformat().replace("+00:00", "Z"),
    }
    none = {"total": 2, "dropped": 0, "changed": 0, "moved": 0, "held": 0, "untouched": 2, "tried": []}
    api, path = cast.api("observer"), f"{cast.rules}/dry-run"
    assert api.post(path, {}).json() == none
    add(cast, "No staging")
    dropped = {"alert": shown, "matched": ["No staging"], "dropped": True, "effects": []}
    assert api.post(path).json() == none | {"dropped": 1, "untouched": 1, "tried": [dropped]}
    assert api.post(path, {"rules": []}).json() == none
    lower = {"name": "Lower", "conditions": [STAGING], "actions": [{"do": "set_severity", "severity": "low"}]}
    changed = {
        "alert": shown,
        "matched": ["Lower"],
        "dropped": False,
        "effects": [{"what": "severity", "before": "high", "after": "low"}],
    }
    tried = api.post(path, {"rules": [lower, {**BODY, "is_enabled": False}]}).json()
    assert tried == none | {"changed": 1, "untouched": 1, "tried": [changed]}
    assert names(cast) == ["No staging"]


def test_held_alerts_are_shown_with_what_they_wait_for(cast):
    search = ServiceFactory(team=cast.team, name="Search")
    HeldAlertFactory()
    HeldAlertFactory(integration=cast.integration, to_service=search)
    HeldAlertFactory(
        integration=cast.integration,
        dedup_key="often",
        wait=None,
        times=3,
        within=timedelta(minutes=10),
        count=2,
        due_at=None,
        expires_at="2026-07-17T10:00:00Z",
    )
    often, lasting = cast.api("observer").get(cast.held).json()["results"]
    assert (lasting["wait_seconds"], lasting["times"], lasting["within_seconds"]) == (300, None, None)
    assert lasting["service"]["name"] == "Search"
    assert often == often | {
        "dedup_key": "often",
        "title": "About often",
        "severity": "high",
        "source": "db1",
        "labels": {"env": "prod"},
        "metadata": {},
        "service": {"id": str(cast.service.pk), "name": "Checkout"},
        "wait_seconds": None,
        "times": 3,
        "within_seconds": 600,
        "count": 2,
        "due_at": None,
        "expires_at": "2026-07-17T10:00:00Z",
    }


LISTS = {
    "rules": lambda cast: RuleFactory(
        integration=cast.integration,
        position=cast.integration.rules.count(),
        actions=[{"do": "set_service", "service": str(ServiceFactory(team=cast.team).pk)}],
    ),
    "held": lambda cast: HeldAlertFactory(
        integration=cast.integration, to_service=ServiceFactory(team=cast.team)
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, name):
    path, add_one = getattr(cast, name), LISTS[name]
    add_one(cast)
    one = count_queries(cast.api("observer"), path)
    add_one(cast)
    add_one(cast)
    assert (one[0], count_queries(cast.api("observer"), path)) == (1, (3, one[1]))
    assert one[1] <= 2
