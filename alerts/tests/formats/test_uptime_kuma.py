"""Uptime Kuma's webhooks."""

import json

import pytest

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import uptime_kuma
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send, stored
from incidents.enums import Severity


def changed(heartbeat=(), monitor=()):
    given = payload("uptime-kuma")
    given["heartbeat"].update(heartbeat)
    given["monitor"].update(monitor)
    return given


def test_monitor_that_is_down():
    given = payload("uptime-kuma")
    assert uptime_kuma.read(given, {}) == [
        AlertEvent(
            dedup_key="monitor/10",
            status="firing",
            title="Shop is down",
            severity=Severity.CRITICAL,
            name="Shop",
            source="https://shop.example.com/health",
            labels={"monitor": "Shop", "type": "http", "severity": "critical", "customer-facing": "true"},
            metadata={
                **given,
                "url": "https://shop.example.com/health",
                "description": "connect ECONNREFUSED 192.0.2.10:443",
            },
        )
    ]


def test_monitor_that_is_up_again():
    [event] = uptime_kuma.read(changed({"status": 1, "msg": "200 - OK"}), {})
    assert (event.dedup_key, event.status, event.title) == ("monitor/10", "resolved", "Shop is up")


@pytest.mark.parametrize("status", [2, 3])
def test_pending_and_maintenance_change_nothing(status):
    assert uptime_kuma.read(changed({"status": status}), {}) == []


def test_monitor_without_an_address_or_tags():
    given = changed(monitor={"url": "https://", "hostname": "192.0.2.10", "type": "ping", "tags": None})
    [event] = uptime_kuma.read(given, {})
    assert (event.source, event.severity) == ("192.0.2.10", "high")
    assert event.labels == {"monitor": "Shop", "type": "ping"}


def test_credentials_that_older_versions_send_are_not_kept():
    given = changed(monitor={"basic_auth_pass": "secret", "headers": "secret", "pushToken": "secret"})
    assert "secret" not in json.dumps(uptime_kuma.read(given, {})[0].metadata)


def test_notice_is_one_alert_however_many_days_are_left():
    def notice(days):
        message = f"[Shop][https://shop.example.com] server certificate will be expired in {days} days"
        return uptime_kuma.read({"heartbeat": None, "monitor": None, "msg": message}, {})[0]

    assert notice(14) == AlertEvent(
        dedup_key="notice/[Shop][https://shop.example.com] server certificate will be expired in days",
        status="firing",
        title="[Shop][https://shop.example.com] server certificate will be expired in 14 days",
        severity=Severity.MEDIUM,
        name="Uptime Kuma notice",
        metadata={
            "heartbeat": None,
            "monitor": None,
            "msg": "[Shop][https://shop.example.com] server certificate will be expired in 14 days",
        },
    )
    assert notice(14).dedup_key == notice(1).dedup_key


def test_test_opens_nothing():
    assert uptime_kuma.read({"heartbeat": None, "monitor": None, "msg": "OpenAlert Testing"}, {}) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (changed({"status": 7}), "heartbeat.status"),
        (changed({"status": "0"}), "heartbeat.status"),
        ({"heartbeat": {"status": 0}}, "monitor.id"),
    ],
)
def test_faults(given, field):
    [fault] = uptime_kuma.read(given, {})
    assert isinstance(fault, EventFault)
    assert fault.field == field


@pytest.mark.parametrize("given", [[], None, {}, {"title": "x"}])
def test_what_is_no_notification(given):
    with pytest.raises(MalformedPayload):
        uptime_kuma.read(given, {})


@pytest.mark.django_db(transaction=True)
def test_monitor_opens_and_resolves():
    integration = IntegrationFactory(source=Source.UPTIME_KUMA)
    assert outcomes(send(integration, payload("uptime-kuma"))) == ["opened"]
    assert outcomes(send(integration, {"heartbeat": None, "monitor": None, "msg": "x Testing"})) == []
    assert outcomes(send(integration, changed({"status": 1}))) == ["resolved"]
    assert stored() == [("monitor/10", "resolved")]


def form(value):
    boundary = "--------------------------248712"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="data"\r\n\r\n'
    body = head.encode() + value + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


@pytest.mark.django_db(transaction=True)
def test_form():
    integration = IntegrationFactory(source=Source.UPTIME_KUMA)
    body, content_type = form(json.dumps(payload("uptime-kuma"), ensure_ascii=False).encode())
    assert outcomes(send(integration, body, content_type=content_type)) == ["opened"]
    assert Alert.objects.get().metadata["msg"].startswith("[Shop] [🔴 Down]")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        form(b"{"),
        (b"{}", "multipart/form-data"),
        (b"no form", "multipart/form-data; boundary=x"),
        (form(b"{}")[0][:60], form(b"")[1]),
        (b"{}", "multipart/form-data; boundary=\xe9"),
    ],
)
def test_broken_forms(body, content_type):
    integration = IntegrationFactory(source=Source.UPTIME_KUMA)
    response = send(integration, body, content_type=content_type)
    assert error(response) == (400, "malformed_payload", None)


@pytest.mark.django_db(transaction=True)
def test_secret_is_wanted_once_there_is_one():
    integration = IntegrationFactory(source=Source.UPTIME_KUMA, secret="s3cret")
    for given in ({}, {"authorization": "Bearer s3cre"}, {"authorization": "Basic s3cret"}):
        assert error(send(integration, payload("uptime-kuma"), **given)) == (401, "bad_signature", None)
    assert outcomes(send(integration, payload("uptime-kuma"), authorization="Bearer s3cret")) == ["opened"]
