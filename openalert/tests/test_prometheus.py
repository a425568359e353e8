"""Debian's Prometheus and Alertmanager, unmodified: a target goes down and comes back."""

import subprocess
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from alerts.enums import Source
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.enums import Severity, Status
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert.tests.programs import needs
from openalert.tests.stack import eventually, free_port
from teams.tests.factories import UserFactory

PROMETHEUS = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}
rule_files: [{directory}/rules.yml]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{alertmanager}"]}}]
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""

RULES = """
groups:
  - name: shop
    rules:
      - alert: ShopDown
        expr: up{job="shop"} == 0
        labels: {severity: critical}
        annotations: {summary: "The shop at {{ $labels.instance }} is down"}
"""

ALERTMANAGER = """
route: {{receiver: openalert, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: openalert
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"shop_orders_total 1\n")

    def log_message(self, *args):
        pass


class Target:
    """The shop: a program with metrics, which can go down and come back on the same port."""

    def __init__(self):
        self.port = free_port()
        self.up()

    def up(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Metrics)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self):
        self._server.shutdown()
        self._server.server_close()


def run(exit_stack, log, *command):
    child = subprocess.Popen(command, stdout=log, stderr=log)
    exit_stack.callback(child.wait, 10)
    exit_stack.callback(child.terminate)


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready").is_success
    except httpx.TransportError:
        return False


@pytest.mark.timeout(180)
@needs("prometheus", "prometheus-alertmanager")
def test_target_that_goes_down_opens_pages_and_resolves_by_itself(stack, tmp_path):
    integration = IntegrationFactory(source=Source.ALERTMANAGER)
    team = integration.service.team
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[UserFactory(name="ana")]]))
    target, alertmanager, prometheus = Target(), free_port(), free_port()
    url = f"{stack.url}/integrations/alertmanager/{integration.key}"
    (tmp_path / "alertmanager.yml").write_text(ALERTMANAGER.format(url=url))
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "prometheus.yml").write_text(
        PROMETHEUS.format(directory=tmp_path, alertmanager=alertmanager, target=target.port)
    )
    with ExitStack() as exit_stack, (tmp_path / "log").open("wb") as log:
        run(
            exit_stack,
            log,
            "prometheus-alertmanager",
            f"--config.file={tmp_path}/alertmanager.yml",
            f"--storage.path={tmp_path}/alertmanager",
            f"--web.listen-address=127.0.0.1:{alertmanager}",
            "--cluster.listen-address=",
        )
        run(
            exit_stack,
            log,
            "prometheus",
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/prometheus",
            f"--web.listen-address=127.0.0.1:{prometheus}",
        )
        eventually(lambda: answers(alertmanager) and answers(prometheus), within=30)
        target.down()
        incident = eventually(Incident.objects.first, within=60, what="the incident is open")
        assert (incident.title, incident.severity, incident.status) == (
            f"The shop at 127.0.0.1:{target.port} is down",
            Severity.CRITICAL,
            Status.OPEN,
        )
        eventually(MailboxMessage.objects.first, within=10, what="ana is paged")
        target.up()

        def resolved():
            return Incident.objects.filter(status=Status.RESOLVED).first()

        eventually(resolved, within=60, what="the incident is resolved")
        alert = Alert.objects.get()
        assert (alert.status, alert.labels["alertname"], alert.count) == ("resolved", "ShopDown", 1)
        assert incident.escalation_runs.get().end_reason == "resolved"
        target.down()


ALERTING = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}
rule_files: [{directory}/rules.yml]
alerting:
  alertmanagers:
    - path_prefix: /integrations/prometheus/{key}
      api_version: v2
      static_configs: [{{targets: ["127.0.0.1:{openalert}"]}}]
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""


@pytest.mark.timeout(180)
@needs("prometheus")
def test_prometheus_needs_no_alertmanager(stack, tmp_path):
    integration = IntegrationFactory(source=Source.PROMETHEUS)
    target, prometheus = Target(), free_port()
    (tmp_path / "rules.yml").write_text(RULES)
    (tmp_path / "prometheus.yml").write_text(
        ALERTING.format(directory=tmp_path, key=integration.key, openalert=stack.port, target=target.port)
    )
    with ExitStack() as exit_stack, (tmp_path / "log").open("w+b") as log:
        run(
            exit_stack,
            log,
            "prometheus",
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/prometheus",
            f"--web.listen-address=127.0.0.1:{prometheus}",
            "--rules.alert.resend-delay=2s",
        )
        eventually(lambda: answers(prometheus), within=30)
        target.down()
        incident = eventually(Incident.objects.first, within=60, what="the incident is open")
        assert (incident.title, incident.severity) == (
            f"The shop at 127.0.0.1:{target.port} is down",
            Severity.CRITICAL,
        )
        eventually(
            lambda: Alert.objects.get().count > 1, within=30, what="it is sent again, as it still fires"
        )
        target.up()
        eventually(
            lambda: Incident.objects.filter(status=Status.RESOLVED).first(), within=60, what="it is resolved"
        )
        target.down()
        log.seek(0)
        assert b"Error sending alert" not in log.read()
    assert Incident.objects.count() == 1
