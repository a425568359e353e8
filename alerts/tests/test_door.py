"""Alerts over HTTP: what is answered, and what is stored when it is."""

import asyncio
import gzip
import json
import zlib
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import zstandard
from django.db import DataError, OperationalError

from alerts import addresses, bodies, door, samples, store
from alerts.enums import Source
from alerts.integrations import end_old_key, rotate_key
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from incidents.models import Incident
from openalert.asgi import application

pytestmark = pytest.mark.django_db(transaction=True)

ALERTMANAGER = (Path(__file__).parent / "payloads" / "alertmanager.json").read_bytes()


@pytest.fixture
def integration():
    return IntegrationFactory(name="Shop")


def request(method="POST", path=addresses.NATIVE_PATH, **options):
    async def send():
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.request(method, path, **options)

    return asyncio.run(send())


def post(key, payload, **headers):
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return request(content=content, headers={"Authorization": f"Bearer {key}", **headers})


def errors(response):
    body = response.json()
    assert body["correlation_id"] == response.headers["x-correlation-id"]
    return [(e["code"], e["field"]) for e in body["errors"]]


def test_one_alert(integration):
    response = post(integration.key, {"external_id": "disk", "title": "Disk full"})
    number = Incident.objects.get().number
    assert (response.status_code, response.json()) == (
        202,
        {"accepted": 1, "alerts": [{"external_id": "disk", "outcome": "opened", "incident": number}]},
    )


@pytest.mark.parametrize("wrap", [list, lambda alerts: {"alerts": alerts}])
def test_list_of_alerts(integration, wrap):
    response = post(
        integration.key, wrap([{"external_id": "a", "title": "A"}, {"external_id": "a", "title": "A"}])
    )
    assert [a["outcome"] for a in response.json()["alerts"]] == ["opened", "repeated"]
    assert Alert.objects.get().count == 2


def test_good_alerts_of_a_list_are_stored_and_the_bad_ones_named(integration):
    response = post(
        integration.key,
        [{"title": "good"}, {"title": "bad", "severity": "urgent"}, {"title": "good too"}, "worse"],
    )
    body = response.json()
    assert response.status_code == 400
    assert [(e["index"], e["code"], e["field"]) for e in body["errors"]] == [
        (1, "invalid_choice", "severity"),
        (3, "invalid", None),
    ]
    assert (body["type"], body["accepted"]) == ("validation_error", 2)
    assert set(Alert.objects.values_list("title", flat=True)) == {"good", "good too"}


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 400, ("malformed_payload", None)),
        (b"{", 400, ("malformed_payload", None)),
        (b"[" * 50_000, 400, ("malformed_payload", None)),
        (b"\xff\xfe", 400, ("malformed_payload", None)),
        (b'{"title": "\\ud800"}', 400, ("malformed_payload", None)),
        (b'{"title": NaN}', 400, ("malformed_payload", None)),
        (b"3", 400, ("malformed_payload", None)),
        (b'{"title": 3}', 400, ("invalid", "title")),
        (b'{"title": "x", "severity": "urgent"}', 400, ("invalid_choice", "severity")),
        (b'{"title": "x", "sevrity": "high"}', 400, ("unknown_field", "sevrity")),
        (b'{"title": "' + b"x" * bodies.MAX_BODY_BYTES + b'"}', 413, ("too_large", None)),
    ],
)
def test_bad_input_gets_a_clear_error_and_stores_nothing(integration, body, status, expected):
    response = post(integration.key, body)
    assert (response.status_code, errors(response)) == (status, [expected])
    assert not Alert.objects.exists()
    assert not Incident.objects.exists()


