"""Opsgenie's API: what is answered 202 has been carried out, and the request's status says how it ended."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from alerts.edits import labels_of, tags_of
from alerts.enums import AlertStatus, Grouping
from alerts.models import Alert
from alerts.tests.factories import AlertFactory, IntegrationFactory
from escalations.tests.factories import PolicyFactory
from incidents.enums import Kind, Status
from teams.tests.factories import MembershipFactory, ScheduleFactory, TeamFactory, UserFactory

ALIAS = {"identifierType": "alias"}


@pytest.fixture
def alert(genie):
    genie.pager.policy(["ana"], ["bo"])
    return genie.fire()


def incident_of(alert):
    alert.incident.refresh_from_db()
    return alert.incident


def last_entry(alert):
    entry = alert.incident.timeline.order_by("-pk").first()
    return entry.kind, entry.actor_name, entry.via


def test_acknowledge_and_back(genie, alert):
    who = {"user": "Ana Ruiz", "source": "console"}
    assert genie.act("POST", "alerts/disk/acknowledge", who, **ALIAS) == (True, "Alert is acknowledged")
    assert incident_of(alert).status == Status.ACKNOWLEDGED
    assert last_entry(alert) == (Kind.ACKNOWLEDGED, "Ana Ruiz (Opsgenie)", "opsgenie")
    genie.pager.wait(minutes=30)
    assert genie.pager.paged(alert.incident) == ["ana"]
    assert genie.act("POST", f"alerts/{alert.pk}/unacknowledge")[0]
    assert incident_of(alert).status == Status.OPEN
    genie.pager.work()
    assert genie.pager.paged(alert.incident) == ["ana", "ana"]


def test_note_of_an_action_is_written_after_it(genie, alert):
    genie.act("POST", f"alerts/{alert.pk}/acknowledge", {"user": "Ana", "note": "Looking."})
    assert genie.pager.story(alert.incident)[-2:] == [Kind.ACKNOWLEDGED, Kind.NOTE]


def test_snooze(genie, alert):
    body = {"endTime": "2026-03-02T13:00:00.000Z"}
    assert genie.act("POST", f"alerts/{alert.pk}/snooze", body) == (True, "Alert is snoozed")
    data = genie.get(f"alerts/{alert.pk}")
    assert (data["snoozed"], data["snoozedUntil"]) == (True, "2026-03-02T13:00:00.000Z")
    past = {"endTime": "2026-03-02T11:00:00Z"}
    assert genie.act("POST", f"alerts/{alert.pk}/snooze", past) == (
        False,
        "The snooze must end in the future.",
    )


def test_close_resolves_the_incident_and_ends_the_paging(genie, alert):
    assert genie.act("POST", "alerts/disk/close", {"source": "cron"}, **ALIAS) == (True, "Alert is closed")
    assert incident_of(alert).status == Status.RESOLVED
    genie.pager.wait(minutes=30)
    assert genie.pager.paged(alert.incident) == ["ana"]
    assert genie.act("POST", "alerts/disk/close", **ALIAS)[0]
    assert genie.act("POST", f"alerts/{alert.pk}/acknowledge") == (False, "Alert is closed")


def test_delete_closes(genie, alert):
    assert genie.act("DELETE", f"alerts/{alert.pk}", user="Ana") == (
        True,
        "Alert is closed: alerts are not deleted",
    )
    alert.refresh_from_db()
    assert (alert.status, incident_of(alert).status) == (AlertStatus.RESOLVED, Status.RESOLVED)
    assert last_entry(alert)[1] == "Ana (Opsgenie)"


def test_closing_by_a_person_resolves_where_the_service_leaves_it_to_people(genie, alert):
    service = genie.pager.service
    service.resolves_with_alerts = False
    service.save()
    genie.act("POST", f"alerts/{alert.pk}/close", {"source": "Alertmanager"})
    assert incident_of(alert).status == Status.OPEN
    genie.act("POST", f"alerts/{alert.pk}/close", {"user": "Ana"})
    assert incident_of(alert).status == Status.RESOLVED


def test_incident_stays_while_other_alerts_fire_and_its_tiny_id_closes_all(genie):
    genie.integration.grouping = Grouping.ALL
    genie.integration.save()
    one, two = genie.fire("one"), genie.fire("two")
    genie.act("POST", f"alerts/{one.pk}/close", {"user": "Ana"})
    assert incident_of(one).status == Status.OPEN
    third = genie.fire("three")
    number = third.incident.number
    assert genie.act("POST", f"alerts/{number}/close", identifierType="tiny")[0]
    assert incident_of(two).status == Status.RESOLVED
    assert not Alert.objects.filter(status=AlertStatus.FIRING).exists()


def test_alert_that_was_closed_is_not_taken_for_the_newer_one_of_its_alias(genie):
    old = genie.fire()
    genie.pager.end()
    new = genie.fire()
    assert genie.act("POST", f"alerts/{old.pk}/close")[0]
    assert incident_of(new).status == Status.OPEN


def test_escalate_goes_on_to_the_next_step(genie, alert):
    assert genie.act("POST", f"alerts/{alert.pk}/escalate", {"user": "Ana"}) == (True, "Alert is escalated")
    genie.pager.work()
    assert genie.pager.paged(alert.incident) == ["ana", "bo"]


def test_escalate_to_a_named_escalation(genie, alert):
    PolicyFactory(team=genie.pager.team, name="Night", levels=[[genie.pager.person("cy")]])
    body = {"escalation": {"name": "night"}}
    assert genie.act("POST", f"alerts/{alert.pk}/escalate", body)[0]
    genie.pager.work()
    assert genie.pager.paged(alert.incident) == ["ana", "cy"]
    for named in ({"name": PolicyFactory().name}, {"id": "x-of-theirs"}):
        assert genie.act("POST", f"alerts/{alert.pk}/escalate", {"escalation": named}) == (
            False,
            "Escalation does not exist",
        )


@pytest.fixture
def cy(genie):
    cy = UserFactory(name="cy", email="cy@example.org")
    MembershipFactory(user=cy, team=genie.pager.team)
    return cy


@pytest.mark.parametrize("by", [lambda cy: {"username": "CY@example.org"}, lambda cy: {"id": str(cy.pk)}])
def test_assign(genie, alert, cy, by):
    assert genie.act("POST", f"alerts/{alert.pk}/assign", {"owner": by(cy)}) == (True, "Alert is assigned")
    genie.pager.work()
    assert genie.pager.paged(alert.incident) == ["ana", "cy"]
    assert genie.get(f"alerts/{alert.pk}")["owner"] == "cy@example.org"


def test_strangers_cannot_be_assigned(genie, alert):
    body = {"owner": {"username": UserFactory().email}}
    ok, why = genie.act("POST", f"alerts/{alert.pk}/assign", body)
    assert (ok, why) == (False, "User does not exist, or is not one of the team's responders")


def test_responders(genie, alert, cy):
    schedule = ScheduleFactory(team=genie.pager.team, name="Nights")
    schedule.overrides.create(
        user=genie.pager.person("di"),
        starts_at=timezone.now(),
        ends_at=timezone.now() + timedelta(hours=1),
    )
    PolicyFactory(team=genie.pager.team, name="Late", levels=[[genie.pager.person("ed")]])
    for responder in (
        {"type": "user", "username": cy.email},
        {"type": "schedule", "name": "nights"},
        {"type": "escalation", "name": "Late"},
    ):
        assert genie.act("POST", f"alerts/{alert.pk}/responders", {"responder": responder})[0]
        genie.pager.wait(seconds=1)
    assert genie.pager.paged(alert.incident) == ["ana", "cy", "di", "ed"]
    ok, _ = genie.act("POST", f"alerts/{alert.pk}/responders", {"responder": {"type": "team", "name": "Ops"}})
    assert not ok


def test_notes_are_written_and_read_in_pages(genie, alert):
    for note in ("one", "two", "three"):
        assert genie.act("POST", f"alerts/{alert.pk}/notes", {"note": note, "user": "Ana"})[0]
    response = genie.call("GET", f"alerts/{alert.pk}/notes", limit=2)
    body = response.json()
    assert [(n["note"], n["owner"]) for n in body["data"]] == [
        ("three", "Ana (Opsgenie)"),
        ("two", "Ana (Opsgenie)"),
    ]
    rest = genie.client.get(body["paging"]["next"], headers={"Authorization": f"GenieKey {genie.key}"})
    assert [n["note"] for n in rest.json()["data"]] == ["one"]
    assert "next" not in rest.json()["paging"]
    back = genie.get(f"alerts/{alert.pk}/notes", offset=rest.json()["data"][0]["offset"], direction="prev")
    assert [n["note"] for n in back] == ["three", "two"]
    assert [n["note"] for n in genie.get(f"alerts/{alert.pk}/notes", order="asc", limit=1)] == ["one"]


def test_logs_are_the_timeline(genie, alert):
    logs = genie.get(f"alerts/{alert.pk}/logs", order="asc")
    assert [(log["log"], log["type"]) for log in logs][:2] == [
        ("Opsgenie opened the incident", "opened"),
        (f"Escalation started: {genie.pager.team.escalation_policies.get()}", "escalation_started"),
    ]


def test_tags_and_details_stay_when_the_alert_fires_again(genie):
    fields = {"metadata": {"tags": ["eu", "disk"]}, "labels": {"host": "db1", "zone": "a"}}
    alert = genie.fire(**fields)
    path = f"alerts/{alert.pk}"
    assert genie.act("POST", f"{path}/tags", {"tags": ["seen", "eu", "x"]})[0]
    assert genie.act("DELETE", f"{path}/tags", tags="x,disk")[0]
    assert genie.act("POST", f"{path}/details", {"details": {"ticket": "OPS-1", "zone": "b"}})[0]
    data = genie.get(path)
    assert (data["tags"], data["details"]) == (
        ["eu", "seen"],
        {"host": "db1", "zone": "b", "ticket": "OPS-1"},
    )
    assert genie.act("DELETE", f"{path}/details", keys="host")[0]
    assert genie.get(path)["details"] == {"zone": "b", "ticket": "OPS-1"}
    alert = genie.fire(**fields)
    assert tags_of(alert) == ["eu", "disk", "seen"]
    assert labels_of(alert) == {"host": "db1", "zone": "b", "ticket": "OPS-1"}


def test_message_description_and_priority(genie, alert):
    path = f"alerts/{alert.pk}"
    assert genie.act("PUT", f"{path}/message", {"message": "Disk  of db1"})[0]
    assert genie.act("PUT", f"{path}/description", {"description": "It is full.\nReally."})[0]
    assert genie.act("PUT", f"{path}/description", {})[0]
    assert genie.act("PUT", f"{path}/description", {"description": "It is full."})[0]
    assert genie.act("PUT", f"{path}/priority", {"priority": "P5"})[0]
    data = genie.get(path)
    assert (data["message"], data["description"], data["priority"]) == ("Disk of db1", "It is full.", "P5")
    assert incident_of(alert).severity == "low"


def test_incident_is_as_severe_as_its_worst_alert(genie):
    genie.integration.grouping = Grouping.ALL
    genie.integration.save()
    one, two = genie.fire("one", severity="high"), genie.fire("two", severity="medium")
    genie.act("PUT", f"alerts/{two.pk}/priority", {"priority": "P1"})
    assert incident_of(one).severity == "critical"
    genie.act("PUT", f"alerts/{two.pk}/priority", {"priority": "P4"})
    assert incident_of(one).severity == "high"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "snooze", {}, "endTime"),
        ("POST", "snooze", {"endTime": "2026-99-99T00:00:00Z"}, "endTime"),
        ("POST", "snooze", {"endTime": 5}, "endTime"),
        ("POST", "assign", {}, "owner"),
        ("POST", "assign", {"owner": {"name": "x"}}, "owner"),
        ("POST", "escalate", {"escalation": "x"}, "escalation"),
        ("POST", "responders", {"responder": {"type": "robot"}}, "responder"),
        ("POST", "responders", {"responder": {"type": "user"}}, "responder"),
        ("POST", "notes", {}, "note"),
        ("POST", "notes", {"note": 5}, "note"),
        ("POST", "tags", {"tags": []}, "tags"),
        ("POST", "tags", {"tags": "a"}, "tags"),
        ("POST", "details", {"details": {"a": [1]}}, "details"),
        ("POST", "details", {}, "details"),
        ("PUT", "message", {"message": " "}, "message"),
        ("PUT", "description", {"description": []}, "description"),
        ("PUT", "priority", {"priority": "P9"}, "priority"),
        ("DELETE", "tags", None, "tags"),
        ("DELETE", "details", None, "keys"),
    ],
)
def test_what_cannot_be_understood_is_refused_before_anything_is_done(
    genie, alert, method, path, body, field
):
    response = genie.call(method, f"alerts/{alert.pk}/{path}", body)
    assert (response.status_code, list(response.json()["errors"])) == (422, [field])


@pytest.mark.parametrize("content", ["{", "[]", '"x"', b"\xff"])
def test_bodies_that_are_no_objects(genie, alert, content):
    response = genie.client.post(
        f"/v2/alerts/{alert.pk}/acknowledge",
        content,
        "application/json",
        headers={"Authorization": f"GenieKey {genie.key}"},
    )
    assert response.status_code == 400
    assert set(response.json()) == {"message", "took", "requestId"}


def test_owner_error_is_in_opsgenies_words(genie, alert):
    response = genie.call("POST", f"alerts/{alert.pk}/assign", {"owner": {}})
    assert response.json()["errors"] == {"owner": "id or username should be provided"}


def test_alert_that_is_not_there_is_told_by_the_status(genie):
    response = genie.call("POST", "alerts/nothing/acknowledge", **ALIAS)
    assert response.status_code == 202
    data = genie.get(f"alerts/requests/{response.json()['requestId']}")
    assert data == {
        "success": False,
        "action": "Acknowledge",
        "processedAt": "2026-03-02T12:00:00.000Z",
        "integrationId": str(genie.integration.pk),
        "isSuccess": False,
        "status": "Alert does not exist",
        "alertId": "",
        "alias": "",
    }


def test_strangers_alert_cannot_be_changed(genie):
    stranger = AlertFactory()
    for path in ("close", "acknowledge"):
        assert genie.act("POST", f"alerts/{stranger.pk}/{path}") == (False, "Alert does not exist")
    stranger.refresh_from_db()
    assert stranger.status == AlertStatus.FIRING


def test_request_is_asked_after_with_its_own_key(genie, alert):
    request_id = genie.call("POST", f"alerts/{alert.pk}/acknowledge").json()["requestId"]
    assert genie.get(f"alerts/requests/{request_id}")["alertId"] == str(alert.pk)
    genie.key = IntegrationFactory(source="opsgenie", service=genie.pager.service).key
    response = genie.call("GET", f"alerts/requests/{request_id}")
    assert (response.status_code, response.json()["message"]) == (
        404,
        "Request not found. It might not be processed, yet.",
    )


def test_request_is_carried_out_though_the_cache_is_away(genie, alert, monkeypatch):
    def refuse(*args, **kwargs):
        from redis.exceptions import ConnectionError

        raise ConnectionError("away")

    monkeypatch.setattr(cache, "set_many", refuse)
    monkeypatch.setattr(cache, "get", refuse)
    response = genie.call("POST", f"alerts/{alert.pk}/acknowledge")
    assert response.status_code == 202
    assert incident_of(alert).status == Status.ACKNOWLEDGED
    asked = genie.call("GET", f"alerts/requests/{response.json()['requestId']}")
    assert (asked.status_code, set(asked.json())) == (503, {"message", "took", "requestId"})


def test_other_teams_escalations_are_not_there(genie, alert):
    policy = PolicyFactory(team=TeamFactory(), name="Theirs")
    body = {"escalation": {"id": str(policy.pk)}}
    assert genie.act("POST", f"alerts/{alert.pk}/escalate", body) == (False, "Escalation does not exist")
