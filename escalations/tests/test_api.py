from datetime import timedelta

import pytest
from django.utils import timezone

from escalations.enums import RunStatus
from escalations.models import EscalationPolicy, EscalationRun, RoutingRule
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, RunFactory
from incidents.enums import Status
from incidents.tests.factories import IncidentFactory
from openalert.ids import uuid7
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ScheduleFactory, ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team)
    return cast


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


# Policies


def test_policies_are_seen_by_members_and_changed_by_managers(cast):
    path = f"/api/v1/escalation-policies/{PolicyFactory(team=cast.team).pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"repeat_count": 3}) == answers(200, 403, 403, 404)
    assert cast.statuses("delete", path) == answers(204, 403, 403, 404)
    body = {"team": str(cast.team.pk), "name": "Nights"}
    assert cast.statuses("post", "/api/v1/escalation-policies", body) == answers(201, 403, 403, 400)


def target(kind, row):
    return {"kind": kind, "id": str(row.pk)}


def test_a_policy_is_written_with_its_steps_and_comes_back_the_same(cast):
    schedule = ScheduleFactory(team=cast.team, name="Primary")
    body = {
        "team": str(cast.team.pk),
        "name": "Payments",
        "repeat_count": 2,
        "steps": [
            {"delay_seconds": 300, "targets": [target("schedule", schedule), target("user", cast.manager)]},
            {"delay_seconds": 900, "targets": [target("team", cast.team)]},
            {
                "delay_seconds": 0,
                "targets": [target("manager", cast.team), target("round_robin", schedule)],
            },
        ],
    }
    api = cast.api("manager")
    policy = api.post("/api/v1/escalation-policies", body).json()
    assert [
        (s["delay_seconds"], [(t["kind"], t["name"]) for t in s["targets"]]) for s in policy["steps"]
    ] == [
        (300, [("schedule", "Primary"), ("user", "Mara Manager")]),
        (900, [("team", "Payments")]),
        (0, [("manager", "Payments"), ("round_robin", "Primary")]),
    ]

    path = f"/api/v1/escalation-policies/{policy['id']}"
    again = api.put(path, policy).json()
    for step in (*policy["steps"], *again["steps"]):
        del step["id"]
    assert again["steps"] == policy["steps"]
    assert len(api.patch(path, {"name": "Money"}).json()["steps"]) == 3
    timeout = {"acknowledge_timeout_minutes": 30}
    assert api.patch(path, timeout).json()["acknowledge_timeout_minutes"] == 30
    assert errors(api.patch(path, {"acknowledge_timeout_minutes": 0})) == [
        ("min_value", "acknowledge_timeout_minutes")
    ]
    assert api.patch(path, {"steps": policy["steps"][1:]}).json()["steps"][0]["delay_seconds"] == 900


def test_a_wrong_step_changes_nothing_of_the_policy(cast):
    policy = PolicyFactory(team=cast.team, name="Payments", levels=[[cast.manager]])
    body = {
        "name": "Changed",
        "steps": [
            {"delay_seconds": 300, "targets": [target("user", cast.outsider)]},
            {"delay_seconds": 300, "targets": [target("user", cast.manager), target("user", cast.manager)]},
            {"delay_seconds": 86401, "targets": []},
            {"delay_seconds": 300, "targets": [{"kind": "pager", "id": "1"}]},
        ],
    }
    response = cast.api("manager").patch(f"/api/v1/escalation-policies/{policy.pk}", body)
    assert response.status_code == 400
    assert sorted(errors(response)) == [
        ("does_not_exist", "steps.0.targets.0.id"),
        ("empty", "steps.2.targets"),
        ("invalid", "steps.3.targets.0.id"),
        ("invalid_choice", "steps.3.targets.0.kind"),
        ("max_value", "steps.2.delay_seconds"),
        ("unique", "steps.1.targets"),
    ]
    policy.refresh_from_db()
    assert (policy.name, policy.steps.count()) == ("Payments", 1)


def test_a_policy_that_a_rule_uses_is_not_removed(cast):
    rule = RoutingRuleFactory(team=cast.team)
    response = cast.api("manager").delete(f"/api/v1/escalation-policies/{rule.policy.pk}")
    assert (response.status_code, errors(response)) == (409, [("in_use", None)])
    assert EscalationPolicy.objects.count() == 1


