"""Opsgenie's own Python client and Debian's Alertmanager, both unmodified, talk to a running OpenAlert."""

import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import httpx
import opsgenie_sdk
import pytest
from opsgenie_sdk.exceptions import RetryableException

from alerts.enums import Source
from alerts.models import Alert, Heartbeat
from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.enums import Status
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert.tests.programs import needs
from openalert.tests.stack import eventually, free_port
from teams.tests.factories import MembershipFactory, UserFactory


@pytest.fixture
def integration(transactional_db):
    integration = IntegrationFactory(source=Source.OPSGENIE, name="Opsgenie")
    team = integration.service.team
    ana = UserFactory(name="ana", email="ana@example.org")
    MembershipFactory(user=ana, team=team)
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[ana]]))
    return integration


def client_of(stack, key, api=opsgenie_sdk.AlertApi):
    configuration = opsgenie_sdk.Configuration()
    configuration.host = stack.url
    configuration.api_key["Authorization"] = key
    configuration.retry_enabled = False
    return api(opsgenie_sdk.ApiClient(configuration))


@pytest.mark.timeout(120)
def test_opsgenies_python_client(stack, integration):
    api = client_of(stack, integration.key)

    def status(response):
        def asked():
            try:
                return api.get_request_status(response.request_id).data
            except RetryableException as failure:
                assert failure.status == 404
                return None

        data = eventually(asked, within=5, what="the request's status is known")
        return data.action, data.is_success, data.status

    def get():
        return api.get_alert("checkout", identifier_type="alias").data

    with pytest.raises(RetryableException) as missing:
        get()
    assert missing.value.status == 404

    response = api.create_alert(
        opsgenie_sdk.CreateAlertPayload(
            message="Checkout is slow",
            alias="checkout",
            description="p95 is 4.2 s",
            tags=["eu"],
            details={"host": "web-1"},
            entity="web-1",
            priority="P2",
            user="Synthetics",
        )
    )
    assert response.result == "Request will be processed"
    assert status(response) == ("Create", True, "Created alert")
    alert = get()
    assert (alert.message, alert.status, alert.priority, alert.tags, alert.details, alert.entity) == (
        "Checkout is slow",
        "open",
        "P2",
        ["eu"],
        {"host": "web-1"},
        "web-1",
    )
    assert api.get_request_status(response.request_id).data.alert_id == alert.id
    eventually(MailboxMessage.objects.first, within=10, what="ana is paged")

    by_id = alert.id
    done = api.acknowledge_alert(by_id, acknowledge_alert_payload={"user": "Ana", "note": "Looking"})
    assert status(done) == ("Acknowledge", True, "Alert is acknowledged")
    assert get().acknowledged is True
    assert status(api.un_acknowledge_alert(by_id))[1]
    assert status(api.add_note("checkout", {"note": "A pool is empty"}, identifier_type="alias"))[1]
    assert [note.note for note in api.list_notes(by_id).data] == ["A pool is empty", "Looking"]
    assert "opened the incident" in api.list_logs(by_id, order="asc").data[0].log
    assert status(api.add_tags(by_id, {"tags": ["pool"]}))[1]
    assert status(api.remove_tags(by_id, tags=["eu"]))[1]
    assert status(api.add_details(by_id, {"details": {"ticket": "OPS-7"}}))[1]
    assert status(api.remove_details(by_id, keys=["host"]))[1]
    assert status(api.update_alert_priority(by_id, {"priority": "P1"}))[1]
    assert status(api.assign_alert(by_id, {"owner": {"username": "ana@example.org"}}))[1]
    assert status(api.escalate_alert(by_id, {"escalation": {"name": "no such"}})) == (
        "EscalateToNext",
        False,
        "Escalation does not exist",
    )
    until = datetime.now(UTC) + timedelta(hours=1)
    assert status(api.snooze_alert(by_id, {"endTime": until.isoformat()}))[1]
    alert = get()
    assert (alert.tags, alert.details, alert.priority, alert.owner, alert.snoozed) == (
        ["pool"],
        {"ticket": "OPS-7"},
        "P1",
        "ana@example.org",
        True,
    )
    assert abs(alert.snoozed_until - until) < timedelta(seconds=1)

    assert [found.alias for found in api.list_alerts(query="status: open AND tag: pool").data] == ["checkout"]
    assert api.count_alerts(query="priority: P1").data.count == 1
    assert status(api.close_alert(by_id, close_alert_payload={"user": "Ana"}))[1]
    assert api.count_alerts(query="status: open").data.count == 0
    assert Incident.objects.get().status == Status.RESOLVED


