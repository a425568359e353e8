"""Programs ping by an address: done, started, failed; late by an interval or by cron; and not for an outage of ours."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from alerts import cron, heartbeats
from alerts.enums import AlertStatus, PingKind
from alerts.models import Alert, Heartbeat, HeartbeatPing, HeartbeatWatch, Integration
from alerts.tests.factories import HeartbeatFactory
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def beat(clock):
    made = HeartbeatFactory(name="Backup", interval=1, interval_unit="hours", grace_minutes=10)
    made.clock = clock
    return made


def ping(beat, what="", **options):
    method = getattr(Client(enforce_csrf_checks=True), options.pop("method", "get"))
    response = method(f"/ping/{beat.ping_key}{what}", **options)
    beat.refresh_from_db()
    return response.status_code


def alert():
    return Alert.objects.latest("pk")


def look(beat, *, often=True, **span):
    """Time passes; somebody looks meanwhile, or nobody."""
    beat.clock.advance(**span)
    if often:
        HeartbeatWatch.objects.update(looked_at=beat.clock.now)
    heartbeats.tick()
    beat.refresh_from_db()


@pytest.mark.parametrize("method", ["get", "head", "post"])
def test_a_ping_makes_it_watched(beat, method):
    assert ping(beat, method=method) == 200
    assert beat.due_at == beat.clock.now + timedelta(hours=1, minutes=10)


def test_it_is_late_after_the_grace_and_well_again_with_the_next_ping(beat):
    ping(beat)
    look(beat, minutes=69)
    assert not Alert.objects.exists()
    look(beat, minutes=1)
    assert (alert().title, alert().status) == ("Backup is expired", AlertStatus.FIRING)
    ping(beat)
    assert (alert().status, beat.expired_at) == (AlertStatus.RESOLVED, None)


@pytest.mark.parametrize(
    ("what", "title"),
    [
        ("/fail", "Backup failed"),
        ("/3", "Backup ended with exit status 3"),
        ("/TERM", "Backup failed"),
    ],
)
def test_a_failure_fires_at_once_and_once(beat, what, title):
    ping(beat)
    assert ping(beat, what, method="post", data="no space left", content_type="text/plain") == 200
    assert (alert().title, alert().status, beat.expired_at) == (title, AlertStatus.FIRING, beat.clock.now)
    assert beat.pings.first().body == "no space left"
    ping(beat, what)
    look(beat, hours=9)
    assert Alert.objects.count() == 1
    ping(beat, "/0")
    assert alert().status == AlertStatus.RESOLVED


def test_a_start_measures_and_has_to_be_followed_within_the_grace(beat):
    ping(beat, "/start")
    beat.clock.advance(minutes=7)
    ping(beat)
    assert (beat.took, beat.pings.first().took, beat.started_at) == (timedelta(minutes=7),) * 2 + (None,)
    ping(beat, "/start")
    look(beat, minutes=10)
    assert alert().status == AlertStatus.FIRING


def test_what_is_no_ping(beat):
    assert ping(beat, "/256") == 400
    assert ping(beat, "/sideways") == 404
    assert ping(beat, method="put") == 405
    assert Client().get("/ping/nobody").status_code == 404
    assert beat.pings.count() == 0


def test_what_is_posted_is_kept_in_part_whatever_it_is(beat):
    body = b"\x00\xff" + b"x" * 50_000
    assert ping(beat, method="post", data=body, content_type="application/octet-stream") == 200
    kept = beat.pings.get().body
    assert (kept[:3], len(kept)) == ("��x", 10_000)


def test_the_newest_pings_are_kept(beat, monkeypatch):
    monkeypatch.setattr(heartbeats, "PINGS_KEPT", 3)
    for status in range(5):
        heartbeats.ping(beat.pk, exit_status=status)
    assert list(HeartbeatPing.objects.values_list("exit_status", flat=True)) == [4, 3, 2]


def test_a_ping_that_cannot_be_stored_is_to_be_sent_again(beat, monkeypatch):
    def away(*args, **kwargs):
        raise OperationalError("the server is away")

    monkeypatch.setattr(heartbeats, "ping", away)
    response = Client().get(f"/ping/{beat.ping_key}")
    assert (response.status_code, response["Retry-After"]) == (503, "10")


def test_one_that_is_paused_may_ping_and_fail(beat):
    beat.is_enabled = False
    heartbeats.configure(beat)
    ping(beat, "/fail")
    ping(beat)
    assert (beat.due_at, Alert.objects.exists(), beat.pings.count()) == (None, False, 2)


# Cron


def test_cron_keeps_to_the_clock_of_its_zone(beat):
    beat.cron, beat.time_zone = "30 2 * * *", "Europe/Berlin"
    heartbeats.configure(beat)
    beat.clock.set(datetime(2026, 3, 28, 1, 31, tzinfo=UTC))  # 02:31 there
    ping(beat)
    # The night without a 02:30: it comes when the clock jumps.
    assert beat.due_at == datetime(2026, 3, 29, 1, 10, tzinfo=UTC)
    beat.clock.set(datetime(2026, 3, 29, 1, 5, tzinfo=UTC))
    ping(beat)
    assert beat.due_at == datetime(2026, 3, 30, 0, 40, tzinfo=UTC)


@pytest.mark.parametrize("expression", ["", "x", "* * * *", "61 * * * *", "0 0 31 2 *"])
def test_what_is_no_cron(expression):
    with pytest.raises(ValidationError):
        cron.validate_cron(expression)


# Outages of ours


def test_what_was_expected_while_nobody_looked_gets_another_turn(beat):
    ping(beat)
    look(beat, minutes=50)
    look(beat, minutes=40, often=False)  # its ping at 60 minutes found nobody
    assert not Alert.objects.exists()
    assert beat.due_at == beat.clock.now + timedelta(hours=1, minutes=10)
    look(beat, minutes=70)
    assert alert().status == AlertStatus.FIRING


def test_what_was_late_before_or_comes_after_an_outage_is_as_it_was(beat):
    ping(beat)
    due_at = beat.due_at
    look(beat, seconds=1)
    look(beat, minutes=20, often=False)
    assert beat.due_at == due_at
    HeartbeatWatch.objects.update(looked_at=due_at + timedelta(seconds=1))
    beat.clock.set(due_at + timedelta(minutes=30))
    heartbeats.tick()
    assert alert().status == AlertStatus.FIRING


def test_a_clock_that_was_set_back_is_no_outage(beat):
    ping(beat)
    look(beat, minutes=1)
    HeartbeatWatch.objects.update(looked_at=beat.clock.now + timedelta(days=1))
    heartbeats.tick()
    assert HeartbeatWatch.objects.get().looked_at == beat.clock.now


# Pages


@pytest.fixture
def pages(clock):
    pages = Pages(Cast())
    pages.service = ServiceFactory(team=pages.cast.team, name="Ledger")
    return pages


FORM = {
    "name": "Backup",
    "interval": 1,
    "interval_unit": "days",
    "time_zone": "UTC",
    "grace_minutes": 30,
    "severity": "high",
    "is_enabled": "on",
    "mail_means": "success",
}


def test_a_manager_adds_changes_and_removes_one(pages):
    client = pages.client("manager")
    given = {**FORM, "service": pages.service.pk}
    response = client.post(reverse("heartbeat-new"), given)
    made = Heartbeat.objects.get()
    assert (response.status_code, response["Location"]) == (302, reverse("heartbeat", args=[made.pk]))
    assert f"/ping/{made.ping_key}" in pages.text("observer", response["Location"])
    assert "Waiting for the first ping" in pages.text("observer", response["Location"])
    assert client.post(reverse("heartbeat-new"), given).status_code == 422  # of the same name
    assert client.post(reverse("heartbeat-new"), {**given, "name": "Other"}).status_code == 302
    assert Integration.objects.count() == 1

    heartbeats.ping(made.pk, kind=PingKind.FAIL, body="<script>")
    text = pages.text("observer", reverse("heartbeat", args=[made.pk]))
    assert "Down since" in text and "&lt;script&gt;" in text
    listed = pages.text("observer", f"{reverse('heartbeats')}?service={pages.service.pk}")
    assert listed.index("Backup") < listed.index("Other") and "Down" in listed

    edit = reverse("heartbeat-edit", args=[made.pk])
    assert client.post(edit, {**FORM, "cron": "never"}).status_code == 422
    assert client.post(edit, {**FORM, "cron": "0 3 * * *"}).status_code == 302
    made.refresh_from_db()
    assert (made.cron, bool(made.expired_at)) == ("0 3 * * *", True)
    assert client.post(reverse("heartbeat-remove", args=[made.pk])).status_code == 302
    assert alert().status == AlertStatus.RESOLVED


def test_who_sees_and_does_what(pages):
    made = HeartbeatFactory(integration__service=pages.service)
    assert pages.statuses("get", reverse("heartbeats")) == pages.answers(200, 200, 200, 200)
    assert pages.statuses("get", reverse("heartbeat", args=[made.pk])) == pages.answers(200, 200, 200, 404)
    assert pages.statuses("get", reverse("heartbeat-new")) == pages.answers(200, 403, 403, 200)
    edit = reverse("heartbeat-edit", args=[made.pk])
    assert pages.statuses("post", edit, FORM) == pages.answers(302, 403, 403, 404)
    remove = reverse("heartbeat-remove", args=[made.pk])
    assert pages.statuses("post", remove) == pages.answers(302, 403, 403, 404)
    assert "Ledger" not in pages.text("outsider", reverse("heartbeats"))


def test_the_list_takes_as_many_queries_however_long_it_is(pages):
    HeartbeatFactory(integration__service=pages.service)
    few = pages.count_queries("manager", reverse("heartbeats"))
    HeartbeatFactory.create_batch(5, integration__service=pages.service)
    assert pages.count_queries("manager", reverse("heartbeats")) == few
