"""Opsgenie's create request: read, and answered in its own words."""

import asyncio
import json
import re
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from alerts import receipts
from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import opsgenie
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from incidents.enums import Severity
from openalert.asgi import application
from openalert.tests.stack import eventually

PAYLOAD = Path(__file__).parent.parent / "payloads" / "opsgenie.json"


def read(**payload):
    return opsgenie.read({"message": "Disk full", **payload}, {})


def test_full_request():
    payload = json.loads(PAYLOAD.read_text())
    kept = {k: v for k, v in payload.items() if k not in ("message", "alias", "details")}
    assert opsgenie.read(payload, {}) == [
        AlertEvent(
            dedup_key="checkout-5xx-web-eu-2",
            status="firing",
            title="Checkout answers 5xx on web-eu-2",
            severity=Severity.CRITICAL,
            name="CheckoutErrors",
            source="synthetics",
            labels=payload["details"],
            metadata=kept,
            by="Synthetics Bot",
        )
    ]


def test_message_alone_is_enough():
    [event] = read()
    assert event == AlertEvent(
        dedup_key=event.dedup_key,
        status="firing",
        title="Disk full",
        severity=Severity.MEDIUM,
        name="Disk full",
    )
    assert UUID(event.dedup_key).version == 7
    assert read()[0].dedup_key != event.dedup_key


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        ("P1", "critical"),
        ("P2", "high"),
        ("P3", "medium"),
        ("P4", "low"),
        ("P5", "low"),
        ("p2", "high"),
        ("", "medium"),
        (None, "medium"),
        ("critical", "critical"),
        ("P9", "high"),
        (["P1"], "medium"),
    ],
)
def test_priorities(priority, severity):
    assert read(priority=priority)[0].severity == severity


def test_what_is_no_text_in_the_details_is_kept_beside_them():
    [event] = read(details={"host": "db1", "cpus": 4, "spare": True, "disks": ["sda"], "note": None})
    assert event.labels == {"host": "db1", "cpus": "4", "spare": "true"}
    assert event.metadata == {"details": {"disks": ["sda"], "note": None}}


def test_long_texts_are_taken():
    alias = "x" * 600
    [event] = read(message="m" * 2000, alias=alias, source="s" * 300)
    assert (len(event.title), len(event.source)) == (1024, 255)
    assert event.dedup_key == opsgenie.dedup_key(alias)
    assert re.fullmatch("[0-9a-f]{64}", event.dedup_key)


def test_faults_name_every_field():
    faults = opsgenie.read({"message": " ", "alias": [], "details": "x", "tags": "a"}, {})
    assert [fault.field for fault in faults] == ["message", "alias", "details", "tags"]
    assert all(isinstance(fault, EventFault) for fault in faults)


@pytest.mark.parametrize("payload", [None, [], "x", 4])
def test_what_is_no_object(payload):
    with pytest.raises(MalformedPayload):
        opsgenie.read(payload, {})


def post(key, content):
    async def send():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            headers = {"Authorization": f"GenieKey {key}"} if key else {}
            return await client.post("/v2/alerts", content=content, headers=headers)

    return asyncio.run(send())


@pytest.mark.django_db(transaction=True)
def test_request_is_stored_and_answered_as_opsgenie_does():
    integration = IntegrationFactory(source=Source.OPSGENIE)
    response = post(integration.key, PAYLOAD.read_bytes())
    body = response.json()
    request_id, took = body["requestId"], body["took"]
    assert (response.status_code, body) == (
        202,
        {"result": "Request will be processed", "took": took, "requestId": request_id},
    )
    assert 0 <= took < 10
    told = {name: value for name, value in response.headers.items() if name.startswith(("x-r",))}
    assert told == {
        "x-request-id": request_id,
        "x-response-time": f"{took:.3f}",
        "x-ratelimit-state": "OK",
        "x-ratelimit-reason": "ACCOUNT",
        "x-ratelimit-period-in-sec": "60",
    }
    alert = Alert.objects.get()
    assert (alert.dedup_key, alert.severity, alert.metadata["priority"]) == (
        "checkout-5xx-web-eu-2",
        "critical",
        "P1",
    )
    receipt = eventually(lambda: receipts.find(integration.key_hash, request_id), within=5)
    assert receipt == receipts.Receipt(
        "Create", "Created alert", alias=alert.dedup_key, incident=alert.incident.number, at=receipt.at
    )
    assert receipts.find(IntegrationFactory().key_hash, request_id) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("content", "status", "told"),
    [
        (
            b"{}",
            422,
            {
                "message": "Request body is not processable. Please check the errors.",
                "errors": {"message": "Message can not be empty."},
            },
        ),
        (b"[]", 400, {"message": "The body must be a JSON object."}),
    ],
)
def test_bad_requests(content, status, told):
    response = post(IntegrationFactory(source=Source.OPSGENIE).key, content)
    body = response.json()
    assert (response.status_code, body) == (
        status,
        {**told, "took": body["took"], "requestId": response.headers["x-request-id"]},
    )
    assert not Alert.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_keys_that_are_refused():
    others = IntegrationFactory(source=Source.PAGERDUTY)
    answers = [post(key, b'{"message": "x"}') for key in (None, "wrong", others.key)]
    assert [(a.status_code, a.json()["message"]) for a in answers] == [
        (401, "Could not authenticate"),
        (401, "Could not authenticate"),
        (403, "This key is of an integration for PagerDuty Events API v2."),
    ]
