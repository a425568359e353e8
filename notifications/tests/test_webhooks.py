"""Outgoing webhooks: told of every event, signed, tried again, never into our own network."""

import socket
import threading
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from incidents import lifecycle, merging
from incidents.enums import Severity
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM, Actor
from notifications import webhooks
from notifications.enums import WebhookDeliveryStatus, WebhookEvent, WebhookFormat
from notifications.models import Webhook, WebhookDelivery
from openalert import outward
from teams.tests.cast import Cast, answers, count_queries
from teams.tests.factories import MembershipFactory, ServiceFactory, UserFactory

from .factories import WebhookDeliveryFactory, WebhookFactory
from .provider import Answer, Drip, Hang, Reset

pytestmark = pytest.mark.django_db
PENDING, SENT, DEAD = WebhookDeliveryStatus.PENDING, WebhookDeliveryStatus.SENT, WebhookDeliveryStatus.DEAD
SENDING = WebhookDeliveryStatus.SENDING


@pytest.fixture
def receiver(web, reachable, settings):
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    settings.SITE_URL = "https://alerts.example.org"
    return web


@pytest.fixture
def hook(receiver):
    return WebhookFactory(url=f"{receiver.url}/hook")


def work():
    """A second of the couriers."""
    for delivery in WebhookDelivery.objects.filter(status__in=[PENDING, SENDING]).order_by("due_at", "pk"):
        webhooks.deliver(delivery.pk)


def open_incident(hook, **values):
    service = hook.team.services.first() or ServiceFactory(team=hook.team, name="Payments")
    return lifecycle.open_by_hand(
        service=service, title="Disk full", severity=Severity.HIGH, actor=SYSTEM, **values
    )


# What is told


def test_every_event_of_an_incident_is_told_in_its_order(receiver, hook, clock):
    ana = Actor.person(MembershipFactory(team=hook.team, user=UserFactory(name="Ana Ruiz")).user, via="web")
    incident = open_incident(hook)
    pk = incident.pk
    steps = [
        lambda: lifecycle.acknowledge(incident_id=pk, actor=ana),
        lambda: lifecycle.unacknowledge(incident_id=pk, actor=ana),
        lambda: lifecycle.snooze(incident_id=pk, until=clock.now + timedelta(hours=1), actor=ana),
        lambda: lifecycle.wake_snoozed(clock.advance(hours=1)),
        lambda: lifecycle.change_severity(incident_id=pk, severity=Severity.CRITICAL, actor=ana),
        lambda: lifecycle.resolve(incident_id=pk, actor=ana),
        lambda: lifecycle.reopen(incident_id=pk, actor=ana),
        lambda: open_incident(hook),
        lambda: merging.merge(target_id=pk, source_ids=[Incident.objects.latest("number").pk], actor=ana),
    ]
    for step in steps:
        clock.advance(seconds=1)
        step()
    work()
    told = [taken.json for taken in receiver.taken]
    assert [body["type"] for body in told] == [
        "incident.opened",
        "incident.acknowledged",
        "incident.unacknowledged",
        "incident.snoozed",
        "incident.woken",
        "incident.severity_changed",
        "incident.resolved",
        "incident.reopened",
        "incident.opened",
        "incident.merged",
    ]
    assert [body["data"]["summary"] for body in told] == [
        "OpenAlert opened the incident",
        "Ana Ruiz acknowledged",
        "Ana Ruiz put it back to open",
        "Ana Ruiz snoozed it until 2 Mar 13:00 UTC",
        "The snooze ended: paging starts again",
        "Ana Ruiz changed the severity to critical",
        "Ana Ruiz resolved the incident",
        "Ana Ruiz reopened the incident",
        "OpenAlert opened the incident",
        f"Ana Ruiz merged it into #{incident.number}",
    ]
    assert told[1]["data"]["incident"] == {
        "id": str(pk),
        "number": incident.number,
        "title": "Disk full",
        "status": "acknowledged",
        "severity": "high",
        "service": {"id": str(incident.service_id), "name": "Payments"},
        "team": {"id": str(hook.team_id), "name": hook.team.name},
        "opened_at": "2026-03-02T12:00:00+00:00",
        "acknowledged_at": "2026-03-02T12:00:01+00:00",
        "snoozed_until": None,
        "resolved_at": None,
        "merged_into": None,
        "url": f"https://alerts.example.org/incidents/{incident.number}/",
    }
    assert told[1]["data"]["actor"] == {"kind": "user", "name": "Ana Ruiz", "via": "web"}


