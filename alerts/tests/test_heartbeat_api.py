"""Heartbeats by the REST API."""

from datetime import timedelta

import pytest
from django.conf import settings

from alerts import heartbeats
from alerts.enums import AlertStatus, PingKind
from alerts.models import Alert, Heartbeat
from alerts.tests.factories import HeartbeatFactory
from openalert.models import AuditEntry
from teams.tests.cast import SEEN_BY_MEMBERS, Cast, answers, count_queries
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db
PATH = "/api/v1/heartbeats"


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Databases")
    return cast


def heartbeat_of(cast, **fields):
    return HeartbeatFactory(integration__service=cast.service, **fields)


def errors(response):
    return response.status_code, [(error["code"], error["field"]) for error in response.json()["errors"]]


def test_members_see_them_and_managers_change_them(cast):
    path = f"{PATH}/{heartbeat_of(cast).pk}"
    for_managers = answers(200, 403, 403, 404)
    assert cast.statuses("get", path) == SEEN_BY_MEMBERS
    assert cast.statuses("get", f"{path}/pings") == SEEN_BY_MEMBERS
    assert cast.statuses("patch", path, {"interval": 5}) == for_managers
    assert cast.statuses("post", f"{path}/pause") == for_managers
    assert cast.statuses("post", f"{path}/resume") == for_managers
    assert cast.statuses("delete", path) == answers(204, 403, 403, 404)
    body = {"service": str(cast.service.pk), "name": "Backup"}
    assert cast.statuses("post", PATH, body) == answers(201, 403, 403, 400)


def test_one_is_made_pinged_and_changed(cast, client, clock):
    api = cast.api("manager")
    body = {
        "service": str(cast.service.pk),
        "name": "Backup",
        "cron": "30 2 * * *",
        "time_zone": "Europe/Berlin",
        "grace_minutes": 60,
        "severity": "critical",
        "fail_words": ["failed"],
    }
    made = api.post(PATH, body).json()
    assert {name: made[name] for name in body} == body
    key = Heartbeat.objects.get().ping_key
    assert (made["ping_url"], made["email"]) == (
        f"{settings.SITE_URL}/ping/{key}",
        f"ping-{key.lower()}@{settings.INTAKE_MAIL_DOMAIN}",
    )
    assert (made["is_enabled"], made["last_ping_at"], made["due_at"]) == (True, None, None)

    client.get(f"/ping/{key}/start")
    clock.advance(seconds=90)
    client.post(f"/ping/{key}/3", "no space left", content_type="text/plain")
    path = f"{PATH}/{made['id']}"
    assert api.get(path).json()["took_seconds"] == 90
    pings = api.get(f"{path}/pings").json()["results"]
    assert [(ping["kind"], ping["exit_status"], ping["took_seconds"], ping["body"]) for ping in pings] == [
        ("fail", 3, 90, "no space left"),
        ("start", None, None, ""),
    ]

    changed = api.patch(path, {"cron": "", "interval": 2, "interval_unit": "hours", "name": "backup"}).json()
    assert (changed["interval"], changed["name"], changed["service"]) == (2, "backup", str(cast.service.pk))
    assert AuditEntry.objects.filter(action="changed", object_id=made["id"]).count() == 1
    assert api.delete(path).status_code == 204
    assert Alert.objects.get().status == AlertStatus.RESOLVED


def test_paused_and_resumed(cast, clock):
    heartbeat = heartbeat_of(cast, interval=1, interval_unit="hours")
    heartbeats.ping(heartbeat.pk, kind=PingKind.FAIL)
    api, path = cast.api("manager"), f"{PATH}/{heartbeat.pk}"
    [down] = api.get(f"{PATH}?is_down=true").json()["results"]
    assert down["expired_at"] is not None
    for _ in range(2):
        paused = api.post(f"{path}/pause").json()
        assert (paused["is_enabled"], paused["due_at"], paused["expired_at"]) == (False, None, None)
    assert Alert.objects.get().status == AlertStatus.RESOLVED
    assert api.get(f"{PATH}?is_down=true").json()["results"] == []
    resumed = api.post(f"{path}/resume").json()
    heartbeat.refresh_from_db()
    assert (resumed["is_enabled"], heartbeat.due_at) == (True, clock.now + timedelta(hours=1))


def test_what_cannot_be_is_refused(cast):
    api, service = cast.api("manager"), str(cast.service.pk)
    first, second = (
        api.post(PATH, {"service": service, "name": name}).json() for name in ("Backup", "Reindex")
    )
    taken = (400, [("unique", "name")])
    assert errors(api.post(PATH, {"service": service, "name": "BACKUP"})) == taken
    assert errors(api.patch(f"{PATH}/{second['id']}", {"name": "backup"})) == taken
    assert errors(api.patch(f"{PATH}/{first['id']}", {"cron": "61 * * * *"})) == (
        400,
        [("invalid_cron", "cron")],
    )
    elsewhere = str(ServiceFactory(team=cast.other_team).pk)
    assert errors(api.post(PATH, {"service": elsewhere, "name": "New"})) == (
        400,
        [("does_not_exist", "service")],
    )
    assert api.patch(f"{PATH}/{first['id']}", {"service": elsewhere}).json()["service"] == service


@pytest.mark.parametrize("path", [PATH, PATH + "/{}/pings"])
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path):
    heartbeat = heartbeat_of(cast)
    path = path.format(heartbeat.pk)

    def add():
        heartbeats.ping(heartbeat.pk) if path != PATH else heartbeat_of(cast)

    if path != PATH:
        add()
    one = count_queries(cast.api("observer"), path)
    add()
    add()
    assert (one[0], count_queries(cast.api("observer"), path)) == (1, (3, one[1]))
