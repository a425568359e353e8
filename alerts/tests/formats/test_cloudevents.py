"""CloudEvents, in each of their modes."""

import json

import pytest

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import cloudevents
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import PAYLOADS, error, outcomes, payload, send, stored
from incidents.enums import Severity

STRUCTURED = "application/cloudevents+json; charset=UTF-8"
BATCH = "application/cloudevents-batch+json"
KEY = "/clusters/eu/volumes/vol-0481/com.example.storage.volume.v1"


def event(**attributes):
    return {"specversion": "1.0", "id": "1", "source": "/cron", "type": "com.example.backup", **attributes}


def read(**attributes):
    [found] = cloudevents.read(event(**attributes), {})
    return found


def test_event():
    given = payload("cloudevents")
    assert cloudevents.read(given, {}) == [
        AlertEvent(
            dedup_key=KEY,
            status="firing",
            title="Volume vol-0481 lost two replicas",
            severity=Severity.CRITICAL,
            name="com.example.storage.volume.v1",
            source="/clusters/eu/volumes",
            labels={
                "type": "com.example.storage.volume.failed.v1",
                "subject": "vol-0481",
                "traceparent": given["traceparent"],
                "severitytext": "FATAL",
                "severitynumber": "21",
                "sampledrate": "10",
                "cluster": "eu",
                "pool": "ssd",
            },
            metadata={
                **given["data"],
                "cloudevent": {name: value for name, value in given.items() if name != "data"},
            },
        )
    ]


def test_batch():
    given = payload("cloudevents_batch")
    recovered, text, binary = cloudevents.read(given, {})
    assert (recovered.dedup_key, recovered.status) == (KEY, "resolved")
    assert text == AlertEvent(
        dedup_key="urn:example:backup//com.example.backup",
        status="firing",
        title="com.example.backup from urn:example:backup",
        severity=Severity.HIGH,
        name="com.example.backup",
        source="urn:example:backup",
        labels={"type": "com.example.backup"},
        metadata={"cloudevent": given[1]},
    )
    assert binary.metadata == {"cloudevent": given[2]}
    assert cloudevents.read([], {}) == []


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"data": {"status": "resolved"}}, "resolved"),
        ({"data": {"status": "OK "}}, "resolved"),
        ({"data": {"state": "acknowledged", "user": "ana"}}, "acknowledged"),
        ({"data": {"status": "firing"}, "type": "com.example.resolved"}, "firing"),
        ({"data": {"status": 500}}, "firing"),
        ({"type": "com.example.disk.recovered"}, "resolved"),
        ({"type": "com.example.disk.Resolved.v2"}, "resolved"),
        ({"type": "com.example.disk.acknowledged"}, "acknowledged"),
        ({"type": "com.example.resolved.disk"}, "firing"),
        ({"type": "resolved"}, "firing"),
    ],
)
def test_statuses(attributes, status):
    assert read(**attributes).status == status


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ({"type": "a.disk.failed"}, {"type": "a.disk.resolved"}, True),
        ({"type": "a.disk.failed.v1"}, {"type": "a.disk.resolved.v1"}, True),
        ({"type": "a.disk.failed"}, {"type": "a.cpu.failed"}, False),
        ({"subject": "a"}, {"subject": "b"}, False),
        ({"source": "/a"}, {"source": "/b"}, False),
        ({"subject": "a"}, {"subject": "a", "id": "2", "time": "2026-03-02T12:00:00Z"}, True),
        ({"source": "/a", "data": {"dedup_key": "k"}}, {"source": "/b", "data": {"external_id": "k"}}, True),
    ],
)
def test_which_events_are_of_one_problem(one, other, are_same):
    assert (read(**one).dedup_key == read(**other).dedup_key) == are_same


def test_long_parts_are_cut_or_hashed():
    found = read(source="s" * 600, data={"title": "t" * 2000})
    assert (len(found.dedup_key), len(found.source), len(found.title)) == (64, 255, 1024)
    assert len(read(data={"dedup_key": "k" * 600}).dedup_key) == 64


@pytest.mark.parametrize(
    ("attributes", "severity"),
    [
        ({}, "high"),
        ({"data": {"severity": "warning"}}, "medium"),
        ({"data": {"priority": "low"}}, "low"),
        ({"data": {"severity": 3, "level": "fatal"}}, "critical"),
        ({"severity": "info"}, "low"),
        ({"severitytext": "WARN", "severitynumber": 17}, "medium"),
        ({"severitytext": "ODD", "severitynumber": 17}, "high"),
        ({"severitynumber": 1}, "low"),
        ({"severitynumber": "24"}, "critical"),
        ({"severitynumber": 25}, "high"),
        ({"severitynumber": -1}, "high"),
        ({"severitynumber": "²"}, "high"),
    ],
)
def test_severities(attributes, severity):
    assert read(**attributes).severity == severity