def test_body_without_a_length_is_limited_too(integration):
    async def chunks():
        for _ in range(5):
            yield b" " * (bodies.MAX_BODY_BYTES // 4)

    response = request(content=chunks(), headers={"Authorization": f"Bearer {integration.key}"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_integration_key"),
        ({"Authorization": "Bearer "}, "missing_integration_key"),
        ({"Authorization": "Basic YTpi"}, "missing_integration_key"),
        ({"Authorization": "Bearer wrong"}, "unknown_integration_key"),
    ],
)
def test_bad_key(integration, headers, code):
    response = request(content=b'{"title": "x"}', headers=headers)
    assert (response.status_code, errors(response)) == (401, [(code, None)])
    assert response.headers["www-authenticate"] == "Bearer"


def test_switched_off_integration(integration):
    integration.is_enabled = False
    integration.save()
    assert post(integration.key, {"title": "x"}).status_code == 403


def test_key_of_another_source(integration):
    response = request(path=f"/integrations/alertmanager/{integration.key}", content=ALERTMANAGER)
    assert (response.status_code, errors(response)) == (403, [("wrong_source", None)])
    assert not Alert.objects.exists()


def test_alertmanagers_webhook():
    integration = IntegrationFactory(source=Source.ALERTMANAGER)
    response = request(path=f"/integrations/alertmanager/{integration.key}", content=ALERTMANAGER)
    assert response.status_code == 202
    assert [a["outcome"] for a in response.json()["alerts"]] == ["opened", "ignored"]
    assert Alert.objects.get().labels["alertname"] == "InstanceDown"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/integrations/alertmanager/some-key", 405),
        ("POST", "/integrations/nagios-from-mars/some-key", 404),
        ("POST", "/integrations/alertmanager/", 404),
        ("POST", "/integrations/alertmanager/a/b", 404),
        ("POST", "/integrations/alertmanager/some-key", 401),
    ],
)
def test_addresses(method, path, status):
    response = request(method, path, content=ALERTMANAGER)
    assert response.status_code == status
    assert errors(response)


