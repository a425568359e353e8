"""Opsgenie's heartbeats: pings that do not come page people."""

import pytest
from django.utils import timezone

from alerts import heartbeats
from alerts.models import Alert, Heartbeat, HeartbeatWatch
from alerts.tests.factories import IntegrationFactory
from incidents.enums import Status
from teams.tests.factories import ServiceFactory

NEW = {"name": "Backup", "interval": 10, "intervalUnit": "minutes", "enabled": True}


@pytest.fixture
def backup(genie):
    genie.pager.policy(["ana"])
    assert genie.call("POST", "heartbeats", NEW).status_code == 201
    return Heartbeat.objects.get()


def wait(genie, **span):
    genie.pager.clock.advance(**span)
    HeartbeatWatch.objects.update(looked_at=timezone.now())  # somebody has looked meanwhile
    heartbeats.tick()
    genie.pager.work()


def ping(genie, name="Backup"):
    response = genie.call("GET", f"heartbeats/{name}/ping")
    return response.status_code, response.json().get("result")


def test_heartbeat_is_made_and_told(genie):
    body = {
        **NEW,
        "description": "Nightly dump",
        "intervalUnit": "days",
        "interval": 1,
        "alertMessage": "No backup",
        "alertTags": ["db"],
        "alertPriority": "P1",
        "ownerTeam": {"name": "ignored"},
    }
    response = genie.call("POST", "heartbeats", body)
    team = genie.pager.team
    expected = {
        "name": "Backup",
        "enabled": True,
        "expired": False,
        "description": "Nightly dump",
        "interval": 1,
        "intervalUnit": "days",
        "ownerTeam": {"id": str(team.pk), "name": team.name},
        "alertMessage": "No backup",
        "alertTags": ["db"],
        "alertPriority": "P1",
    }
    assert (response.status_code, response.json()["data"]) == (201, expected)
    assert genie.get("heartbeats/backup") == expected
    assert genie.get("heartbeats") == {"heartbeats": [expected]}


def test_ping_that_does_not_come_pages_until_one_does(genie, backup):
    wait(genie, hours=1)
    assert not Alert.objects.exists()  # watched from the first ping on
    assert ping(genie) == (202, "PONG - Heartbeat received")
    wait(genie, minutes=9)
    assert ping(genie, "BACKUP")[0] == 202
    wait(genie, minutes=9)
    assert not Alert.objects.exists()
    wait(genie, minutes=1)
    alert = Alert.objects.get()
    assert (alert.title, alert.severity, alert.incident.status) == (
        "Backup is expired",
        "medium",
        Status.OPEN,
    )
    assert genie.pager.paged(alert.incident) == ["ana"]
    data = genie.get("heartbeats/Backup")
    assert (data["expired"], data["lastPingTime"]) == (True, "2026-03-02T13:09:00.000Z")
    wait(genie, hours=1)
    assert Alert.objects.get().count == 1
    assert ping(genie)[0] == 202
    alert.refresh_from_db()
    alert.incident.refresh_from_db()
    assert (alert.status, alert.incident.status) == ("resolved", Status.RESOLVED)
    assert genie.get("heartbeats/Backup")["expired"] is False


def test_switched_off_heartbeat_is_not_watched(genie, backup):
    ping(genie)
    response = genie.call("POST", "heartbeats/Backup/disable")
    assert response.json()["data"] == {"name": "Backup", "enabled": False, "expired": False}
    ping(genie)
    wait(genie, hours=1)
    assert not Alert.objects.exists()
    assert genie.call("PUT", "heartbeats/Backup/enable").json()["data"]["enabled"] is True
    wait(genie, minutes=10)
    assert Alert.objects.get().status == "firing"
    genie.call("POST", "heartbeats/Backup/disable")
    assert Alert.objects.get().status == "resolved"


def test_change_and_deletion(genie, backup):
    ping(genie)
    response = genie.call("PATCH", "heartbeats/Backup", {"interval": 2, "intervalUnit": "hours"})
    assert (response.json()["data"]["interval"], response.json()["data"]["intervalUnit"]) == (2, "hours")
    wait(genie, minutes=119)
    assert not Alert.objects.exists()
    wait(genie, minutes=1)
    assert Alert.objects.get().status == "firing"
    # What is late stays so, whatever is said about it.
    genie.call("PUT", "heartbeats/Backup", {"description": "x"})
    assert Alert.objects.get().status == "firing"
    assert genie.call("DELETE", "heartbeats/Backup").json()["result"] == "Deleted"
    assert Alert.objects.get().status == "resolved"
    assert ping(genie) == (404, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"interval": 0}, "interval"),
        ({"interval": "5"}, "interval"),
        ({"interval": True}, "interval"),
        ({"intervalUnit": "weeks"}, "intervalUnit"),
        ({"enabled": "yes"}, "enabled"),
        ({"alertPriority": "P0"}, "alertPriority"),
        ({"alertTags": "a"}, "alertTags"),
        ({"alertTags": [{}]}, "alertTags"),
    ],
)
def test_what_is_no_heartbeat(genie, change, field):
    response = genie.call("POST", "heartbeats", {**NEW, **change})
    assert (response.status_code, list(response.json()["errors"])) == (422, [field])
    assert not Heartbeat.objects.exists()


def test_what_is_missing(genie):
    response = genie.call("POST", "heartbeats", {"name": "x"})
    assert list(response.json()["errors"]) == ["interval", "intervalUnit", "enabled"]


def test_names_are_the_teams(genie, backup):
    assert genie.call("POST", "heartbeats", {**NEW, "name": "backup"}).status_code == 409
    sibling = IntegrationFactory(service=ServiceFactory(team=genie.pager.team), source="opsgenie")
    genie.key = sibling.key
    assert ping(genie)[0] == 202
    genie.key = IntegrationFactory(source="opsgenie").key
    assert ping(genie)[0] == 404
    assert genie.get("heartbeats") == {"heartbeats": []}
    response = genie.call("GET", "heartbeats/Backup/ping").json()
    assert response["message"] == "Heartbeat does not exist"
