"""The formats of metrics systems: Prometheus itself, Grafana, Datadog, Azure, Google Cloud, New Relic."""

import asyncio
import time

import httpx
import pytest

from alerts.enums import EventStatus, Source
from alerts.events import AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from alerts.formats import alertmanager, azure, datadog, google_cloud, grafana, new_relic, prometheus
from alerts.formats.signing import hmac_sha256
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from alerts.tests.formats.sending import error, outcomes, payload, send
from incidents.enums import Severity
from openalert.asgi import application

FIRING, RESOLVED, ACKNOWLEDGED = EventStatus.FIRING, EventStatus.RESOLVED, EventStatus.ACKNOWLEDGED
in_database = pytest.mark.django_db(transaction=True)


def changed(golden, *path, **values):
    """A copy of a payload with other values in the object at a path."""
    if not path:
        return {**golden, **values}
    return {**golden, path[0]: changed(golden[path[0]], *path[1:], **values)}


def test_prometheus():
    golden = payload("prometheus")
    shop, disk = prometheus.read(golden, {})
    assert shop == AlertEvent(
        dedup_key=shop.dedup_key,
        status=FIRING,
        title="The shop at 10.0.0.7:9090 is down",
        severity=Severity.CRITICAL,
        name="ShopDown",
        source="10.0.0.7:9090",
        labels=golden[0]["labels"],
        metadata={key: golden[0][key] for key in ("annotations", "startsAt", "endsAt", "generatorURL")},
    )
    assert (disk.status, disk.title, disk.severity) == (RESOLVED, "DiskFull", Severity.HIGH)
    [ended, _] = prometheus.read(golden, {}, clock=lambda: time.time() + 200 * 365 * 86400)
    assert (ended.status, ended.dedup_key) == (RESOLVED, shop.dedup_key)


def test_prometheus_and_its_alertmanager_mean_the_same_alert():
    [alert, _] = payload("prometheus")
    [direct] = prometheus.read([alert], {})
    [through] = alertmanager.read({"version": "4", "alerts": [{**alert, "status": "firing"}]}, {})
    assert direct == through


def test_prometheus_faults():
    read = prometheus.read([5, {}, {"labels": {"a": "b"}, "endsAt": "soon"}, {"labels": {"a": "b"}}], {})
    assert [isinstance(item, EventFault) for item in read] == [True, True, True, False]
    with pytest.raises(MalformedPayload):
        prometheus.read({}, {})


@in_database
def test_prometheus_finds_an_alertmanager_under_the_key():
    integration = IntegrationFactory(source=Source.PROMETHEUS)

    def ask(method, path, **options):
        async def once():
            transport = httpx.ASGITransport(application)
            async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
                address = f"/integrations/prometheus/{integration.key}/api/v2/{path}"
                return await client.request(method, address, **options)

        return asyncio.run(once())

    response = ask("POST", "alerts", json=payload("prometheus"))
    assert (response.status_code, response.content) == (200, b"")
    assert Alert.objects.get().title == "The shop at 10.0.0.7:9090 is down"
    assert ask("GET", "alerts").json() == []
    assert ask("GET", "status").json()["cluster"] == {"status": "disabled", "peers": []}
    assert ask("POST", "status").status_code == 405
    assert ask("POST", "silences").status_code == 404
    assert ask("POST", "alerts", json=[{}]).status_code == 400


def test_grafana():
    golden = payload("grafana")
    [alert] = golden["alerts"]
    assert grafana.read(golden, {}) == [
        AlertEvent(
            dedup_key="c6eadffa33fcdf37",
            status=FIRING,
            title="CPU of web-1 is above 90%",
            severity=Severity.MEDIUM,
            name="High CPU",
            labels=alert["labels"],
            metadata={
                **{
                    key: golden[key]
                    for key in (
                        "receiver",
                        "orgId",
                        "groupKey",
                        "truncatedAlerts",
                        "groupLabels",
                        "externalURL",
                    )
                },
                "appVersion": "12.0.1",
                "state": "alerting",
                **{
                    key: value
                    for key, value in alert.items()
                    if key not in ("labels", "status", "fingerprint")
                },
            },
        )
    ]


def test_grafana_rule_without_data_names_the_rule():
    golden = payload("grafana")
    labels = {"alertname": "DatasourceNoData", "rulename": "High CPU"}
    [event] = grafana.read({**golden, "alerts": [{**golden["alerts"][0], "labels": labels}]}, {})
    assert event.title == "No data: High CPU"


@in_database
def test_grafanas_signature():
    integration = IntegrationFactory(source=Source.GRAFANA, secret="s3cret")
    body = httpx.Request("POST", "http://x", json=payload("grafana")).read()
    signed = hmac_sha256("s3cret", body)
    assert outcomes(send(integration, body, x_grafana_alerting_signature=signed)) == ["opened"]
    now = str(int(time.time()))
    signed = hmac_sha256("s3cret", now.encode() + b":" + body)
    headers = {"x_grafana_alerting_timestamp": now, "x_grafana_alerting_signature": signed}
    assert outcomes(send(integration, body, **headers)) == ["repeated"]
    old = str(int(time.time()) - 3600)
    signed = hmac_sha256("s3cret", old.encode() + b":" + body)
    headers = {"x_grafana_alerting_timestamp": old, "x_grafana_alerting_signature": signed}
    assert error(send(integration, body, **headers)) == (401, "bad_signature", None)
    assert error(send(integration, body)) == (401, "bad_signature", None)
    assert Alert.objects.get().count == 2