def test_tags():
    assert read(data={"tags": ["host:db1", "prod", "", 7]}).labels == {
        "type": "com.example.backup",
        "host": "db1",
        "prod": "true",
    }
    assert read(data={"tags": {"cpus": 4}}).labels["cpus"] == "4"


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        (5, "invalid", None),
        (event(id=""), "required", "id"),
        (event(type=None), "required", "type"),
        (event(source=7), "required", "source"),
        (event(specversion="0.3"), "invalid_choice", "specversion"),
    ],
)
def test_faults(given, code, field):
    good, fault = cloudevents.read([event(), given], {})
    assert isinstance(good, AlertEvent)
    assert isinstance(fault, EventFault)
    assert (fault.code, fault.field, fault.index) == (code, field, 1)


@pytest.mark.parametrize("given", [None, "x", 5])
def test_what_is_no_event(given):
    with pytest.raises(MalformedPayload):
        cloudevents.read(given, {})


def decode(body, **headers):
    return cloudevents.decode(body, {name.replace("_", "-"): value for name, value in headers.items()})


CE = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/cron", "ce_type": "com.example.backup"}


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (
            b'{"a": 1}',
            "application/json; charset=utf-8",
            {"datacontenttype": "application/json", "data": {"a": 1}},
        ),
        (b'"x"', "application/problem+json", {"datacontenttype": "application/problem+json", "data": "x"}),
        (b"full", "text/plain", {"datacontenttype": "text/plain", "data": "full"}),
        (b"\x00\x01", "image/png", {"datacontenttype": "image/png", "data_base64": "AAE="}),
        (b"", "application/json", {}),
    ],
)
def test_binary_mode_is_read_as_its_json_form(body, content_type, data):
    assert decode(body, content_type=content_type, **CE) == event(**data)


def test_attributes_are_decoded():
    given = {"ce_subject": "Euro%20%E2%82%AC", "ce_old": '"a \\"b\\" %25"', "ce_nul": "a%00"}
    found = decode(b"", **CE, **given)
    assert (found["subject"], found["old"], found["nul"]) == ("Euro €", 'a "b" %', "a\ufffd")
    with pytest.raises(MalformedPayload):
        decode(b"", **CE, ce_subject="%C0%A0")


@pytest.mark.django_db(transaction=True)
def test_each_mode_through_the_door():
    integration = IntegrationFactory(source=Source.CLOUDEVENTS)
    structured = (PAYLOADS / "cloudevents.json").read_bytes()
    given = json.loads(structured)
    assert outcomes(send(integration, structured, content_type=STRUCTURED)) == ["opened"]
    binary = {
        f"ce_{name}": str(value) for name, value in given.items() if name not in ("data", "datacontenttype")
    }
    assert outcomes(send(integration, given["data"], content_type="application/json", **binary)) == [
        "repeated"
    ]
    assert outcomes(send(integration, structured)) == ["repeated"]
    batch = (PAYLOADS / "cloudevents_batch.json").read_bytes()
    assert outcomes(send(integration, batch, content_type=BATCH)) == ["resolved", "opened", "opened"]
    assert stored()[0] == (KEY, "resolved")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"x", "application/cloudevents+avro", (415, "unknown_media_type", None)),
        (b"x", STRUCTURED, (400, "malformed_payload", None)),
        (b"", "application/json", (400, "malformed_payload", None)),
        (b"{}", STRUCTURED, (400, "required", "id")),
    ],
)
def test_refusals(body, content_type, expected):
    integration = IntegrationFactory(source=Source.CLOUDEVENTS)
    assert error(send(integration, body, content_type=content_type)) == expected
    assert not Alert.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_handshake():
    integration = IntegrationFactory(source=Source.CLOUDEVENTS, secret="s3cret")
    origin = {"webhook_request_origin": "eventgrid.azure.net", "webhook_request_rate": "120"}
    response = send(integration, b"", method="OPTIONS", **origin)
    told = {
        name: response.headers.get(name)
        for name in ("allow", "webhook-allowed-origin", "webhook-allowed-rate")
    }
    assert (response.status_code, response.content, told) == (
        200,
        b"",
        {
            "allow": "POST, OPTIONS",
            "webhook-allowed-origin": "eventgrid.azure.net",
            "webhook-allowed-rate": "*",
        },
    )
    response = send(integration, b"", method="OPTIONS")
    assert (response.status_code, "webhook-allowed-origin" in response.headers) == (200, False)
    integration.key = "unknown"
    assert send(integration, b"", method="OPTIONS", **origin).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_token():
    integration = IntegrationFactory(source=Source.CLOUDEVENTS, secret="s3crét")
    for given in ({}, {"query": "?access_token=s3cret"}, {"authorization": "Bearer s3cret"}):
        assert error(send(integration, event(), **given)) == (401, "bad_signature", None)
    assert outcomes(send(integration, event(), query="?access_token=s3cr%C3%A9t")) == ["opened"]
    token = "Bearer s3crét".encode().decode("latin-1")
    assert outcomes(send(integration, event(), authorization=token)) == ["repeated"]
