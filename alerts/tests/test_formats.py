"""The formats, which are pure: a payload gives the alerts, or says what is wrong with each."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import FORMATS, alertmanager, base, openalert
from incidents.enums import Severity

PAYLOADS = Path(__file__).parent / "payloads"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def test_full_native_alert():
    payload = {
        "external_id": "disk-db1",
        "title": "Disk full",
        "severity": "critical",
        "source": "cron",
        "status": "firing",
        "metadata": {"tags": {"host": "db1", "cpus": 4}, "runbook": "https://example.org"},
    }
    assert openalert.read(payload, {}) == [
        AlertEvent(
            dedup_key="disk-db1",
            status="firing",
            title="Disk full",
            severity=Severity.CRITICAL,
            name="Disk full",
            source="cron",
            labels={"host": "db1", "cpus": "4"},
            metadata=payload["metadata"],
        )
    ]


def test_title_alone_is_enough_and_each_is_a_problem_of_its_own():
    [one, other] = openalert.read([{"title": "Disk full"}] * 2, {})
    assert (one.severity, one.status, one.dedup_key == other.dedup_key) == ("high", "firing", False)


def test_tags_may_be_a_list():
    [event] = openalert.read({"title": "x", "metadata": {"tags": ["host:db1", "prod", 7]}}, {})
    assert event.labels == {"host": "db1", "prod": "true"}


def test_resolve_needs_only_its_dedup_key():
    [event] = openalert.read({"external_id": "disk-db1", "status": "resolved"}, {})
    assert (event.dedup_key, event.status) == ("disk-db1", "resolved")


@pytest.mark.parametrize(
    ("alert", "field", "code"),
    [
        ({}, "title", "required"),
        ({"title": "  "}, "title", "blank"),
        ({"title": 7}, "title", "invalid"),
        ({"title": "x" * 1025}, "title", "max_length"),
        ({"title": "x", "external_id": "k" * 513}, "external_id", "max_length"),
        ({"title": "x", "external_id": 5}, "external_id", "invalid"),
        ({"title": "x", "source": []}, "source", "invalid"),
        ({"title": "x", "severity": "urgent"}, "severity", "invalid_choice"),
        ({"title": "x", "severity": ["high"]}, "severity", "invalid_choice"),
        ({"title": "x", "status": "open"}, "status", "invalid_choice"),
        ({"title": "x", "metadata": "m"}, "metadata", "invalid"),
        ({"title": "x", "serverity": "high"}, "serverity", "unknown_field"),
        ({"status": "resolved"}, "external_id", "required"),
        ({"title": "a\0b"}, None, "invalid"),
        ({"title": "x", "metadata": {"deep": [{"\0": 1}]}}, None, "invalid"),
        ("disk", None, "invalid"),
    ],
)
def test_faults_name_the_field_and_the_place(alert, field, code):
    if isinstance(alert, dict):
        [fault] = openalert.read(alert, {})
        assert (fault.code, fault.field, fault.index) == (code, field, None)
    good, fault = openalert.read({"alerts": [{"title": "fine"}, alert]}, {})
    assert isinstance(good, AlertEvent)
    assert (fault.code, fault.field, fault.index) == (code, field, 1)


@pytest.mark.parametrize("payload", ["x", 5, None, True, {"alerts": {}}])
def test_what_is_no_alert_at_all(payload):
    with pytest.raises(MalformedPayload):
        openalert.read(payload, {})


def test_alertmanagers_notification():
    payload = json.loads((PAYLOADS / "alertmanager.json").read_text())
    down, disk = alertmanager.read(payload, {})
    assert (down.dedup_key, down.status, down.title, down.severity, down.name, down.source) == (
        "7e2c5dd3f0a4b911",
        "firing",
        "shop on 127.0.0.1:9901 is down",
        "critical",
        "InstanceDown",
        "127.0.0.1:9901",
    )
    assert down.labels == payload["alerts"][0]["labels"]
    assert down.metadata["notification_reason"] == "a newer version's key"
    assert down.metadata["annotations"]["runbook_url"] == "https://runbooks.example.org/down"
    assert (disk.status, disk.title, disk.severity) == ("resolved", "DiskFull", "medium")


def test_alertmanager_without_fingerprints_depends_on_the_labels():
    def key(labels):
        alert = {"status": "firing", "labels": labels}
        return alertmanager.read({"version": "4", "alerts": [alert]}, {})[0].dedup_key

    assert key({"a": "1", "b": "2"}) == key({"b": "2", "a": "1"}) != key({"a": "1"})


@pytest.mark.parametrize(
    ("payload", "field"),
    [([], None), ({"version": "1", "alerts": []}, "version"), ({"version": "4", "alerts": 5}, "alerts")],
)
def test_what_is_no_notification(payload, field):
    with pytest.raises(MalformedPayload) as caught:
        alertmanager.read(payload, {})
    assert caught.value.field == field


@pytest.mark.parametrize(
    "alert",
    [5, {"status": "burning"}, {"status": "firing", "labels": {"a": 1}}, {"status": "firing", "labels": [1]}],
)
def test_faulty_alert_of_a_notification(alert):
    [fault] = alertmanager.read({"version": "4", "alerts": [alert]}, {})
    assert isinstance(fault, EventFault)
    assert fault.index == 0


keys = st.sampled_from(
    [
        "title",
        "external_id",
        "severity",
        "status",
        "source",
        "metadata",
        "alerts",
        "version",
        "labels",
        "tags",
    ]
)


@pytest.mark.parametrize("source", [source for source, format in FORMATS.items() if format.read])
@given(
    payload=json_values
    | st.lists(st.dictionaries(keys | st.text(), json_values))
    | st.dictionaries(keys, json_values)
)
def test_any_json_gives_events_faults_or_a_named_failure(source, payload):
    try:
        read = FORMATS[source].read(payload, {})
    except MalformedPayload:
        return
    assert all(isinstance(one, AlertEvent | EventFault) for one in read)
    for event in read:
        if isinstance(event, AlertEvent):
            assert 0 < len(event.dedup_key) <= 512
            assert 0 < len(event.title) <= 1024 or event.status == "resolved"
            assert all(isinstance(v, str) for v in event.labels.values())


def test_nul_deep_down_is_replaced_or_refused():
    for depth in (50, 900, 100_000):
        body = b"[" * depth + rb'"\u0000"' + b"]" * depth
        try:
            value = base.decode_json(body, {})
        except MalformedPayload as refusal:
            assert "nested too deeply" in str(refusal)
        else:
            assert rb"\u0000" not in msgspec.json.encode(value)


@pytest.mark.parametrize("depth", [50, 900])
def test_nul_deep_down_in_our_own_format_is_named(depth):
    body = b'{"title": "x", "metadata": {"a": ' + b"[" * depth + rb'"\u0000"' + b"]" * depth + b"}}"
    [fault] = openalert.read(openalert.decode(body, {}), {})
    assert (fault.code, fault.detail) == ("invalid", "Text must not contain the character U+0000.")
