"""Any JSON, with the integration's own fields and without."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.enums import EventStatus, Source
from alerts.events import AlertEvent
from alerts.exceptions import InvalidExpression
from alerts.fields import NO_FIELDS, Fields, read_fields
from alerts.formats import generic
from alerts.formats.generic import read_payload
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.test_door import request
from incidents.enums import Severity

PAYLOAD = json.loads((Path(__file__).parent.parent / "payloads" / "generic.json").read_bytes())
FIELDS = {
    "title": "{{ payload.event.headline }} ({{ payload.event.target.host }}:{{ payload.event.target.port }})",
    "dedup_key": "event.target.host",
    "status": "event.state",
    "resolved": ["Fine"],
    "severity": "event.prio",
    "severities": {"P2": "critical"},
    "name": "event.check",
    "source": "sender.name",
    "labels": {"host": "event.target.host", "port": "event.target.port"},
    "description": "event.details",
    "link": "event.url",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def one(payload, fields=None):
    [event] = read_payload(payload, read_fields(fields) if fields else NO_FIELDS)
    assert isinstance(event, AlertEvent)
    return event


def test_golden_payload_by_its_usual_names():
    assert one(PAYLOAD) == AlertEvent(
        dedup_key="chk-8812-2026-11-23",
        status=EventStatus.FIRING,
        title="Certificate of shop.example.com expires in 3 days",
        severity=Severity.HIGH,
        name="certificate-expiry",
        source="",
        labels={"team": "payments", "customer-facing": "true"},
        metadata={
            "payload": PAYLOAD,
            "description": "Issued by R11, not after 2026-11-26.",
            "link": "https://checks.example.com/8812",
        },
    )


def test_golden_payload_by_the_integrations_fields():
    assert one(PAYLOAD, FIELDS) == AlertEvent(
        dedup_key="shop.example.com",
        status=EventStatus.FIRING,
        title="Certificate of shop.example.com expires in 3 days (shop.example.com:443)",
        severity=Severity.CRITICAL,
        name="certificate-expiry",
        source="certwatch",
        labels={
            "team": "payments",
            "customer-facing": "true",
            "host": "shop.example.com",
            "port": "443",
        },
        metadata={
            "payload": PAYLOAD,
            "description": "Issued by R11, not after 2026-11-26.",
            "link": "https://checks.example.com/8812",
        },
    )


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("fine", "resolved"),
        ("FINE ", "resolved"),
        ("ok", "firing"),
        ("ack", "acknowledged"),
        (None, "firing"),
    ],
)
def test_own_words_for_what_is_over_stand_for_all_of_them(state, status):
    payload = {**PAYLOAD, "event": {**PAYLOAD["event"], "state": state}}
    assert one(payload, FIELDS).status == status


@pytest.mark.parametrize(
    ("payload", "status"),
    [
        ({"title": "x", "status": "OK"}, "resolved"),
        ({"title": "x", "state": "Closed"}, "resolved"),
        ({"title": "x", "alert_state": "acknowledged"}, "acknowledged"),
        ({"title": "x", "resolved": True}, "resolved"),
        ({"title": "x", "resolved": False}, "firing"),
        ({"title": "x", "state": True}, "firing"),
        ({"title": "x", "alert": {"action": "resolve"}}, "resolved"),
        ({"title": "x"}, "firing"),
    ],
)
def test_status_by_its_usual_words(payload, status):
    assert one(payload).status == status


@pytest.mark.parametrize(
    ("word", "severity"),
    [
        ("P1", "critical"),
        ("sev-2", "high"),
        ("warning", "medium"),
        ("p5", "low"),
        (1, "high"),
        ("odd", "high"),
    ],
)
def test_severity_by_its_usual_words(word, severity):
    assert one({"title": "x", "Priority": word}).severity == severity


def test_resolve_finds_its_problem_without_a_key():
    firing = one({"alert_name": "Disk full", "host": "db1", "state": "alarm"})
    over = one({"alert_name": "Disk full", "host": "db1", "state": "ok", "message": "All is well again"})
    assert (firing.dedup_key, firing.status) == ("Disk full/db1", "firing")
    assert over.dedup_key == one({"alert_name": "Disk full", "host": "db1"}).dedup_key == firing.dedup_key


def test_list_is_an_alert_for_each_and_so_is_what_each_picks():
    assert [e.title for e in read_payload([{"title": "a"}, {"title": "b"}], NO_FIELDS)] == ["a", "b"]
    payload = {"site": "eu-1", "problems": [{"what": "a"}, {"what": "b"}]}
    fields = read_fields({"each": "problems", "title": "{{ payload.what }} in {{ whole.site }}"})
    assert [e.title for e in read_payload(payload, fields)] == ["a in eu-1", "b in eu-1"]
    assert list(read_payload({"problems": []}, fields)) == []


def test_mistakes_in_settings_lose_nothing_and_are_said():
    event = one({"title": "Disk full"}, {"each": "nothing", "title": "nothing", "source": "{{ 1 + 'a' }}"})
    assert event.title == "Disk full"
    assert set(event.metadata["field_errors"]) == {"each", "title", "source"}
    assert event.metadata["field_errors"]["title"] == "It picks nothing from this payload."


@pytest.mark.parametrize(
    ("payload", "title"),
    [
        ("help", "help"),
        (["x", "the pump has failed"], "the pump has failed"),
        ({"a": {"b": ["code 5", "x"]}}, "code 5"),
        (7, "Alert"),
        ({}, "Alert"),
        (None, "Alert"),
    ],
)
def test_there_is_always_a_title(payload, title):
    assert one(payload).title == title


def test_too_many_alerts_are_a_fault():
    [fault] = read_payload([{"title": "x"}] * (generic.MOST_ALERTS + 1), NO_FIELDS)
    assert fault.code == "max_length"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "a b"}, "title"),
        ({"title": "{{ payload."}, "title"),
        ({"labels": {"host": "{{ 2 * 2 }}"}}, "labels.host"),
        ({"severities": {"P1": "awful"}}, "severities"),
        ({"source": 5}, "source"),
        ({"titel": "title"}, None),
        ([], None),
    ],
)
def test_faults_in_settings_are_named(fields, field):
    with pytest.raises(InvalidExpression) as fault:
        read_fields(fields)
    assert fault.value.field == field


expressions = st.sampled_from(
    [
        "a",
        "a.b",
        "*",
        "[]",
        "[*].a",
        "length(@)",
        "sort(@)",
        "keys(@)",
        "to_number(a)",
        "{{ payload.a.b }}",
        "{{ payload.a|int }}",
        "{{ payload|first|upper }}",
        "{{ payload.a + payload.b }}",
        "{{ whole|tojson }}",
        "{% if payload.a > 1 %}x{% endif %}",
        "{{ payload.a|regex_search('(') }}",
        "{{ payload[0] }}",
    ]
)


@given(
    payload=json_values,
    fields=st.dictionaries(st.sampled_from(["each", "title", "status", "link"]), expressions),
)
def test_any_json_is_read_by_any_settings(payload, fields):
    for event in read_payload(payload, Fields(**fields), fallback="Something"):
        assert event.title
        assert event.title.strip() == event.title
        assert event.dedup_key
        assert all(isinstance(value, str) for value in event.labels.values())


@pytest.mark.django_db(transaction=True)
def test_through_the_door_and_by_settings_that_are_changed():
    integration = IntegrationFactory(source=Source.GENERIC, settings={"fields": {"title": "event.headline"}})
    path = f"/integrations/generic/{integration.key}"
    assert request(path=path, json=PAYLOAD).status_code == 202
    integration.settings = {"fields": {"title": "event.check"}}
    integration.save()
    assert request(path=path, json=PAYLOAD).status_code == 202
    integration.settings = {"fields": {"title": "no longer understood"}}
    integration.save()
    answer = request(path=path, json={"anything": "at all"})
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    [alert, other] = Alert.objects.order_by("pk")
    assert (alert.title, alert.count, other.title) == ("certificate-expiry", 2, "at all")
    assert request(path=path, content=b"no json").status_code == 400