def test_database_that_is_away_is_no_2xx(integration, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("the server closed the connection unexpectedly")

    monkeypatch.setattr("alerts.intake._Round.run", refuse)
    response = post(integration.key, {"title": "x"})
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert errors(response) == [("unavailable", None)]


def test_fault_of_ours_is_told_without_its_innards(integration, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("secret innards")

    monkeypatch.setattr("alerts.intake._Round.run", fail)
    response = post(integration.key, {"title": "x"})
    assert (response.status_code, "innards" in response.text) == (500, False)


def test_integration_that_runs_wild_is_told_to_come_back(integration, settings):
    settings.INTAKE_ALERTS_PER_MINUTE = 3
    narrow = door.Door()

    def send(path=addresses.NATIVE_PATH, **options):
        async def once():
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(narrow), base_url="http://testserver"
            ) as client:
                return await client.post(path, **options)

        return asyncio.run(once())

    headers = {"Authorization": f"Bearer {integration.key}"}
    assert send(json=[{"title": "x"}] * 3, headers=headers).status_code == 202
    response = send(json={"title": "x"}, headers=headers)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert errors(response) == [("throttled", None)]
    assert Alert.objects.count() == 3


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
def test_packed_bodies(integration, encoding, pack):
    response = post(integration.key, pack(b'{"title": "packed"}'), **{"Content-Encoding": encoding})
    assert (response.status_code, Alert.objects.get().title) == (202, "packed")
    response = post(
        integration.key, pack(b" " * (bodies.MAX_BODY_BYTES + 1)), **{"Content-Encoding": encoding}
    )
    assert (response.status_code, errors(response)) == (413, [("too_large", None)])
    response = post(integration.key, pack(b"{}" * 500)[:-9], **{"Content-Encoding": encoding})
    assert (response.status_code, errors(response)) == (400, [("malformed_encoding", None)])
    response = post(integration.key, b"not packed", **{"Content-Encoding": encoding})
    assert (response.status_code, errors(response)) == (400, [("malformed_encoding", None)])


def test_unknown_encoding(integration):
    response = post(integration.key, b"{}", **{"Content-Encoding": "br"})
    assert (response.status_code, errors(response)) == (415, [("unknown_encoding", None)])


def test_a_line_for_each_alert(integration):
    lines = b'{"title": "A", "external_id": "a"}\n\n{"title": "B", "external_id": "b"}\n'
    response = post(integration.key, lines, **{"Content-Type": "application/x-ndjson"})
    assert [alert["external_id"] for alert in response.json()["alerts"]] == ["a", "b"]
    bad = b'{"title": "C", "external_id": "c"}\n{"title": 5}\n'
    response = post(integration.key, bad, **{"Content-Type": "application/x-ndjson"})
    assert (response.status_code, errors(response)) == (400, [("invalid", "title")])
    assert sorted(Alert.objects.values_list("dedup_key", flat=True)) == ["a", "b", "c"]


def test_alert_that_the_database_cannot_hold_fails_alone(integration, monkeypatch):
    """Whatever slips through the readers: the batch is taken apart until the bad one stands alone."""
    insert = store.insert

    def picky(alerts, *, now):
        if any(alert.title == "bad" for alert in alerts):
            raise DataError("unsupported Unicode escape sequence")
        return insert(alerts, now=now)

    monkeypatch.setattr("alerts.store.insert", picky)
    response = post(
        integration.key, [{"title": f"{n}" if n != 3 else "bad", "external_id": f"{n}"} for n in range(7)]
    )
    assert (response.status_code, [e["index"] for e in response.json()["errors"]]) == (400, [3])
    assert Alert.objects.count() == response.json()["accepted"] == 6


def test_requests_at_once_each_get_their_own_answer(integration):
    async def send():
        transport = httpx.ASGITransport(application)
        headers = {"Authorization": f"Bearer {integration.key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            payloads = [
                {"title": f"T{n}", "external_id": f"{n}"} if n % 5 else {"title": ""} for n in range(60)
            ]
            waiting = [client.post(addresses.NATIVE_PATH, json=p, headers=headers) for p in payloads]
            return await asyncio.gather(*waiting)

    for number, response in enumerate(asyncio.run(send())):
        if number % 5:
            assert [a["external_id"] for a in response.json()["alerts"]] == [f"{number}"]
        else:
            assert (response.status_code, errors(response)) == (400, [("blank", "title")])
    assert Alert.objects.count() == 48


def test_key_that_was_rotated_is_void_at_once(integration):
    assert post(integration.key, {"title": "x", "external_id": "x"}).status_code == 202
    old, new = integration.key, rotate_key(integration.pk)
    assert post(old, {"title": "x", "external_id": "x"}).status_code == 401
    assert post(new, {"title": "x", "external_id": "x"}).status_code == 202


def test_an_old_key_works_on_for_as_long_as_was_chosen(integration, clock):
    alert = {"title": "x", "external_id": "x"}
    old = integration.key
    assert post(old, alert).status_code == 202
    new = rotate_key(integration.pk, overlap=timedelta(hours=1))
    clock.advance(minutes=59)
    assert [post(key, alert).status_code for key in (old, new)] == [202, 202]
    assert Alert.objects.get().count == 3
    clock.advance(minutes=1)
    # The process remembers the key still.
    assert [post(key, alert).status_code for key in (old, new)] == [401, 202]


def test_an_old_key_is_ended_and_the_one_before_it_is_void(integration, clock):
    first = integration.key
    second = rotate_key(integration.pk, overlap=timedelta(hours=1))
    third = rotate_key(integration.pk, overlap=timedelta(hours=1))
    told = [post(key, {"title": "x", "external_id": "x"}).status_code for key in (first, second, third)]
    assert told == [401, 202, 202]
    end_old_key(integration.pk)
    end_old_key(integration.pk)
    assert [post(key, {"title": "x", "external_id": "x"}).status_code for key in (second, third)] == [
        401,
        202,
    ]


def test_integration_that_was_removed_takes_nothing_more(integration):
    assert post(integration.key, {"title": "x"}).status_code == 202
    integration.delete()
    assert post(integration.key, {"title": "y"}).status_code == 401
    assert not Alert.objects.exists()


def test_correlation_id_is_taken_over(integration):
    response = post(integration.key, {"title": "x"}, **{"X-Correlation-ID": "my-request-1"})
    assert response.headers["x-correlation-id"] == "my-request-1"
    response = post(integration.key, {"title": "x"}, **{"X-Correlation-ID": "bad\tid"})
    assert response.headers["x-correlation-id"] != "bad\tid"


def test_overload_is_told_to_come_back(integration, monkeypatch):
    monkeypatch.setattr(door, "MAX_WAITING", 0)
    assert post(integration.key, {"title": "x"}).status_code == 503


def test_last_payloads_are_kept_for_the_page_of_the_integration_refused_ones_with_the_reason(
    integration, monkeypatch
):
    keeper = samples.Keeper()
    monkeypatch.setattr(samples, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(door, "keeper", keeper)
    samples.forget(integration.pk)
    post(integration.key, {"external_id": "a", "title": "A", "metadata": {"note": integration.key}})
    post(integration.key, [{"external_id": "b", "title": "B"}, {"title": ""}])
    post(integration.key, b"{")
    post("0" * 32, {"title": "Of a stranger"})
    keeper.close()
    malformed, faulty, taken = samples.recent(integration.pk)
    assert (taken.refusal, json.loads(taken.body)["metadata"]["note"]) == ("", "…")
    assert (faulty.refusal, len(json.loads(faulty.body))) == ("This must not be empty.", 2)
    assert malformed.body == b"{"
    assert malformed.refusal.startswith("The body is not valid JSON")


@pytest.mark.parametrize(("path", "scheme"), [(addresses.NATIVE_PATH, "Bearer"), ("/v2/alerts", "GenieKey")])
def test_who_is_refused_is_told_how_to_authenticate(path, scheme):
    response = request(path=path, json={"message": "x", "title": "x"})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, scheme)
