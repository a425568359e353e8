"""Sentry's webhooks: alert rules, issues, metric alerts, and the plugin of old."""

import hashlib
import hmac
import json

import pytest

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import sentry
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send, stored
from incidents.enums import Severity

TITLE = "PaymentGatewayError: gateway answered 502"


def without(mapping, *names):
    return {name: value for name, value in mapping.items() if name not in names}


def test_alert_rule():
    given = payload("sentry_event_alert")
    event = given["data"]["event"]
    bulky = ("_meta", "breadcrumbs", "exception", "grouping_config", "modules", "request", "sdk")
    assert sentry.read(given, {}) == [
        AlertEvent(
            dedup_key="issue/4815162342",
            status="firing",
            title=TITLE,
            severity=Severity.HIGH,
            name=TITLE,
            source="shop",
            labels={"project": "shop", **dict(event["tags"])},
            metadata={
                "action": "triggered",
                "actor": given["actor"],
                "installation": given["installation"],
                "event": without(event, *bulky),
                "triggered_rule": "Checkout errors",
                "issue_alert": given["data"]["issue_alert"],
                "url": event["web_url"],
                "description": "checkout.views.pay",
            },
        )
    ]


def test_resolved_issue():
    given = payload("sentry_issue")
    issue = given["data"]["issue"]
    assert sentry.read(given, {}) == [
        AlertEvent(
            dedup_key="issue/4815162342",
            status="resolved",
            title=TITLE,
            severity=Severity.HIGH,
            name=TITLE,
            source="shop",
            labels={"project": "shop", "level": "error"},
            metadata={
                **without(given, "data"),
                "resolution_type": "now",
                "issue": issue,
                "url": issue["web_url"],
                "description": "checkout.views.pay",
            },
        )
    ]


def test_metric_alert():
    given = payload("sentry_metric_alert")
    assert sentry.read(given, {}) == [
        AlertEvent(
            dedup_key="metric/1904",
            status="firing",
            title="Critical: Too many errors in the shop",
            severity=Severity.CRITICAL,
            name="Too many errors in the shop",
            source="shop",
            labels={"project": "shop", "environment": "production"},
            metadata={
                **without(given, "data"),
                **given["data"],
                "url": given["data"]["web_url"],
                "description": "1,204 events in the last 10 minutes Filter: level:error",
            },
        )
    ]
    [warning] = sentry.read({**given, "action": "warning"}, {})
    [resolved] = sentry.read({**given, "action": "resolved"}, {})
    assert (warning.status, warning.severity, warning.dedup_key) == ("firing", "medium", "metric/1904")
    assert (resolved.status, resolved.dedup_key) == ("resolved", "metric/1904")


def test_plugin_of_old():
    given = payload("sentry_plugin")
    assert sentry.read(given, {}) == [
        AlertEvent(
            dedup_key="issue/4815162342",
            status="firing",
            title=TITLE,
            severity=Severity.CRITICAL,
            name=TITLE,
            source="shop",
            labels={"project": "shop", **dict(given["event"]["tags"])},
            metadata={
                **given,
                "event": without(given["event"], "exception", "sdk"),
                "description": "checkout.views.pay",
            },
        )
    ]


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ("created", "firing"),
        ("unresolved", "firing"),
        ("resolved", "resolved"),
        ("archived", "resolved"),
        ("ignored", "resolved"),
        ("assigned", None),
        ("brand_new", None),
    ],
)
def test_what_becomes_of_an_issue(action, status):
    read = sentry.read({**payload("sentry_issue"), "action": action}, {})
    assert [event.status for event in read] == ([status] if status else [])


@pytest.mark.parametrize(
    ("level", "severity"),
    [
        ("fatal", "critical"),
        ("error", "high"),
        ("warning", "medium"),
        ("info", "low"),
        ("debug", "low"),
        ("sample", "low"),
        (None, "high"),
    ],
)
def test_levels(level, severity):
    [event] = sentry.read({"data": {"error": {"issue_id": 7, "level": level}}}, {})
    assert (event.severity, event.title, event.dedup_key) == (severity, "Sentry issue", "issue/7")


def test_tags_that_are_odd():
    tags = [["host", "a"], ["b"], "c", [1, 2], ["cpus", 4], ["none", None]]
    [event] = sentry.read({"data": {"event": {"issue_id": "7", "tags": tags}}}, {})
    assert event.labels == {"host": "a", "cpus": "4"}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"data": {"event": {}}}, "id"),
        ({"event": {}}, "id"),
        ({"action": "created", "data": {"issue": None}}, "id"),
        ({"data": {"metric_alert": 5}}, "data.metric_alert.id"),
    ],
)
def test_problem_without_an_id(given, field):
    [fault] = sentry.read(given, {})
    assert isinstance(fault, EventFault)
    assert (fault.code, fault.field) == ("required", field)


def test_other_webhooks_tell_of_no_problem():
    assert sentry.read({"action": "created", "data": {"comment": "seen"}}, {}) == []
    assert sentry.read({}, {}) == []
    with pytest.raises(MalformedPayload):
        sentry.read([], {})


@pytest.mark.django_db(transaction=True)
def test_issue_opens_and_resolves():
    integration = IntegrationFactory(source=Source.SENTRY)
    assert outcomes(send(integration, payload("sentry_event_alert"))) == ["opened"]
    assert outcomes(send(integration, payload("sentry_issue"))) == ["resolved"]
    assert stored() == [("issue/4815162342", "resolved")]


@pytest.mark.django_db(transaction=True)
def test_signature():
    integration = IntegrationFactory(source=Source.SENTRY, secret="client-secret")
    body = json.dumps(payload("sentry_event_alert")).encode()
    signature = hmac.new(b"client-secret", body, hashlib.sha256).hexdigest()
    for headers in ({}, {"sentry_hook_signature": "0" * 64}, {"sentry_hook_signature": "\xe9"}):
        assert error(send(integration, body, **headers)) == (401, "bad_signature", None)
    assert error(send(integration, body + b" ", sentry_hook_signature=signature))[0] == 401
    assert not Alert.objects.exists()
    assert outcomes(send(integration, body, sentry_hook_signature=signature)) == ["opened"]


@pytest.mark.django_db(transaction=True)
def test_installation_is_answered():
    integration = IntegrationFactory(source=Source.SENTRY)
    given = {"action": "created", "data": {"installation": {"status": "installed"}}}
    response = send(integration, given, sentry_hook_resource="installation")
    assert (response.status_code, response.json()) == (200, {})
