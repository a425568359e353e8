"""Opsgenie's API: alerts are read, listed and counted."""

import pytest

from alerts.enums import Source
from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents import lifecycle
from teams.tests.factories import ServiceFactory

NOW = "2026-03-02T12:00:00.000Z"


def told(response):
    body = response.json()
    assert body.pop("requestId") == response["X-Request-ID"]
    assert f"{body.pop('took'):.3f}" == response["X-Response-Time"]
    return response.status_code, body


def test_alert_as_opsgenie_tells_it(genie):
    alert = genie.fire(
        source="cron",
        labels={"host": "db1"},
        metadata={
            "tags": ["disk", 7],
            "actions": ["Restart"],
            "entity": "db1",
            "description": "It fills up.",
            "priority": "P1",
        },
    )
    response = genie.call("GET", f"alerts/{alert.pk}")
    data = {
        "id": str(alert.pk),
        "tinyId": str(alert.incident.number),
        "alias": "disk",
        "message": "disk",
        "status": "open",
        "acknowledged": False,
        "isSeen": False,
        "tags": ["disk"],
        "snoozed": False,
        "count": 1,
        "lastOccurredAt": NOW,
        "createdAt": NOW,
        "updatedAt": data_updated(response),
        "source": "cron",
        "owner": "",
        "priority": "P1",
        "responders": [{"type": "team", "id": str(genie.pager.team.pk)}],
        "integration": {
            "id": str(genie.integration.pk),
            "name": "Opsgenie",
            "type": "Opsgenie Alert API",
        },
        "actions": ["Restart"],
        "entity": "db1",
        "description": "It fills up.",
        "details": {"host": "db1"},
    }
    assert told(response) == (200, {"data": data})


def data_updated(response):
    """The database's own clock, which does not stand."""
    return response.json()["data"]["updatedAt"]


def test_alert_is_found_by_id_alias_and_tiny_id(genie):
    alert = genie.fire("with/slashes and %")
    for identifier, kind in (
        (str(alert.pk), "id"),
        ("with/slashes%20and%20%25", "alias"),
        (str(alert.incident.number), "tiny"),
    ):
        assert genie.get(f"alerts/{identifier}", identifierType=kind)["id"] == str(alert.pk)


def test_alias_names_the_open_alert_and_then_the_last_closed_one(genie):
    first = genie.fire()
    genie.pager.end()
    assert genie.get("alerts/disk", identifierType="alias")["id"] == str(first.pk)
    second = genie.fire()
    assert genie.get("alerts/disk", identifierType="alias")["id"] == str(second.pk)


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [("nothing", "alias"), ("nothing", "id"), ("9" * 30, "tiny"), ("-1", "tiny"), ("²", "tiny")],
)
def test_alert_that_is_not_there(genie, identifier, kind):
    response = genie.call("GET", f"alerts/{identifier}", identifierType=kind)
    assert told(response) == (404, {"message": "Alert does not exist"})


def test_answers_are_told(genie):
    genie.pager.policy(["ana"])
    alert = genie.fire()
    genie.pager.wait(seconds=90)
    lifecycle.acknowledge(incident_id=alert.incident_id, actor=genie.pager.acting("ana"))
    genie.pager.wait(seconds=30)
    genie.pager.end()
    data = genie.get(f"alerts/{alert.pk}")
    ana = genie.pager.person("ana")
    assert (data["status"], data["acknowledged"], data["isSeen"], data["owner"]) == (
        "closed",
        True,
        True,
        ana.email,
    )
    assert data["responders"][1] == {"type": "user", "id": str(ana.pk)}
    assert data["report"] == {"ackTime": 90_000, "acknowledgedBy": ana.email, "closeTime": 120_000}


def test_only_the_teams_alerts_are_seen(genie):
    sibling = AlertFactory(incident__service=ServiceFactory(team=genie.pager.team))
    stranger = AlertFactory()
    assert genie.get(f"alerts/{sibling.pk}")["id"] == str(sibling.pk)
    assert genie.call("GET", f"alerts/{stranger.pk}").status_code == 404
    assert [alert["id"] for alert in genie.get("alerts")] == [str(sibling.pk)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "GenieKey no"}, 401), ({"Authorization": "Bearer no"}, 401)],
)
@pytest.mark.django_db
def test_keys_that_open_nothing(client, headers, status):
    response = client.get("/v2/alerts", headers=headers)
    assert told(response) == (status, {"message": "Could not authenticate"})


@pytest.mark.django_db
def test_key_of_another_source(client):
    key = IntegrationFactory(source=Source.OPENALERT).key
    response = client.get("/v2/alerts", headers={"Authorization": f"GenieKey {key}"})
    assert response.status_code == 403


def test_addresses_and_methods_that_are_not_there(genie):
    response = genie.call("PATCH", "alerts/x/close")
    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert genie.call("GET", "alerts/x/attachments").status_code == 404


# Lists


@pytest.fixture
def five(genie):
    alerts = []
    for key in "abcde":
        alerts.append(genie.fire(key))
        genie.pager.clock.advance(seconds=1)
    return alerts


def aliases(data):
    return "".join(alert["alias"] for alert in data)


