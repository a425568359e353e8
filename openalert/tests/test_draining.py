"""A web process that is asked to end says so first, and goes on answering meanwhile."""

import signal
import subprocess
import sys

import httpx
import pytest

from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from openalert.tests.stack import ROOT, Stack, eventually

PATH = "/api/v1/alerts"


@pytest.fixture
def stack(transactional_db):
    stack = Stack()
    stack.environment["DRAIN_SECONDS"] = "60"
    stack.web = stack.start_web()
    yield stack
    stack.stop()


@pytest.mark.timeout(120)
def test_who_is_asked_to_end_says_so_and_closes_each_connection_with_its_answer(stack):
    headers = {"Authorization": f"Bearer {IntegrationFactory().key}"}

    def send(client, name):
        alert = {"external_id": name, "title": name, "severity": "low"}
        return client.post(stack.url + PATH, json=alert, headers=headers)

    with httpx.Client(timeout=20) as client:
        assert client.get(f"{stack.url}/readyz").status_code == 200
        assert all("connection" not in send(client, "before").headers for _ in range(2))
        stack.web.send(signal.SIGTERM)
        eventually(lambda: client.get(f"{stack.url}/readyz").status_code == 503, within=10)
        ready = client.get(f"{stack.url}/readyz")
        assert ready.headers["connection"] == "close"
        assert not ready.json()["checks"]["process"]["ok"]
        assert client.get(f"{stack.url}/healthz").status_code == 200, "it is not to be killed"
        # The short way, and the long one.
        for answer in (
            send(client, "after"),
            client.post(f"{stack.url}{PATH}?x=1", json={}, headers=headers),
        ):
            assert answer.headers["connection"] == "close"
        assert Alert.objects.filter(dedup_key="after").exists()
        stack.web.send(signal.SIGTERM)  # somebody does not want to wait
        eventually(lambda: not stack.web.is_running, within=20)


@pytest.mark.timeout(400)
def test_nothing_fails_while_every_process_is_replaced():
    command = [sys.executable, "-m", "bench.drill.rolling", "--rounds", "1", "--senders", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380)
    print(done.stdout, done.stderr[-3000:])  # pytest shows it when the test failed
    assert done.returncode == 0
