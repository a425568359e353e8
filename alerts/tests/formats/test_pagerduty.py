"""PagerDuty's Events API v2."""

import asyncio
import json

import httpx
import pytest

from alerts.enums import EventStatus, Source
from alerts.events import AlertEvent
from alerts.exceptions import MalformedPayload
from alerts.formats import pagerduty
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import payload
from incidents.enums import Severity, Status
from incidents.models import Incident
from openalert.asgi import application

GOLDEN = payload("pagerduty")


def test_golden_trigger():
    described = GOLDEN["payload"]
    assert pagerduty.read(GOLDEN, {}) == [
        AlertEvent(
            dedup_key="srv01/HTTP",
            status=EventStatus.FIRING,
            title="DISK at 99% on machine prod-datapipe03.example.com",
            severity=Severity.HIGH,
            name="disk",
            source="prod-datapipe03.example.com",
            labels={
                "free space": "1%",
                "ping time": "1500",
                "load avg": "0.75",
                "component": "postgres",
                "group": "prod-datapipe",
                "class": "disk",
            },
            metadata={
                "client": "Sample Monitoring Service",
                "client_url": "https://monitoring.example.com",
                "links": GOLDEN["links"],
                "images": GOLDEN["images"],
                "timestamp": described["timestamp"],
                "component": "postgres",
                "group": "prod-datapipe",
                "class": "disk",
                "custom_details": described["custom_details"],
            },
        )
    ]


@pytest.mark.parametrize(
    ("action", "status"), [("acknowledge", EventStatus.ACKNOWLEDGED), ("resolve", EventStatus.RESOLVED)]
)
def test_answers_need_no_payload(action, status):
    [event] = pagerduty.read({"event_action": action, "dedup_key": "k"}, {})
    assert (event.dedup_key, event.status) == ("k", status)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_action": "fire"}, "event_action"),
        ({"event_action": None}, "event_action"),
        ({"event_action": "resolve", "dedup_key": ""}, "dedup_key"),
        ({"dedup_key": "x" * 256}, "dedup_key"),
        ({"dedup_key": 5}, "dedup_key"),
        ({"payload": None}, "payload"),
        ({"payload": {**GOLDEN["payload"], "summary": " "}}, "payload.summary"),
        ({"payload": {**GOLDEN["payload"], "summary": "x" * 1025}}, "payload.summary"),
        ({"payload": {**GOLDEN["payload"], "source": None}}, "payload.source"),
        ({"payload": {**GOLDEN["payload"], "severity": "bad"}}, "payload.severity"),
    ],
)
def test_faults_name_their_field(change, field):
    [fault] = pagerduty.read({**GOLDEN, **change}, {})
    assert fault.field == field


def test_what_is_no_object():
    with pytest.raises(MalformedPayload):
        pagerduty.read([GOLDEN], {})


def send(content, path="/v2/enqueue"):
    content = content if isinstance(content, bytes) else json.dumps(content).encode()

    async def request():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.post(path, content=content)

    response = asyncio.run(request())
    return response.status_code, response.json()


@pytest.fixture
def key(db):
    return IntegrationFactory(source=Source.PAGERDUTY).key


@pytest.mark.django_db(transaction=True)
def test_trigger_acknowledge_resolve(key):
    event = {**GOLDEN, "routing_key": key}
    told = (202, {"status": "success", "message": "Event processed", "dedup_key": "srv01/HTTP"})
    assert send(event) == told
    assert send({"routing_key": key, "event_action": "acknowledge", "dedup_key": "srv01/HTTP"}) == told
    assert Incident.objects.get().status == Status.ACKNOWLEDGED
    assert send({"routing_key": key, "event_action": "resolve", "dedup_key": "srv01/HTTP"}) == told
    assert Incident.objects.get().status == Status.RESOLVED
    assert send({"routing_key": key, "event_action": "resolve", "dedup_key": "srv01/HTTP"}) == told
    assert send(event) == told
    assert (Incident.objects.count(), Alert.objects.count()) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_trigger_without_a_dedup_key_is_told_one(key):
    event = {name: value for name, value in GOLDEN.items() if name != "dedup_key"}
    status, body = send({**event, "routing_key": key})
    assert (status, Alert.objects.get().dedup_key) == (202, body["dedup_key"])


@pytest.mark.django_db(transaction=True)
def test_refusals_in_their_words(key):
    status, body = send({**GOLDEN, "routing_key": "f" * 32})
    assert (status, body["status"], body["message"]) == (400, "invalid event", "Event object is invalid")
    status, body = send({name: value for name, value in GOLDEN.items() if name != "routing_key"})
    assert (status, body["status"]) == (400, "invalid event")
    status, body = send(b"{")
    assert (status, body["status"]) == (400, "Unrecognized object")
    status, body = send({**GOLDEN, "routing_key": key, "event_action": "boom"})
    assert (status, body["errors"]) == (400, ["'event_action' must be one of trigger, acknowledge, resolve"])
    status, body = send({**GOLDEN, "routing_key": key, "client": "x" * 600_000})
    assert (status, body["status"]) == (413, "too_large")
    assert not Alert.objects.exists()