def test_newest_come_first_and_pages_follow_each_other(genie, five):
    response = genie.call("GET", "alerts", limit=2, query="status: open")
    body = response.json()
    assert aliases(body["data"]) == "ed"
    here = "http://testserver/v2/alerts?limit=2&query=status%3A+open&offset="
    assert body["paging"] == {"first": f"{here}0", "next": f"{here}2", "last": f"{here}4"}
    last = genie.call("GET", "alerts", limit=2, query="status: open", offset=4).json()
    assert (aliases(last["data"]), last["paging"]) == ("a", {"first": f"{here}0", "prev": f"{here}2"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "edcba"),
        ({"order": "asc"}, "abcde"),
        ({"sort": "alias"}, "edcba"),
        ({"sort": "count", "order": "asc"}, "abcde"),
        ({"sort": "report.ackTime", "order": "asc", "limit": 3}, "abc"),
        ({"offset": 3}, "ba"),
    ],
)
def test_order(genie, five, query, expected):
    assert aliases(genie.get("alerts", **query)) == expected


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 101},
        {"limit": "x"},
        {"offset": -1},
        {"offset": 19_999},
        {"sort": "x"},
        {"order": "up"},
    ],
)
def test_what_cannot_be_listed(genie, query):
    status, body = told(genie.call("GET", "alerts", **query))
    assert (status, list(body["errors"])) == (422, list(query))


def test_number_of_queries_does_not_depend_on_the_number_of_alerts(genie, django_assert_num_queries):
    genie.fire("a")
    with django_assert_num_queries(2):  # the key, the alerts
        genie.get("alerts")
    genie.fire("b")
    genie.fire("c")
    with django_assert_num_queries(2):
        genie.get("alerts")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abcde"),
        ("status: open", "abcd"),
        ("status:closed", "e"),
        ("priority: P1", "a"),
        ("priority: (P1 OR p2)", "ab"),
        ("priority: P4", "d"),
        ("priority: P5", "e"),
        ("tag: eu", "ac"),
        ("tag: added", "b"),
        ("NOT tag: eu AND NOT tag: added", "de"),
        ("alias: B", "b"),
        ('alias: "c"', "c"),
        ("message: message-", "abcde"),
        ("message: MESSAGE-a* OR message: e-b", "ab"),
        ("message-a", "a"),
        ("details.host: db1", "a"),
        ("details.zone: z1", "b"),
        ("status: open priority: P2", "b"),
        ("(status: open OR status: closed) AND NOT (alias: (a OR b))", "cde"),
        ("NOT NOT alias: a", "a"),
        ("acknowledged: true", "c"),
        ("acknowledged: false AND status: open", "abd"),
        ("owner: ana@*", "c"),
        ("count: 2", "d"),
        ("count > 1", "d"),
        ("createdAt > 1772452800000", "bcde"),
        ("createdAt >= 1772452800000", "abcde"),
        ('createdAt < "2026-03-02T12:00:01Z"', "a"),
        ("integration.name: opsgenie", "abcde"),
        ("source: cron", "a"),
        ("entity: db1", "a"),
    ],
)
def test_queries(genie, query, expected):
    pager = genie.pager
    fields = {
        "a": {
            "severity": "critical",
            "metadata": {"tags": ["eu"], "entity": "db1"},
            "labels": {"host": "db1"},
        },
        "b": {"severity": "high"},
        "c": {"severity": "medium", "metadata": {"tags": ["eu"]}},
        "d": {"severity": "low"},
        "e": {"severity": "low", "metadata": {"priority": "P5"}},
    }
    for key, extra in fields.items():
        source = {"source": "cron"} if key == "a" else {}
        genie.fire(key, title=f"message-{key}", **extra, **source)
        pager.clock.advance(seconds=1)
    genie.fire("d", title="message-d", severity="low")
    assert genie.act("POST", "alerts/b/tags", {"tags": ["added"]}, identifierType="alias")[0]
    assert genie.act("POST", "alerts/b/details", {"details": {"zone": "z1"}}, identifierType="alias")[0]
    ana = pager.person("ana")
    ana.email = "ana@example.org"
    ana.save()
    [c] = genie.get("alerts", query="alias: c")
    incident = pager.service.incidents.get(number=c["tinyId"])
    lifecycle.acknowledge(incident_id=incident.pk, actor=pager.acting("ana"))
    pager.end("e")
    assert aliases(genie.get("alerts", query=query, order="asc")) == expected
    assert genie.get("alerts/count", query=query) == {"count": len(expected)}


@pytest.mark.parametrize(
    "query",
    [
        "status: burning",
        "priority: P9",
        "colour: red",
        "alias:",
        "(alias: a",
        "alias: a)",
        "AND",
        "alias: a AND",
        "count: many",
        "alias > a",
        "createdAt > yesterday",
        'alias: "a',
        "acknowledged: maybe",
        "(" * 30 + "a" + ")" * 30,
        "a" * 1001,
    ],
)
def test_queries_that_mean_nothing(genie, query):
    status, body = told(genie.call("GET", "alerts", query=query))
    assert (status, list(body["errors"])) == (422, ["query"])


def test_saved_searches_are_refused(genie):
    assert genie.call("GET", "alerts/count", searchIdentifier="x").status_code == 422