def test_an_acknowledgement_that_ran_out_is_told(receiver, hook):
    incident = open_incident(hook)
    lifecycle.acknowledge(incident_id=incident.pk, actor=Actor.person(UserFactory(), via="web"))
    with transaction.atomic():
        lifecycle.expire_acknowledgements_locked(lifecycle.lock([incident.pk]))
    work()
    last = receiver.taken[-1].json
    assert (last["type"], last["data"]["incident"]["status"]) == ("incident.unacknowledged", "open")
    assert last["data"]["actor"]["name"] == "OpenAlert"


def test_only_the_events_and_teams_that_were_asked_for(receiver, hook):
    hook.events = [WebhookEvent.RESOLVED]
    hook.save()
    WebhookFactory(url=f"{receiver.url}/other")
    WebhookFactory(url=f"{receiver.url}/off", team=hook.team, is_enabled=False)
    incident = open_incident(hook)
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    work()
    assert [(taken.path, taken.json["type"]) for taken in receiver.taken] == [("/hook", "incident.resolved")]


def test_an_event_that_is_rolled_back_is_not_told(hook, monkeypatch):
    incident = IncidentFactory(service=ServiceFactory(team=hook.team))
    monkeypatch.setattr("notifications.receivers.outbox.cancel_pages", lambda incidents: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    assert not WebhookDelivery.objects.exists()


def test_without_webhooks_an_event_costs_one_query_for_any_number(db):
    incidents = [IncidentFactory() for _ in range(3)]
    with CaptureQueriesContext(connection) as queries:
        webhooks.tell(WebhookEvent.RESOLVED, incidents, SYSTEM)
    assert len(queries) == 1


def test_in_a_chat_it_is_a_line_without_markup(receiver, hook):
    ana = Actor.person(UserFactory(name="Ana <!here> Ruiz"), via="web")
    teams_hook = WebhookFactory(team=hook.team, format=WebhookFormat.TEAMS, url=f"{receiver.url}/teams")
    hook.format = WebhookFormat.SLACK
    hook.save()
    incident = IncidentFactory(service=ServiceFactory(team=hook.team), title="Disk | <full> *now*")
    lifecycle.acknowledge(incident_id=incident.pk, actor=ana)
    work()
    bodies = {taken.path: taken.json for taken in receiver.taken}
    address = f"https://alerts.example.org/incidents/{incident.number}/"
    assert bodies["/hook"] == {
        "text": f"Ana &lt;!here&gt; Ruiz acknowledged\n<{address}|#{incident.number} Disk ¦ &lt;full&gt; *now*>"
    }
    card = bodies["/teams"]["attachments"][0]["content"]
    assert card["body"][0]["text"] == r"Ana \<!here\> Ruiz acknowledged"
    assert card["body"][1]["text"].startswith(rf"#{incident.number} Disk | \<full\> \*now\*")
    assert card["actions"][0]["url"] == address
    assert teams_hook.deliveries.get().status == SENT


# How it is signed


def verify(taken, secret):
    return Verifier(secret).verify(taken.body, dict(taken.headers.lower_items()))


def test_a_receiver_can_check_the_signature(receiver, hook):
    delivery = WebhookDeliveryFactory(webhook=hook)
    work()
    [taken] = receiver.taken
    assert verify(taken, hook.secret) == delivery.body
    assert taken.headers["webhook-id"] == f"evt_{delivery.event_id}"
    with pytest.raises(WebhookVerificationError):
        verify(taken, webhooks.new_secret())
    with pytest.raises(WebhookVerificationError):
        Verifier(hook.secret).verify(taken.body + b" ", dict(taken.headers.lower_items()))


def test_for_a_day_both_secrets_sign(receiver, hook, monkeypatch):
    old = hook.secret
    new = webhooks.rotate_secret(hook.pk)
    assert new != old and new.startswith("whsec_")
    WebhookDeliveryFactory(webhook=hook)
    work()
    assert verify(receiver.taken[0], old) == verify(receiver.taken[0], new)
    hook.refresh_from_db()
    Webhook.objects.update(previous_secret_until=hook.previous_secret_until - timedelta(hours=25))
    WebhookDeliveryFactory(webhook=hook)
    work()
    verify(receiver.taken[1], new)
    with pytest.raises(WebhookVerificationError):
        verify(receiver.taken[1], old)


# What can go wrong


@pytest.mark.parametrize(
    ("answer", "status", "words"),
    [
        (Answer(500, b"oops\0"), 500, "it answered 500: oops"),
        (Answer(404, b""), 404, "it answered 404"),
        (Answer(302, b"", {"Location": "http://127.0.0.1:1/"}), 302, "it answered 302"),
        (Answer(200, b"x", {"Content-Encoding": "gzip"}), None, None),
        (Reset, None, "could not be reached"),
        (Hang, None, "could not be reached"),
        (Drip, None, "could not be reached"),
    ],
)
def test_a_failure_is_logged_and_tried_again(receiver, hook, answer, status, words):
    receiver.answers = [answer]
    delivery = WebhookDeliveryFactory(webhook=hook)
    webhooks.deliver(delivery.pk)
    delivery.refresh_from_db()
    if words is None:
        assert delivery.status == SENT  # it was taken: how the answer is packed is nobody's concern
        return
    assert (delivery.status, delivery.response_status, delivery.attempt_count) == (PENDING, status, 1)
    assert words in delivery.last_error and delivery.due_at > delivery.created_at
    assert len(receiver.taken) == 1


def test_it_is_tried_eight_times_over_hours(receiver, hook, clock):
    receiver.usual = Answer(500)
    delivery = WebhookDeliveryFactory(webhook=hook)
    starts = []
    for _ in range(20):
        if delivery.status != PENDING:
            break
        clock.set(max(delivery.due_at, Webhook.objects.get().rests_until or delivery.due_at))
        webhooks.deliver(delivery.pk)
        starts.append(clock.now)
        delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count, len(receiver.taken)) == (DEAD, 8, 8)
    assert timedelta(hours=10) < starts[-1] - starts[0] < timedelta(hours=30)


