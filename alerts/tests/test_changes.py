"""PagerDuty's change events: what they say, and how they are taken."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import changes
from alerts.changes import ChangeEvent
from alerts.enums import Source
from alerts.events import InvalidEvent
from alerts.models import Change
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import payload
from incidents.models import Incident

GOLDEN = payload("pagerduty-change")
KEY = "5ec4e75ec4e75ec4e75ec4e75ec4e75e"
NOW = datetime(2026, 7, 17, 12, tzinfo=UTC)
PATH = "/v2/change/enqueue"
ACCEPTED = (202, {"status": "success", "message": "Change event processed"})


@pytest.fixture
def integration(db):
    return IntegrationFactory(source=Source.PAGERDUTY, key=KEY)


def post(body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = Client(enforce_csrf_checks=True, raise_request_exception=False).post(
        PATH, content, content_type="application/json", headers=headers
    )
    return response.status_code, response.json()


def change(**described):
    return {"routing_key": KEY, "payload": {"summary": "Deployed", **described}}


def test_golden_change():
    assert changes.read(GOLDEN, now=NOW) == ChangeEvent(
        summary="Build Success: Increase snapshot create timeout to 30 seconds",
        at=datetime(2026, 7, 17, 8, 42, 58, 315_000, tzinfo=UTC),
        source="build-pipeline-default-i-9999",
        links=[
            {"href": "https://ci.example.com/build/2", "text": "The build"},
            {"href": "https://git.example.com/compare/a...b", "text": ""},
        ],
        custom_details={
            "component": "snapshots",
            "build_state": "passed",
            "build_number": 2,
            "run_time": "1236s",
            "stages": ["build", "test"],
        },
    )


def test_only_the_summary_is_needed():
    assert changes.read({"payload": {"summary": " Deployed "}}, now=NOW) == ChangeEvent(
        summary="Deployed", at=NOW
    )


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("2026-07-17T08:00:00Z", datetime(2026, 7, 17, 8, tzinfo=UTC)),
        ("2026-07-17T08:00:00", datetime(2026, 7, 17, 8, tzinfo=UTC)),
        ("2026-07-17T08:00:00.123456789-04:00", datetime(2026, 7, 17, 12, 0, 0, 123456, tzinfo=UTC)),
        ("2026-07-17T08:00:00+00:00Z", NOW),
        ("2026-07-17T12:59:00Z", datetime(2026, 7, 17, 12, 59, tzinfo=UTC)),
        ("2026-07-17T13:01:00Z", NOW),
        ("1970-01-01T00:00:00Z", NOW),
        ("9999-12-31T23:59:59-14:00", NOW),
        ("0001-01-01T00:00:00+14:00", NOW),
        ("yesterday", NOW),
        ("", NOW),
        (1784275200, NOW),
        (None, NOW),
    ],
)
def test_instants(given, at):
    assert changes.instant(given, now=NOW) == at


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "required", "payload"),
        ({"payload": "x"}, "required", "payload"),
        ({"payload": {}}, "required", "payload.summary"),
        ({"payload": {"summary": " "}}, "required", "payload.summary"),
        ({"payload": {"summary": 5}}, "required", "payload.summary"),
        ({"payload": {"summary": "x" * 1025}}, "max_length", "payload.summary"),
    ],
)
def test_faults_name_their_field(body, code, field):
    with pytest.raises(InvalidEvent) as invalid:
        changes.read(body, now=NOW)
    assert (invalid.value.fault.code, invalid.value.fault.field) == (code, field)


def test_odd_fields_do_not_keep_a_change_from_being_read():
    body = {"payload": {"summary": "x", "source": ["a"], "custom_details": "a text"}, "links": {"href": "x"}}
    assert changes.read(body, now=NOW) == ChangeEvent(
        summary="x", at=NOW, custom_details={"custom_details": "a text"}
    )
    odd = [None, "https://a.example", {"href": 5}, {"href": "//a.example"}, {"href": "http://["}]
    assert changes.read({"payload": {"summary": "x"}, "links": odd}, now=NOW).links == []


def test_a_change_is_stored_with_all_that_is_told_and_opens_nothing(integration):
    an_hour_ago = timezone.now() - timedelta(hours=1)
    body = {**GOLDEN, "routing_key": KEY}
    body["payload"] = {**GOLDEN["payload"], "timestamp": an_hour_ago.isoformat()}
    assert post(body) == ACCEPTED
    stored = Change.objects.get()
    assert stored.integration == integration
    assert changes.read(body, now=timezone.now()) == ChangeEvent(
        summary=stored.summary,
        at=an_hour_ago,
        source=stored.source,
        links=stored.links,
        custom_details=stored.custom_details,
    )
    assert stored.at == an_hour_ago
    assert not Incident.objects.exists()


def test_a_change_that_is_sent_twice_is_stored_twice(integration):
    assert [post(change()), post(change())] == [ACCEPTED, ACCEPTED]
    assert Change.objects.count() == 2


def test_a_compressed_body_is_taken(integration):
    body = gzip.compress(json.dumps(change()).encode())
    assert post(body, **{"Content-Encoding": "gzip"}) == ACCEPTED
    assert post(b"no gzip", **{"Content-Encoding": "gzip"})[0] == 400


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"routing_key": "f" * 32, "payload": {"summary": "x"}},
            "'routing_key': This integration key is not known. Copy it from the integration's page.",
        ),
        ({"payload": {"summary": "x"}}, "'routing_key': Put the integration key here."),
        ({"routing_key": KEY}, "'payload' is missing or not an object"),
        ({"routing_key": KEY, "payload": {}}, "'payload.summary' is missing or blank"),
    ],
)
def test_faults_are_answered_as_for_events(integration, body, error):
    assert post(body) == (
        400,
        {"status": "invalid event", "message": "Event object is invalid", "errors": [error]},
    )
    assert not Change.objects.exists()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", "Event object format is unrecognized"),
        (json.dumps(change(custom_details={"a": ["\0"]})).encode(), "U+0000 cannot be stored."),
        (json.dumps(change(custom_details={"\0": 1})).encode(), "U+0000 cannot be stored."),
        (
            b'{"routing_key": "%s", "payload": {"summary": "x", "custom_details": {"a": %s}}}'
            % (KEY.encode(), b"[" * 900 + b'"\\u0000"' + b"]" * 900),
            "The JSON is nested too deeply.",
        ),
        (b"[" * 200_000, None),
    ],
)
def test_bodies_that_are_no_change_are_refused(integration, body, error):
    status, told = post(body)
    assert (status, told["status"], told["message"]) == (
        400,
        "Unrecognized object",
        "Event object format is unrecognized",
    )
    assert error is None or told["errors"] == [error]
    assert not Change.objects.exists()


def test_a_body_may_have_512_kilobytes(integration):
    size = 512 * 1024
    room = size - len(json.dumps(change(note="")))
    assert post(change(note="x" * room)) == ACCEPTED
    told = (413, {"status": "too_large", "message": "An event may have at most 512 KB."})
    for body in (change(note="x" * (room + 1)), change(note="x" * size * 2)):
        status, answer = post(body)
        assert (status, {name: answer[name] for name in ("status", "message")}) == told
    squeezed = gzip.compress(json.dumps(change(note="x" * size)).encode())
    assert post(squeezed, **{"Content-Encoding": "gzip"})[0] == 413


def test_only_integrations_for_pagerduty_that_are_switched_on_take_changes(integration):
    other = IntegrationFactory(source=Source.OPENALERT)
    assert post({**change(), "routing_key": other.key}) == (
        400,
        {
            "status": "invalid event",
            "message": "Event object is invalid",
            "errors": ["'routing_key': This key is of an integration for OpenAlert API."],
        },
    )
    integration.is_enabled = False
    integration.save()
    assert post(change())[1]["errors"] == ["'routing_key': This integration is switched off."]
    assert Client().get(PATH).status_code == 405


def test_a_change_that_the_database_does_not_take_is_to_be_sent_again(integration):
    def away(*arguments):
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(away):
        status, told = post(change())
    assert (status, told["status"]) == (503, "unavailable")
    assert post(change()) == ACCEPTED


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**4000, 10**4001)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=15,
)
named_values = st.fixed_dictionaries(
    {},
    optional={
        "routing_key": st.just(KEY) | json_values,
        "payload": st.fixed_dictionaries(
            {},
            optional={
                "summary": st.text() | json_values,
                "source": json_values,
                "timestamp": st.datetimes().map(str) | json_values,
                "custom_details": json_values,
            },
        )
        | json_values,
        "links": st.lists(st.fixed_dictionaries({"href": st.text(), "text": json_values})) | json_values,
    },
)


@pytest.mark.django_db
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(body=named_values | json_values)
def test_any_json_is_taken_or_refused(integration, body):
    stored = Change.objects.count()
    status, told = post(body)
    assert status == 202 or 400 <= status < 500
    assert Change.objects.count() == stored + (status == 202)
    assert "status" in told and "message" in told
