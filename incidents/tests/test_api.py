from datetime import timedelta

import pytest
from django.utils import timezone

from incidents.enums import Kind, Severity, Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory, TimelineEntryFactory
from teams.models import Membership
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory, UserFactory

pytestmark = pytest.mark.django_db

DONE_BY_RESPONDERS = answers(200, 200, 403, 404)


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    return cast


@pytest.fixture
def incident(cast):
    return IncidentFactory(service=cast.service, title="Disk full")


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


def act(cast, incident, action, body=None, who="responder"):
    return cast.api(who).post(f"/api/v1/incidents/{incident.pk}/{action}", body)


# Who may do what


def test_incidents_are_seen_by_members(cast, incident):
    assert cast.statuses("get", f"/api/v1/incidents/{incident.pk}") == SEEN_BY_MEMBERS
    assert cast.statuses("get", f"/api/v1/incidents/{incident.pk}/timeline") == SEEN_BY_MEMBERS


@pytest.mark.parametrize(
    ("status", "action", "body"),
    [
        (Status.OPEN, "acknowledge", None),
        (Status.ACKNOWLEDGED, "unacknowledge", None),
        (Status.OPEN, "resolve", None),
        (Status.RESOLVED, "reopen", None),
        (Status.OPEN, "snooze", {"minutes": 30}),
        (Status.OPEN, "severity", {"severity": "low"}),
    ],
)
def test_incidents_are_acted_on_by_responders_and_managers(cast, status, action, body):
    incident = IncidentFactory(service=cast.service, status=status)
    path = f"/api/v1/incidents/{incident.pk}/{action}"
    assert cast.statuses("post", path, body) == DONE_BY_RESPONDERS


def test_notes_are_written_by_responders_and_managers(cast, incident):
    path = f"/api/v1/incidents/{incident.pk}/notes"
    assert cast.statuses("post", path, {"text": "Looking."}) == answers(201, 201, 403, 404)


def test_incidents_are_opened_by_responders_and_managers(cast):
    body = {"service": str(cast.service.pk), "title": "Phones are dead"}
    assert cast.statuses("post", "/api/v1/incidents", body) == answers(201, 201, 403, 400)


def test_incidents_are_not_written_over(cast, incident):
    path = f"/api/v1/incidents/{incident.pk}"
    assert cast.statuses("put", path, {}) == answers(405, 405, 405, 405)
    assert cast.statuses("delete", path) == answers(405, 405, 405, 405)


# What it does


def test_an_incident_is_opened_by_hand(cast):
    body = {
        "service": str(cast.service.pk),
        "title": "Phones are dead",
        "severity": "critical",
        "note": "Called in.",
    }
    response = cast.api("responder").post("/api/v1/incidents", body)
    incident = Incident.objects.get()
    assert response.status_code == 201
    assert response.json() == {
        "id": str(incident.pk),
        "number": incident.number,
        "title": "Phones are dead",
        "severity": "critical",
        "status": "open",
        "service": {"id": str(cast.service.pk), "name": "Checkout"},
        "team": {"id": str(cast.team.pk), "name": "Payments"},
        "opened_at": as_json(incident.opened_at),
        "last_alert_at": as_json(incident.opened_at),
        "acknowledged_at": None,
        "acknowledged_by": None,
        "assigned_to": None,
        "snoozed_until": None,
        "resolved_at": None,
        "resolved_by": None,
        "merged_into": None,
        "updated_at": as_json(incident.updated_at),
    }
    timeline = incident.timeline.filter(actor=cast.responder)
    assert [(entry.kind, entry.via) for entry in timeline] == [(Kind.OPENED, "api"), (Kind.NOTE, "api")]


def as_json(instant):
    return instant.isoformat().replace("+00:00", "Z")


def test_an_incident_is_acknowledged_taken_back_resolved_and_reopened(cast, incident):
    acknowledged = act(cast, incident, "acknowledge").json()
    assert (acknowledged["status"], acknowledged["acknowledged_by"]["name"]) == (
        "acknowledged",
        "Rui Responder",
    )
    assert acknowledged["assigned_to"]["initials"] == "RR"
    assert act(cast, incident, "acknowledge", who="manager").json() == acknowledged

    assert act(cast, incident, "unacknowledge").json()["acknowledged_by"] is None
    resolved = act(cast, incident, "resolve", who="manager").json()
    assert (resolved["status"], resolved["resolved_by"]["name"]) == ("resolved", "Mara Manager")
    assert act(cast, incident, "reopen").json()["status"] == "open"


def test_a_step_that_the_status_forbids_is_a_conflict(cast, incident):
    act(cast, incident, "resolve")
    response = act(cast, incident, "acknowledge")
    assert response.status_code == 409
    assert response.json() == {
        "type": "client_error",
        "errors": [
            {
                "code": "invalid_transition",
                "detail": f"Incident {incident.number} is resolved: it cannot become acknowledged.",
                "field": None,
            }
        ],
        "correlation_id": response["X-Correlation-ID"],
    }


def test_an_incident_is_snoozed_for_minutes_or_until_an_instant(cast, incident):
    until = timezone.now() + timedelta(hours=3)
    assert act(cast, incident, "snooze", {"until": until.isoformat()}).json()["snoozed_until"] == as_json(
        until
    )
    before = timezone.now()
    act(cast, incident, "snooze", {"minutes": 30})
    incident.refresh_from_db()
    assert before <= incident.snoozed_until - timedelta(minutes=30) <= timezone.now()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, ("either_or", None)),
        ({"minutes": 5, "until": "2030-01-01T00:00:00Z"}, ("either_or", None)),
        ({"minutes": 0}, ("min_value", "minutes")),
        ({"minutes": "soon"}, ("invalid", "minutes")),
        ({"until": "2020-01-01T00:00:00Z"}, ("snooze_in_the_past", "until")),
        ({"until": "9999-01-01T00:00:00Z"}, ("out_of_range", "until")),
    ],
)
def test_a_snooze_that_makes_no_sense_is_refused(cast, incident, body, error):
    response = act(cast, incident, "snooze", body)
    assert (response.status_code, response.json()["type"]) == (400, "validation_error")
    assert errors(response) == [error]


