"""Whatever is sent to any of intake's addresses: never a 5xx, never half of a request, no key in the log."""

import asyncio
import json
import logging
from pathlib import Path

import httpx
import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.enums import Source
from alerts.formats import FORMATS, prometheus
from alerts.models import Alert, Integration
from alerts.tests.factories import IntegrationFactory
from incidents.models import Incident
from openalert.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)

PAYLOADS = Path(__file__).resolve().parent.parent.parent / "alerts" / "tests" / "payloads"
KEY = "5ec4e75ec4e75ec4e75ec4e75ec4e75e"
SECRET = "swordfish-swordfish"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=15,
)
# JSON that many parsers and databases stumble over.
nasty = st.sampled_from(
    [
        b'{"title": "\\u0000"}',
        b'{"title": "\\ud800"}',
        b"[" * 5000,
        b'{"title": 1e999}',
        b'{"title": "x", "metadata": {"n": 1e308, "m": 123456789012345678901234567890}}',
        b'{"title": "x", "title": "y"}',
        b"\xff\xfe",
        b"null",
        b'""',
        b"",
        b'{"alerts": [{"status": "firing"}]}',
        b'{"title": "x", "metadata": {"\\u0000": {"\\u0000": "\\u0000"}}}',
        b'{"version": "4", "alerts": [{"status": "firing", "labels": {"\\u0000": "\\u0000"}}]}',
    ]
)


def golden(source):
    return [
        path.read_bytes()
        for path in sorted(PAYLOADS.iterdir())
        if path.is_file() and path.name.partition(".")[0].partition("_")[0] == source
    ]


@st.composite
def broken(draw, source):
    """A real payload with some bytes cut out, doubled or replaced."""
    body = bytearray(draw(st.sampled_from(golden(source) or [b'{"title": "x"}'])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(body) - 1, 0)))
        body[at : at + draw(st.integers(0, 12))] = draw(st.binary(max_size=6))
    return bytes(body)


def bodies(source):
    return (
        nasty
        | json_values.map(lambda value: json.dumps(value).encode())
        | broken(source)
        | st.binary(max_size=200)
    )


def address(source):
    if source == Source.OPENALERT:
        return "/api/v1/alerts", {"authorization": f"Bearer {KEY}"}
    if source == Source.OPSGENIE:
        return "/v2/alerts", {"authorization": f"GenieKey {KEY}"}
    if source == Source.PAGERDUTY:
        return "/v2/enqueue", {}
    tail = f"/{prometheus.ALERTS}" if source == Source.PROMETHEUS else ""
    return f"/integrations/{source}/{KEY}{tail}", {}


def post(path, headers, body):
    async def once():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.post(path, content=body, headers=headers)

    return asyncio.run(once())


def counted():
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(sum(count), 0) FROM alerts_alert")
        return cursor.fetchone()[0]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("source", sorted(FORMATS))
def test_any_body_to_any_format(source, caplog):
    caplog.set_level(logging.DEBUG)
    if not Integration.objects.exists():
        IntegrationFactory(source=source, key=KEY)
    path, headers = address(source)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        body=bodies(source),
        kind=st.sampled_from(["application/json", "text/plain", "application/x-ndjson", ""]),
    )
    def check(body, kind):
        if source == Source.PAGERDUTY:
            body = body.replace(b"0123456789abcdef0123456789abcdef", KEY.encode())
        before = counted()
        response = post(path, {**headers, "content-type": kind}, body)
        assert response.status_code < 500, (body, response.text)
        if not response.is_success and "accepted" not in response.text:
            assert counted() == before, "refused as a whole, and yet stored"

    check()
    assert not Alert.objects.exclude(incident__in=Incident.objects.all()).exists()
    assert not Incident.objects.exclude(alerts__isnull=False).exists(), "an incident without an alert"
    said = " ".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("alerts", "django"))
    )
    assert KEY not in said


@pytest.mark.parametrize("source", sorted(FORMATS))
def test_no_secret_is_logged_or_answered(source, caplog):
    caplog.set_level(logging.DEBUG)
    IntegrationFactory(source=source, key=KEY, secret=SECRET)
    path, headers = address(source)
    for body in [*golden(source), b"{}", b"nonsense"]:
        body = body.replace(b"0123456789abcdef0123456789abcdef", KEY.encode())
        response = post(path, headers, body)
        assert response.status_code < 500
        assert SECRET not in response.text
        assert KEY not in response.text
    said = " ".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("alerts", "django"))
    )
    assert (KEY in said, SECRET in said) == (False, False)