def test_datadog():
    golden = payload("datadog")
    assert datadog.read(golden, {}) == [
        AlertEvent(
            dedup_key="9bd4ac313a4d1e8fae2482df7b77628",
            status=FIRING,
            title="[Triggered on {host:web-1}] CPU is high",
            severity=Severity.CRITICAL,
            name="system.cpu.user",
            source="web-1",
            labels={"env": "prod", "team": "shop", "standalone": "true"},
            metadata=golden,
        )
    ]


@pytest.mark.parametrize(
    ("changes", "status", "severity"),
    [
        ({"alert_transition": "Recovered", "alert_type": "success"}, RESOLVED, Severity.CRITICAL),
        ({"alert_transition": "Warn", "alert_priority": ""}, FIRING, Severity.MEDIUM),
        ({"alert_transition": "", "alert_type": "success"}, RESOLVED, Severity.CRITICAL),
        ({"alert_priority": None, "alert_type": "warning"}, FIRING, Severity.MEDIUM),
        ({"severity": "low"}, FIRING, Severity.LOW),
    ],
)
def test_datadog_transitions(changes, status, severity):
    [event] = datadog.read({**payload("datadog"), **changes}, {})
    assert (event.status, event.severity, event.dedup_key) == (
        status,
        severity,
        "9bd4ac313a4d1e8fae2482df7b77628",
    )


def test_datadog_without_anything_to_go_by():
    [fault] = datadog.read({"message": "hello"}, {})
    assert fault.field == "title"


def test_azure():
    golden = payload("azure")
    essentials = golden["data"]["essentials"]
    assert azure.read(golden, {}) == [
        AlertEvent(
            dedup_key=essentials["alertId"],
            status=FIRING,
            title="High CPU on web-1",
            severity=Severity.HIGH,
            name="High CPU",
            source="web-1",
            labels={
                "team": "shop",
                "alertRule": "High CPU",
                "signalType": "Metric",
                "monitoringService": "Platform",
            },
            metadata={**essentials, "alertContext": golden["data"]["alertContext"]},
        )
    ]
    [over] = azure.read(changed(golden, "data", "essentials", monitorCondition="Resolved"), {})
    assert (over.status, over.dedup_key) == (RESOLVED, essentials["alertId"])
    [fault] = azure.read(changed(golden, "data", "essentials", alertId=None), {})
    assert fault.field == "data.essentials.alertId"
    with pytest.raises(MalformedPayload, match="common alert schema"):
        azure.read({"schemaId": "other"}, {})


def test_google_cloud():
    golden = payload("google-cloud")
    incident = golden["incident"]
    assert google_cloud.read(golden, {}) == [
        AlertEvent(
            dedup_key="0.opqiw61fsv7p",
            status=FIRING,
            title=incident["summary"],
            severity=Severity.CRITICAL,
            name="High CPU",
            source="web-1",
            labels={
                "instance_id": "11223344",
                "zone": "europe-west1-b",
                "instance_name": "web-1",
                "team": "shop",
            },
            metadata={"description": incident["documentation"]["content"], **incident},
        )
    ]
    [over] = google_cloud.read(changed(golden, "incident", state="closed"), {})
    assert (over.status, over.dedup_key) == (RESOLVED, "0.opqiw61fsv7p")
    [fault] = google_cloud.read(changed(golden, "incident", state="?"), {})
    assert fault.field == "incident.state"


def test_new_relic():
    golden = payload("new-relic")
    assert new_relic.read(golden, {}) == [
        AlertEvent(
            dedup_key=golden["id"],
            status=FIRING,
            title="Error rate of checkout is above 5%",
            severity=Severity.CRITICAL,
            name="Error rate",
            source="checkout",
            labels={"policy": "Shop", "condition": "Error rate"},
            metadata=golden,
        )
    ]


@pytest.mark.parametrize(
    ("state", "status"), [("CREATED", FIRING), ("ACKNOWLEDGED", ACKNOWLEDGED), ("CLOSED", RESOLVED)]
)
def test_new_relic_states(state, status):
    [event] = new_relic.read({**payload("new-relic"), "state": state}, {})
    assert event.status == status


def test_new_relics_classic_alert():
    classic = {
        "incident_id": 2739,
        "current_state": "open",
        "severity": "WARNING",
        "condition_name": "Response time",
        "policy_name": "Shop",
        "details": "Response time > 2 s",
        "targets": [{"name": "checkout", "type": "Application"}],
    }
    [event] = new_relic.read(classic, {})
    assert (event.dedup_key, event.title, event.severity, event.source, event.labels) == (
        "2739",
        "Response time > 2 s",
        Severity.MEDIUM,
        "checkout",
        {"policy": "Shop", "condition": "Response time"},
    )


@in_database
@pytest.mark.parametrize("source", [Source.DATADOG, Source.AZURE, Source.GOOGLE_CLOUD, Source.NEW_RELIC])
def test_golden_payloads_through_the_door(source):
    assert outcomes(send(IntegrationFactory(source=source), payload(source))) == ["opened"]


@in_database
@pytest.mark.parametrize("source", [Source.DATADOG, Source.AZURE, Source.NEW_RELIC])
def test_secret_that_is_wanted(source):
    integration = IntegrationFactory(source=source, secret="s3cret")
    assert error(send(integration, payload(source))) == (401, "bad_signature", None)
    assert outcomes(send(integration, payload(source), authorization="Bearer s3cret")) == ["opened"]