def test_retry_after_is_heeded(receiver, hook, clock):
    receiver.answers = [Answer(429, b"", {"Retry-After": "600"})]
    delivery = WebhookDeliveryFactory(webhook=hook)
    work()
    clock.advance(seconds=599)
    work()
    assert len(receiver.taken) == 1
    clock.advance(seconds=1)
    work()
    delivery.refresh_from_db()
    assert (delivery.status, len(receiver.taken)) == (SENT, 2)


def test_one_that_fails_rests_and_then_goes_on(receiver, hook, clock):
    receiver.answers = [Answer(500)]
    first, second = WebhookDeliveryFactory(webhook=hook), WebhookDeliveryFactory(webhook=hook)
    work()
    assert len(receiver.taken) == 1  # the second waits with it
    clock.advance(seconds=7)
    work()
    work()
    for delivery in (first, second):
        delivery.refresh_from_db()
        assert delivery.status == SENT
    hook.refresh_from_db()
    assert (hook.failures, hook.rests_until) == (0, None)


def test_410_switches_it_off(receiver, hook):
    receiver.usual = Answer(410)
    delivery, waiting = WebhookDeliveryFactory(webhook=hook), WebhookDeliveryFactory(webhook=hook)
    work()
    hook.refresh_from_db()
    delivery.refresh_from_db()
    waiting.refresh_from_db()
    assert (hook.is_enabled, hook.disabled_reason) == (False, "Its receiver answered 410: gone.")
    assert (delivery.status, waiting.status, len(receiver.taken)) == (DEAD, DEAD, 1)


def test_what_a_dead_worker_left_is_taken_up(receiver, hook, clock):
    delivery = WebhookDeliveryFactory(webhook=hook)
    taken = webhooks._lease(delivery.pk)
    assert taken is not None
    webhooks.deliver(delivery.pk)
    assert webhooks.sweep() == 0 and receiver.taken == []
    clock.advance(seconds=60)
    assert webhooks.sweep() == 1
    work()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (SENT, 2)
    # The dead one was only slow, and comes back: what it found is no longer asked for.
    webhooks._finish(taken, None, None, seconds=99)
    delivery.refresh_from_db()
    assert delivery.latency_seconds != 99