# Routing rules


def test_routing_rules_are_seen_by_members_and_changed_by_managers(cast):
    rule = RoutingRuleFactory(team=cast.team)
    path = f"/api/v1/routing-rules/{rule.pk}"

    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"severities": ["low"]}) == answers(200, 403, 403, 404)
    assert cast.statuses("delete", path) == answers(204, 403, 403, 404)
    body = {"team": str(cast.team.pk), "policy": str(rule.policy.pk)}
    assert cast.statuses("post", "/api/v1/routing-rules", body) == answers(201, 403, 403, 400)
    body = {"team": str(cast.team.pk), "rules": [str(rule.pk)]}
    assert cast.statuses("post", "/api/v1/routing-rules/reorder", body) == answers(200, 403, 403, 400)


def test_a_new_rule_comes_last_and_rules_are_put_in_order(cast):
    first, second = RoutingRuleFactory(team=cast.team), RoutingRuleFactory(team=cast.team)
    api = cast.api("manager")
    body = {"team": str(cast.team.pk), "policy": str(first.policy.pk), "severities": ["critical"]}
    third = api.post("/api/v1/routing-rules", body).json()
    assert (third["position"], third["service"], third["severities"]) == (2, None, ["critical"])

    order = [third["id"], str(first.pk), str(second.pk)]
    body = {"team": str(cast.team.pk), "rules": order}
    answer = api.post("/api/v1/routing-rules/reorder", body).json()
    assert [(rule["id"], rule["position"]) for rule in answer] == [(pk, n) for n, pk in enumerate(order)]
    listed = api.get("/api/v1/routing-rules").json()["results"]
    assert [rule["id"] for rule in listed] == order


@pytest.mark.parametrize(
    "wrong", [lambda ids: ids[:1], lambda ids: [*ids, ids[0]], lambda ids: [ids[0], uuid7()]]
)
def test_an_order_names_each_rule_once(cast, wrong):
    rules = [RoutingRuleFactory(team=cast.team), RoutingRuleFactory(team=cast.team)]
    body = {"team": str(cast.team.pk), "rules": [str(pk) for pk in wrong([rule.pk for rule in rules])]}
    response = cast.api("manager").post("/api/v1/routing-rules/reorder", body)
    assert (response.status_code, errors(response)) == (400, [("not_the_teams_rules", "rules")])


def test_a_rule_is_about_a_service_of_its_own_team(cast):
    elsewhere = ServiceFactory(team__managers=[cast.manager])
    rule = RoutingRuleFactory(team=cast.team)
    api = cast.api("manager")
    body = {"team": str(cast.team.pk), "policy": str(rule.policy.pk), "service": str(elsewhere.pk)}
    assert errors(api.post("/api/v1/routing-rules", body)) == [("invalid", "service")]
    assert errors(api.post("/api/v1/routing-rules", {**body, "service": str(uuid7())})) == [
        ("does_not_exist", "service")
    ]
    wrong = {**body, "service": None, "severities": ["worst"]}
    assert errors(api.post("/api/v1/routing-rules", wrong)) == [("invalid_choice", "severities.0")]
    moved = api.patch(f"/api/v1/routing-rules/{rule.pk}", {"team": str(elsewhere.team.pk)}).json()
    assert (moved["team"], moved["position"]) == (str(elsewhere.team.pk), 0)
    assert RoutingRule.objects.get().team == elsewhere.team


def test_a_rule_has_labels_and_hours(cast):
    rule = RoutingRuleFactory(team=cast.team)
    api, path = cast.api("manager"), f"/api/v1/routing-rules/{rule.pk}"
    hours = {"from": "22:00", "until": "06:00", "weekdays": ["sat", "sun"]}
    given = {"labels": {"env": "prod", "app": ""}, "hours": hours, "time_zone": "Europe/Berlin"}
    seen = api.patch(path, given).json()
    assert {name: seen[name] for name in given} == given
    assert api.patch(path, {"hours": {"from": "08:00", "until": "09:00"}}).json()["hours"] == {
        "from": "08:00",
        "until": "09:00",
    }
    assert api.patch(path, {"hours": None}).json()["hours"] is None
    for wrong, error in (
        ({"hours": {"from": "22:00"}}, ("required", "hours.until")),
        ({"hours": {**hours, "until": "24:00"}}, ("invalid", "hours.until")),
        ({"hours": {**hours, "weekdays": ["someday"]}}, ("invalid_choice", "hours.weekdays.0")),
        ({"labels": {"env": ["prod"]}}, ("invalid", "labels.env")),
        ({"labels": {"": "prod"}}, ("invalid", "labels")),
        ({"time_zone": "Mars/Base"}, ("invalid", "time_zone")),
    ):
        assert errors(api.patch(path, wrong)) == [error]


