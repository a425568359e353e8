"""What docs/monitoring holds, for Prometheus and Grafana, against the real programs and the real metrics."""

import contextlib
import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from openalert.tests.programs import needs
from openalert.tests.stack import Stack, eventually, free_port
from teams.tests.factories import UserFactory

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "monitoring"
TOKEN = "token-of-the-tests"
CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: openalert
    metrics_path: /metrics
    authorization: {{type: Bearer, credentials: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def expressions():
    """Every expression of the rules and the dashboard."""
    rules = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    found = [rule["expr"] for group in rules for rule in group["rules"]]
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    found += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "1m") for expression in found]


def promtool(*arguments):
    return subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, cwd=FOLDER, timeout=60, check=False
    )


@needs("promtool")
def test_rules_are_valid_and_fire_when_they_should():
    checked = promtool("check", "rules", "alerts.yml")
    assert checked.returncode == 0, checked.stderr
    tested = promtool("test", "rules", "alerts.test.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@needs("promtool")
def test_scrape_configuration_is_valid(tmp_path):
    text = (FOLDER / "prometheus.yml").read_text()
    token, rules = tmp_path / "token", tmp_path / "alerts.yml"
    token.write_text(TOKEN)
    rules.write_text((FOLDER / "alerts.yml").read_text())
    text = text.replace("/etc/prometheus/openalert-metrics-token", str(token))
    text = text.replace("/etc/prometheus/openalert-alerts.yml", str(rules))
    (tmp_path / "prometheus.yml").write_text(text)
    checked = promtool("check", "config", str(tmp_path / "prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_panels_do_not_overlap():
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


class Prometheus:
    """Debian's, scraping one web process each second."""

    def __init__(self, folder, port):
        self.port = free_port()
        (folder / "prometheus.yml").write_text(
            CONFIGURATION.format(rules=FOLDER / "alerts.yml", token=TOKEN, port=port)
        )
        self._log = (folder / "log").open("wb")
        self._child = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/prometheus",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            stdout=self._log,
            stderr=self._log,
        )

    def ask(self, path, **parameters):
        answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def value(self, expression):
        """Of the expression's only series; None when there is none."""
        with contextlib.suppress(httpx.TransportError):
            result = self.ask("query", query=expression)["result"]
            return float(result[0]["value"][1]) if result else None

    def stop(self):
        self._child.terminate()
        self._child.wait(20)
        self._log.close()


@pytest.mark.timeout(240)
@needs("prometheus")
def test_prometheus_sees_the_whole_installation_in_one_web_process(transactional_db, tmp_path):
    stack = Stack()
    stack.environment["METRICS_TOKEN"] = TOKEN
    integration = IntegrationFactory()
    team = integration.service.team
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[UserFactory(name="ana")]]))
    prometheus = None
    try:
        stack.start_worker()
        stack.start_beat()
        stack.start_web()
        prometheus = Prometheus(tmp_path, stack.port)
        for number in range(3):
            answer = httpx.post(
                f"{stack.url}/api/v1/alerts",
                json={"external_id": f"db{number}", "title": "Disk full", "severity": "critical"},
                headers={"Authorization": f"Bearer {integration.key}"},
            )
            assert answer.status_code == 202
        refused = httpx.post(f"{stack.url}/api/v1/alerts", json={}, headers={"Authorization": "Bearer wrong"})
        assert refused.status_code == 401

        expected = {
            'up{job="openalert"}': 1,
            "openalert_intake_alerts_total": 3,
            "openalert_intake_seconds_count": 3,
            'openalert_intake_refused_total{status="401"}': 1,
            'openalert_pages_total{outcome="sent", provider="smtp"}': 1,  # they are one incident
            # The tests' own process may be one, too.
            'openalert_processes{kind="web"} >= bool 1': 1,
            'openalert_processes{kind="worker"}': 1,
            'openalert_processes{kind="beat"}': 1,
            "sum(openalert_check_ok)": 7,
        }
        seen = {}

        def all_is_seen():
            seen.update({expression: prometheus.value(expression) for expression in expected})
            return seen == expected

        with contextlib.suppress(AssertionError):
            eventually(all_is_seen, within=90)
        assert seen == expected
        assert prometheus.value("openalert_escalation_steps_total") >= 1

        # Each name that rules and dashboard use is one that we have, or that counts what is not there by now.
        known = {name for name in prometheus.ask("label/__name__/values") if name.startswith("openalert_")}
        not_now = {
            "openalert_outbox_notifications",
            "openalert_outbox_due_notifications",
            "openalert_provider_errors_total",
            "openalert_task_failures_total",
            "openalert_provider_closed",
        }
        used = {name for expression in expressions() for name in re.findall(r"openalert_\w+", expression)}
        assert used - known <= not_now
        for expression in expressions():
            prometheus.ask("query", query=expression)
        alerts = [alert["labels"]["alertname"] for alert in prometheus.ask("alerts")["alerts"]]
        assert alerts == []
    finally:
        if prometheus:
            prometheus.stop()
        stack.stop()