def test_the_sweep_wakes_what_is_due_once_in_a_while(hook, clock):
    WebhookDeliveryFactory(webhook=hook)
    WebhookDeliveryFactory(webhook=hook, due_at=clock.now + timedelta(minutes=1))
    assert (webhooks.sweep(), webhooks.sweep()) == (1, 0)
    clock.advance(seconds=5)
    assert webhooks.sweep() == 1


def test_the_log_does_not_grow_for_ever(hook, clock):
    old, waiting = WebhookDeliveryFactory(webhook=hook, status=SENT), WebhookDeliveryFactory(webhook=hook)
    clock.advance(days=30, seconds=1)
    fresh = WebhookDeliveryFactory(webhook=hook, status=DEAD)
    assert webhooks.remove_old() == 1
    assert set(WebhookDelivery.objects.all()) == {waiting, fresh} and old.pk


@pytest.mark.django_db(transaction=True)
def test_two_couriers_call_once(receiver):
    hook = WebhookFactory(url=f"{receiver.url}/hook")
    delivery, start = WebhookDeliveryFactory(webhook=hook), threading.Barrier(4)

    def courier():
        start.wait()
        webhooks.deliver(delivery.pk)
        connection.close()

    threads = [threading.Thread(target=courier) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    delivery.refresh_from_db()
    assert (delivery.status, len(receiver.taken)) == (SENT, 1)


# Where it must not lead


@pytest.fixture
def closed(receiver, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    return receiver


def refusal(url):
    delivery = WebhookDeliveryFactory(webhook__url=url)
    webhooks.deliver(delivery.pk)
    delivery.refresh_from_db()
    return delivery.status, delivery.last_error


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "0.0.0.0", "[::1]", "[::]", "10.1.2.3", "172.16.0.1", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255",
        "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "192.0.2.1", "198.18.0.1",
    ],
)  # fmt: skip
def test_no_private_link_local_or_metadata_address_is_called(closed, host):
    assert refusal(f"http://{host}:{closed.port}/") == (DEAD, f"{host.strip('[]')} is not a public address")
    assert closed.taken == []


def test_a_name_is_looked_up_once_and_what_was_checked_is_called(receiver, settings, monkeypatch):
    """DNS rebinding: a public address for whoever checks, a private one for whoever connects."""
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.2/32"]
    looked_up, connected = [], []
    addresses = iter(["127.0.0.2", "127.0.0.1", "127.0.0.1"])

    def getaddrinfo(host, port, *args, **options):
        looked_up.append(host)
        address = next(addresses) if host == "rebinding.example.org" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = outward._connect_anywhere
    monkeypatch.setattr(outward.socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(
        outward,
        "_connect_anywhere",
        lambda where, *a, **o: (connected.append(where[0]), real(where, *a, **o))[1],
    )
    refusal(f"http://rebinding.example.org:{receiver.port}/")
    assert connected == ["127.0.0.2"] and looked_up.count("rebinding.example.org") == 1


def test_a_name_with_one_private_address_is_not_called(closed, monkeypatch):
    monkeypatch.setattr(
        outward.socket,
        "getaddrinfo",
        lambda *args, **options: [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("10.0.0.1", 80))],
    )
    assert refusal("http://both.example.org/") == (DEAD, "both.example.org is not a public address")


def test_a_redirect_is_not_followed(receiver, hook):
    receiver.answers = [Answer(307, b"", {"Location": f"{receiver.url}/elsewhere"})]
    WebhookDeliveryFactory(webhook=hook)
    work()
    assert [taken.path for taken in receiver.taken] == ["/hook"]


def test_the_machines_proxy_and_passwords_are_not_used(receiver, hook, monkeypatch, tmp_path):
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    WebhookDeliveryFactory(webhook=hook)
    work()
    assert "Authorization" not in receiver.taken[0].headers


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946", "64:ff9b::808:808"],
)
def test_public_addresses_are_allowed(address):
    assert outward.is_allowed(address)


# The REST API


@pytest.fixture
def cast(db):
    cache.clear()  # the throttle counts there
    cast = Cast()
    cast.hook = WebhookFactory(team=cast.team)
    cast.delivery = WebhookDeliveryFactory(webhook=cast.hook)
    return cast


