"""PagerDuty's own clients for Python and JavaScript and Debian's Alertmanager, all unmodified, talk to OpenAlert."""

import json
import os
import shutil
import ssl
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pagerduty
import pytest
import trustme

from alerts.enums import Source
from alerts.models import Alert, Change
from alerts.tests.factories import IntegrationFactory
from incidents.enums import Severity, Status
from incidents.models import Incident
from openalert.tests.programs import needs
from openalert.tests.stack import eventually, free_port

PDJS = Path(__file__).parent / "pdjs"

ALERTMANAGER = """
route: {{receiver: openalert, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: openalert
    pagerduty_configs: [{{url: "{url}", routing_key: "{key}", severity: "critical", send_resolved: true}}]
"""


@pytest.fixture
def integration(transactional_db):
    return IntegrationFactory(source=Source.PAGERDUTY, name="PagerDuty")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def secure_port(stack, authority, tmp_path):
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    return stack.start_secure_web(str(chain), str(key))


@pytest.mark.timeout(120)
def test_pagerdutys_python_client(secure_port, authority, integration):
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    client = pagerduty.EventsApiV2Client(
        integration.key, base_url=f"https://localhost:{secure_port}", verify=trusted
    )
    dedup_key = client.trigger(
        "Checkout is slow", "web-1", severity="warning", custom_details={"p95": 4.2}, dedup_key="checkout"
    )
    assert dedup_key == "checkout"
    alert = Alert.objects.get()
    assert (alert.title, alert.severity, alert.source, alert.labels) == (
        "Checkout is slow",
        Severity.MEDIUM,
        "web-1",
        {"p95": "4.2"},
    )
    client.acknowledge(dedup_key)
    assert Incident.objects.get().status == Status.ACKNOWLEDGED
    client.resolve(dedup_key)
    assert Incident.objects.get().status == Status.RESOLVED
    another = client.trigger("Another", "web-2")
    assert Alert.objects.filter(dedup_key=another).count() == 1
    stranger = pagerduty.EventsApiV2Client(
        "f" * 32, base_url=f"https://localhost:{secure_port}", verify=trusted
    )
    with pytest.raises(pagerduty.Error) as refused:
        stranger.trigger("x", "y")
    assert refused.value.response.status_code == 400


@pytest.mark.timeout(120)
def test_changes_of_pagerdutys_python_client(secure_port, authority, integration):
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    address = f"https://localhost:{secure_port}"
    client = pagerduty.EventsApiV2Client(integration.key, base_url=address, verify=trusted)
    links = [{"href": "https://ci.example.com/build/2", "text": "The build"}]
    client.submit(
        "Deployed build 2",
        source="ci",
        custom_details={"build": 2},
        links=links,
        timestamp="2026-07-17T08:42:58.315+0000",
    )
    change = Change.objects.get()
    assert (change.integration, change.summary, change.source, change.custom_details, change.links) == (
        integration,
        "Deployed build 2",
        "ci",
        {"build": 2},
        links,
    )
    assert change.at == datetime(2026, 7, 17, 8, 42, 58, 315_000, tzinfo=UTC)
    assert not Incident.objects.exists()
    stranger = pagerduty.EventsApiV2Client("f" * 32, base_url=address, verify=trusted)
    with pytest.raises(pagerduty.Error) as refused:
        stranger.submit("x", timestamp="2026-07-17T08:42:58Z")
    assert refused.value.response.status_code == 400


@pytest.mark.timeout(180)
@needs("node", "npm")
def test_pagerdutys_javascript_client(secure_port, authority, integration, tmp_path):
    folder = shutil.copytree(PDJS, tmp_path / "pdjs")
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=folder, check=True, timeout=120)
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    said = subprocess.run(
        ["node", "send.js", f"localhost:{secure_port}", integration.key],
        cwd=folder,
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(trusted)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    told = [202, {"status": "success", "message": "Event processed", "dedup_key": "checkout"}]
    processed = [202, {"status": "success", "message": "Change event processed"}]
    assert json.loads(said) == [told, told, told, processed]
    change = Change.objects.get()
    assert (change.summary, change.source, change.custom_details, change.links) == (
        "Deployed build 2",
        "ci",
        {"build": 2},
        [{"href": "https://ci.example.com/build/2", "text": "The build"}],
    )
    [incident] = Incident.objects.all()
    kinds = list(incident.timeline.values_list("kind", flat=True))
    assert [kind for kind in kinds if kind in ("opened", "acknowledged", "resolved")] == [
        "opened",
        "acknowledged",
        "resolved",
    ]


@pytest.mark.timeout(120)
@needs("prometheus-alertmanager")
def test_alertmanagers_pagerduty_receiver(stack, integration, tmp_path):
    port = free_port()
    configuration = ALERTMANAGER.format(url=f"{stack.url}/v2/enqueue", key=integration.key)
    (tmp_path / "alertmanager.yml").write_text(configuration)
    alert = {
        "labels": {"alertname": "ShopDown", "instance": "web-1"},
        "annotations": {"summary": "Shop is down"},
    }

    def post(**changes):
        response = httpx.post(f"http://127.0.0.1:{port}/api/v2/alerts", json=[{**alert, **changes}])
        assert response.is_success, response.text

    def is_ready():
        try:
            return httpx.get(f"http://127.0.0.1:{port}/-/ready").is_success
        except httpx.TransportError:
            return False

    with ExitStack() as exit_stack, (tmp_path / "log").open("wb") as log:
        child = subprocess.Popen(
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
        exit_stack.callback(child.wait, 10)
        exit_stack.callback(child.terminate)
        eventually(is_ready, within=30)
        post()
        incident = eventually(Incident.objects.first, within=30, what="the incident is open")
        assert ("ShopDown" in incident.title, incident.severity) == (True, Severity.CRITICAL)
        post(startsAt="2026-01-01T00:00:00Z", endsAt="2026-01-01T00:01:00Z")
        eventually(
            lambda: Incident.objects.filter(status=Status.RESOLVED).first(), within=30, what="it is resolved"
        )