@pytest.mark.timeout(120)
def test_heartbeats_of_opsgenies_python_client(stack, integration):
    api = client_of(stack, integration.key, opsgenie_sdk.HeartbeatApi)
    payload = opsgenie_sdk.CreateHeartbeatPayload(
        name="backup", interval=1, interval_unit="minutes", enabled=True, alert_priority="P1"
    )
    assert api.create_heartbeat(payload).data.name == "backup"
    assert api.ping("backup").result == "PONG - Heartbeat received"
    # A minute passes.
    Heartbeat.objects.update(due_at=datetime.now(UTC) - timedelta(seconds=1))
    alert = eventually(Alert.objects.first, within=15, what="the heartbeat is late")
    assert (alert.title, alert.severity, alert.status) == ("backup is expired", "critical", "firing")
    assert api.get_heartbeat("backup").data.expired is True
    api.ping("backup")
    assert Incident.objects.get().status == Status.RESOLVED
    assert api.disable_heartbeat("backup").data.enabled is False
    assert api.enable_heartbeat("backup").data.enabled is True
    api.update_heartbeat("backup", update_heartbeat_payload={"interval": 2})
    assert api.get_heartbeat("backup").data.interval == 2
    assert [found.name for found in api.list_heart_beats().data.heartbeats] == ["backup"]
    assert api.delete_heartbeat("backup").result == "Deleted"


ALERTMANAGER = """
route: {{receiver: openalert, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: openalert
    opsgenie_configs:
      - api_url: {url}/
        api_key: {key}
        send_resolved: true
        update_alerts: true
        priority: P1
        tags: "{{{{ range .CommonLabels.SortedPairs }}}}{{{{ .Value }}}},{{{{ end }}}}"
"""


@pytest.mark.timeout(120)
@needs("prometheus-alertmanager")
def test_alertmanager_that_sends_to_opsgenie(stack, integration, tmp_path):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER.format(url=stack.url, key=integration.key))

    def send(summary, **times):
        alert = {
            "labels": {"alertname": "ShopDown", "severity": "critical", "instance": "shop-1"},
            "annotations": {"summary": summary},
            **times,
        }
        httpx.post(f"{address}/api/v2/alerts", json=[alert]).raise_for_status()

    def answers():
        try:
            return httpx.get(f"{address}/-/ready").is_success
        except httpx.TransportError:
            return False

    with ExitStack() as exit_stack, (tmp_path / "log").open("wb") as log:
        alertmanager = subprocess.Popen(
            [
                "prometheus-alertmanager",
                f"--config.file={tmp_path}/alertmanager.yml",
                f"--storage.path={tmp_path}/data",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
        exit_stack.callback(alertmanager.wait, 10)
        exit_stack.callback(alertmanager.terminate)
        eventually(answers, within=30)
        send("The shop is down")
        alert = eventually(Alert.objects.first, within=30, what="the alert is there")
        assert (alert.severity, alert.labels["alertname"], alert.incident.status) == (
            "critical",
            "ShopDown",
            Status.OPEN,
        )
        assert alert.metadata["tags"] == ["ShopDown", "shop-1", "critical"]
        eventually(MailboxMessage.objects.first, within=10, what="ana is paged")

        def described():
            alert.refresh_from_db()
            return "The shop is down" in alert.metadata.get("description", "")

        eventually(described, within=10, what="the description is updated")
        send("The shop is down", endsAt=datetime.now(UTC).isoformat())

        def resolved():
            return Incident.objects.filter(status=Status.RESOLVED).first()

        incident = eventually(resolved, within=30, what="the incident is resolved")
        assert incident.escalation_runs.get().end_reason == "resolved"
    assert b"level=error" not in (tmp_path / "log").read_bytes()
    assert Alert.objects.get().status == "resolved"