# What the team has decided


def test_paging_settings_are_seen_by_members_and_changed_by_managers(cast):
    path = f"/api/v1/teams/{cast.team.pk}/paging"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"time_zone": "Europe/Berlin"}) == answers(200, 403, 403, 404)
    assert cast.statuses("put", path, {"default_policy": None}) == answers(200, 403, 403, 404)


def test_paging_settings_come_back_the_same(cast):
    api, path = cast.api("manager"), f"/api/v1/teams/{cast.team.pk}/paging"
    nothing = {"default_policy": None, "low_urgency_waits": False, "working_hours": {}, "time_zone": ""}
    assert api.get(path).json() == {"team": str(cast.team.pk), **nothing}
    policy = PolicyFactory(team=cast.team)
    decided = {
        "default_policy": str(policy.pk),
        "low_urgency_waits": True,
        "working_hours": {
            "mon": {"from": "09:00", "until": "17:00"},
            "tue": {"from": "10:00", "until": "12:00"},
        },
        "time_zone": "Europe/Berlin",
    }
    assert api.patch(path, decided).json() == {"team": str(cast.team.pk), **decided}
    assert api.get(path).json() == {"team": str(cast.team.pk), **decided}
    assert api.delete(f"/api/v1/escalation-policies/{policy.pk}").status_code == 409


def test_what_is_wrong_with_paging_settings(cast):
    api, path = cast.api("manager"), f"/api/v1/teams/{cast.team.pk}/paging"
    elsewhere = PolicyFactory(team__managers=[cast.manager])
    for wrong, error in (
        ({"low_urgency_waits": True}, ("invalid", "working_hours")),
        ({"default_policy": str(elsewhere.pk)}, ("invalid", "default_policy")),
        ({"default_policy": str(PolicyFactory().pk)}, ("does_not_exist", "default_policy")),
        ({"working_hours": {"mon": {"from": "09:00"}}}, ("required", "working_hours.mon.until")),
        ({"working_hours": {"mon": {"from": "9", "until": "17:00"}}}, ("invalid", "working_hours.mon.from")),
        ({"time_zone": "Mars/Base"}, ("invalid", "time_zone")),
    ):
        assert errors(api.patch(path, wrong)) == [error]
    assert api.get(path).json()["low_urgency_waits"] is False


# Runs and the incident's paging


def test_runs_are_seen_by_members(cast):
    run = RunFactory(
        incident__service=cast.service, policy=PolicyFactory(team=cast.team, levels=[[cast.manager]])
    )
    path = f"/api/v1/escalation-runs/{run.pk}"
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("delete", path) == answers(405, 405, 405, 405)
    seen = cast.api("observer").get(path).json()
    assert seen["snapshot"]["steps"][0]["targets"][0]["name"] == "Mara Manager"
    listed = cast.api("observer").get("/api/v1/escalation-runs?status=stopped").json()
    assert listed["results"] == []


def test_paging_is_seen_by_members_and_changed_by_responders(cast):
    policy = PolicyFactory(team=cast.team, levels=[[cast.manager]])
    incident = IncidentFactory(service=cast.service)
    RunFactory(incident=incident, policy=policy)
    path = f"/api/v1/incidents/{incident.pk}"

    assert cast.statuses("get", f"{path}/escalation") == SEEN_BY_MEMBERS
    assert cast.statuses("post", f"{path}/escalate") == answers(200, 200, 403, 404)
    body = {"user": str(cast.observer.pk)}
    assert cast.statuses("post", f"{path}/reassign", body) == answers(200, 200, 403, 404)