def test_the_severity_is_changed(cast, incident):
    assert act(cast, incident, "severity", {"severity": "critical"}).json()["severity"] == "critical"
    assert errors(act(cast, incident, "severity", {"severity": "worst"})) == [("invalid_choice", "severity")]
    assert errors(act(cast, incident, "severity", {})) == [("required", "severity")]


def test_a_note_goes_into_the_timeline(cast, incident):
    entry = act(cast, incident, "notes", {"text": "Looking."}).json()
    assert (entry["kind"], entry["data"], entry["actor"]["name"]) == (
        "note",
        {"text": "Looking."},
        "Rui Responder",
    )
    assert errors(act(cast, incident, "notes", {"text": " "})) == [("blank", "text")]
    assert errors(act(cast, incident, "notes", {"text": "\0"})) == [("null_characters_not_allowed", "text")]


def test_the_timeline_tells_the_story_and_what_is_new_in_it(cast, incident):
    act(cast, incident, "acknowledge")
    act(cast, incident, "resolve")
    path = f"/api/v1/incidents/{incident.pk}/timeline"

    def sentences(query=""):
        return [entry["sentence"] for entry in cast.api("observer").get(path + query).json()["results"]]

    told = ["Rui Responder acknowledged", "Rui Responder resolved the incident"]
    assert sentences() == told
    assert sentences("?ordering=-id") == told[::-1]
    assert sentences(f"?after={incident.timeline.first().pk}") == told[1:]
    assert sentences("?kind=resolved") == told[1:]


# Lists


def test_incidents_are_filtered_searched_and_ordered(cast):
    now = timezone.now()
    for hours, title, values in (
        (3, "Disk full on db1", {"severity": Severity.LOW}),
        (2, "Latency", {"severity": Severity.CRITICAL, "assigned_to": cast.responder}),
        (1, "Disk full on db2", {"status": Status.RESOLVED}),
    ):
        IncidentFactory(service=cast.service, title=title, opened_at=now - timedelta(hours=hours), **values)
    IncidentFactory(service=ServiceFactory(team=cast.other_team), title="Hidden")
    db1, latency, db2 = "Disk full on db1", "Latency", "Disk full on db2"

    def titles(query=""):
        results = cast.api("observer").get(f"/api/v1/incidents?{query}").json()["results"]
        return [incident["title"] for incident in results]

    assert titles() == [db2, latency, db1]
    assert titles("status=resolved") == [db2]
    assert titles("resolved=false") == [latency, db1]
    assert titles("severity=low&severity=high") == [db2, db1]
    assert titles("search=disk") == [db2, db1]
    assert titles("ordering=severity_rank") == [latency, db2, db1]
    assert titles("ordering=-severity_rank,opened_at") == [db1, db2, latency]
    assert titles(f"assigned_to={cast.responder.pk}") == [latency]
    assert titles(f"service={cast.service.pk}&number={Incident.objects.get(title=db1).number}") == [db1]
    assert titles(f"team={cast.other_team.pk}") == []
    assert titles(f"opened_after={as_json(now - timedelta(hours=2.5))}") == [db2, latency]
    assert titles(f"opened_before={as_json(now - timedelta(hours=1.5))}") == [latency, db1]


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("status=gone", ("invalid_choice", "status")),
        ("team=7", ("invalid", "team")),
        ("opened_after=yesterday", ("invalid", "opened_after")),
        ("ordering=password", ("invalid_choice", "ordering")),
        ("cursor=xyz", ("invalid_cursor", None)),
        ("search=%00", ("null_characters_not_allowed", None)),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(cast, incident, query, error):
    response = cast.api("observer").get(f"/api/v1/incidents?{query}")
    assert (response.status_code, errors(response)) == (400, [error])


def test_incidents_take_as_many_queries_for_three_rows_as_for_one(cast):
    def add():
        IncidentFactory(
            service=ServiceFactory(team=cast.team), status=Status.ACKNOWLEDGED, acknowledged_by=UserFactory()
        )

    add()
    one = count_queries(cast.api("observer"), "/api/v1/incidents")
    add()
    add()
    assert count_queries(cast.api("observer"), "/api/v1/incidents") == (3, one[1])
    assert cast.api("nobody").get("/api/v1/incidents").status_code == 401


def test_the_timeline_takes_as_many_queries_for_three_rows_as_for_one(cast, incident):
    path = f"/api/v1/incidents/{incident.pk}/timeline"
    TimelineEntryFactory(incident=incident, actor=UserFactory())
    one = count_queries(cast.api("observer"), path)
    TimelineEntryFactory(incident=incident, actor=UserFactory())
    TimelineEntryFactory(incident=incident, actor=UserFactory())
    assert count_queries(cast.api("observer"), path) == (3, one[1])


def test_who_leaves_the_team_sees_nothing_more(cast, incident):
    api = cast.api("responder")
    assert api.get(f"/api/v1/incidents/{incident.pk}").status_code == 200
    Membership.objects.filter(user=cast.responder).delete()
    assert api.get(f"/api/v1/incidents/{incident.pk}").status_code == 404