def test_webhooks_are_their_teams_managers(cast):
    path = f"/api/v1/webhooks/{cast.hook.pk}"
    only_manager = {"responder": 404, "observer": 404, "outsider": 404}
    assert cast.statuses("get", path) == answers(manager=200, **only_manager)
    assert cast.statuses("patch", path, {"name": "new"}) == answers(manager=200, **only_manager)
    assert cast.statuses("post", f"{path}/rotate-secret") == answers(manager=200, **only_manager)
    assert cast.statuses("post", f"{path}/test") == answers(manager=202, **only_manager)
    assert cast.statuses("get", f"{path}/deliveries") == answers(manager=200, **only_manager)
    assert cast.statuses("delete", path) == answers(manager=204, **only_manager)
    path = f"/api/v1/webhook-deliveries/{cast.delivery.pk}"
    assert cast.statuses("get", path) == answers(manager=200, **only_manager)
    assert cast.statuses("post", f"{path}/replay") == answers(manager=202, **only_manager)


def test_a_team_gets_webhooks_from_its_managers(cast):
    body = {"team": str(cast.team.pk), "name": "chat", "url": "https://hooks.example.org/x"}
    assert cast.statuses("post", "/api/v1/webhooks", body) == answers(201, 403, 403, 400)
    made = cast.api("manager").post("/api/v1/webhooks", {**body, "events": ["incident.opened"]}).json()
    assert made["secret"].startswith("whsec_") and made["events"] == ["incident.opened"]
    assert "secret" not in cast.api("manager").get(f"/api/v1/webhooks/{made['id']}").json()


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://example.org/"},
        {"url": "https://me:pw@example.org/"},
        {"url": "http://127.0.0.1/"},
        {"url": "http://[::1]/"},
        {"url": "http://localhost/"},
        {"url": "http://169.254.169.254/latest/meta-data"},
        {"events": ["webhook.test"]},
        {"format": "pigeon"},
    ],
)
def test_a_faulty_webhook_is_refused(cast, body):
    response = cast.api("manager").patch(f"/api/v1/webhooks/{cast.hook.pk}", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"].partition(".")[0] == next(iter(body))


def test_a_rotation_shows_the_new_secret_and_keeps_the_old_for_a_day(cast, clock):
    old = cast.hook.secret
    answer = cast.api("manager").post(f"/api/v1/webhooks/{cast.hook.pk}/rotate-secret").json()
    cast.hook.refresh_from_db()
    assert answer["secret"] == cast.hook.secret != old == cast.hook.previous_secret
    assert cast.hook.previous_secret_until == clock.now + timedelta(days=1)


def test_a_replay_is_a_new_delivery_of_the_same_event(cast):
    cast.delivery.status = DEAD
    cast.delivery.save()
    made = cast.api("manager").post(f"/api/v1/webhook-deliveries/{cast.delivery.pk}/replay").json()
    again = WebhookDelivery.objects.get(pk=made["id"])
    assert again.pk != cast.delivery.pk
    assert (again.event_id, again.body, again.status) == (cast.delivery.event_id, cast.delivery.body, PENDING)
    Webhook.objects.update(is_enabled=False)
    for path in (f"webhook-deliveries/{cast.delivery.pk}/replay", f"webhooks/{cast.hook.pk}/test"):
        refused = cast.api("manager").post(f"/api/v1/{path}")
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (409, "webhook_disabled")


def test_switched_on_again_it_starts_afresh(cast):
    Webhook.objects.update(
        is_enabled=False, failures=9, disabled_reason="gone", rests_until=cast.hook.created_at
    )
    answer = cast.api("manager").patch(f"/api/v1/webhooks/{cast.hook.pk}", {"is_enabled": True}).json()
    assert (answer["failures"], answer["disabled_reason"], answer["rests_until"]) == (0, "", None)


@pytest.mark.parametrize(
    "path", ["/api/v1/webhooks", "/api/v1/webhook-deliveries", "/api/v1/webhooks/{}/deliveries"]
)
def test_lists_take_as_many_queries_for_three_rows_as_for_one(cast, path):
    path = path.format(cast.hook.pk)
    one = count_queries(cast.api("manager"), path)
    for _ in range(2):
        if path == "/api/v1/webhooks":
            WebhookFactory(team=cast.team)
        WebhookDeliveryFactory(webhook=cast.hook, incident=IncidentFactory())
    assert (one[0], count_queries(cast.api("manager"), path)) == (1, (3, one[1]))