def test_who_will_be_next_and_when(cast):
    due_at = timezone.now() + timedelta(minutes=1)
    policy = PolicyFactory(team=cast.team, repeat_count=0, levels=[[cast.responder], [cast.manager]])
    incident = IncidentFactory(service=cast.service)
    path = f"/api/v1/incidents/{incident.pk}/escalation"
    assert cast.api("observer").get(path).json() == {"run": None, "upcoming": []}

    run = RunFactory(incident=incident, policy=policy, due_at=due_at)
    answer = cast.api("observer").get(path).json()
    assert (answer["run"]["id"], answer["run"]["policy"]) == (str(run.pk), str(policy.pk))
    assert [(s["step"], [p["name"] for p in s["people"]], s["targets"]) for s in answer["upcoming"]] == [
        (0, ["Rui Responder"], ["Rui Responder"]),
        (1, ["Mara Manager"], ["Mara Manager"]),
    ]
    assert answer["upcoming"][0]["at"] == due_at.isoformat().replace("+00:00", "Z")


def test_the_next_step_is_paged_now(cast):
    run = RunFactory(
        incident__service=cast.service,
        policy=PolicyFactory(team=cast.team, levels=[[cast.manager]]),
        due_at=timezone.now() + timedelta(hours=1),
    )
    answer = cast.api("responder").post(f"/api/v1/incidents/{run.incident.pk}/escalate").json()
    run.refresh_from_db()
    assert answer["id"] == str(run.pk)
    assert run.due_at <= timezone.now()


def test_there_is_nobody_to_escalate_to(cast):
    incident = IncidentFactory(service=cast.service, status=Status.RESOLVED)
    response = cast.api("responder").post(f"/api/v1/incidents/{incident.pk}/escalate")
    assert (response.status_code, errors(response)) == (409, [("nothing_to_escalate", None)])


def test_an_incident_is_handed_to_a_person_or_a_policy(cast):
    incident = IncidentFactory(service=cast.service)
    policy = PolicyFactory(team=cast.team, name="Nights", levels=[[cast.manager]])
    api, path = cast.api("responder"), f"/api/v1/incidents/{incident.pk}/reassign"

    run = api.post(path, {"user": str(cast.manager.pk)}).json()
    assert run["snapshot"]["steps"][0]["targets"][0]["name"] == "Mara Manager"
    incident.refresh_from_db()
    assert incident.assigned_to == cast.manager

    assert api.post(path, {"policy": str(policy.pk)}).json()["policy"] == str(policy.pk)
    assert EscalationRun.objects.filter(status=RunStatus.RUNNING).count() == 1


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (lambda cast: {}, ("reassign_to_one", None)),
        (lambda cast: {"user": str(cast.outsider.pk)}, ("does_not_exist", "user")),
        (lambda cast: {"policy": str(PolicyFactory(team=cast.other_team).pk)}, ("does_not_exist", "policy")),
    ],
)
def test_an_incident_is_not_handed_to_nobody(cast, body, error):
    incident = IncidentFactory(service=cast.service)
    response = cast.api("responder").post(f"/api/v1/incidents/{incident.pk}/reassign", body(cast))
    assert (response.status_code, errors(response)) == (400, [error])


LISTS = {
    "/api/v1/escalation-policies": lambda cast: policy_with_targets(cast),
    "/api/v1/routing-rules": lambda cast: RoutingRuleFactory(
        team=cast.team, service=ServiceFactory(team=cast.team)
    ),
    "/api/v1/escalation-runs": lambda cast: RunFactory(
        incident__service=cast.service, policy=policy_with_targets(cast)
    ),
}


def policy_with_targets(cast):
    return PolicyFactory(
        team=cast.team, levels=[[UserFactory(), ScheduleFactory(team=cast.team)], [cast.team, UserFactory()]]
    )


@pytest.mark.parametrize("path", LISTS)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path):
    LISTS[path](cast)
    one = count_queries(cast.api("observer"), path)
    LISTS[path](cast)
    LISTS[path](cast)
    assert (one[0], count_queries(cast.api("observer"), path)) == (1, (3, one[1]))
    assert cast.api("nobody").get(path).status_code == 401
