"""The web process is killed at random under load, twenty times: whatever it answered 2xx is there, and counted right."""

import http.client
import json
import random
import threading
import time
from collections import Counter

import pytest

from alerts.enums import Grouping
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory

ROUNDS = 20
CLIENTS = 8
KEYS = 400


class Client(threading.Thread):
    """Sends alerts, one or some a request, until it is stopped; knows what it sent and what was answered 2xx."""

    def __init__(self, port, key, number):
        super().__init__(daemon=True)
        self.port, self.number = port, number
        self.headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.random = random.Random(number)
        self.sent, self.accepted, self.refused = Counter(), Counter(), Counter()
        self.is_over = threading.Event()

    def run(self):
        connection = None
        while not self.is_over.is_set():
            names = [f"key-{self.random.randrange(KEYS)}" for _ in range(self.random.choice([1, 1, 1, 20]))]
            self.sent.update(names)
            try:
                connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                alerts = [
                    {"external_id": name, "title": f"Title {name}", "severity": "low"} for name in names
                ]
                connection.request("POST", "/api/v1/alerts", json.dumps(alerts), self.headers)
                response = connection.getresponse()
                body = json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError):
                connection = None  # no answer: it may have been stored, or not
                time.sleep(0.02)
                continue
            if response.status == 202:
                assert [alert["external_id"] for alert in body["alerts"]] == names
                self.accepted.update(names)
            else:
                self.refused[response.status] += 1


@pytest.mark.timeout(300)
def test_what_was_answered_survives_kills_of_the_web_process(stack):
    integration = IntegrationFactory(grouping=Grouping.ALL)
    chooser = random.Random(2026)
    [web] = [process for process in stack.processes if process.name == "web"]
    clients = [Client(stack.port, integration.key, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(ROUNDS):
        time.sleep(chooser.uniform(0.1, 0.8))
        web.kill()
        web = stack.start_web()
    time.sleep(0.5)
    for client in clients:
        client.is_over.set()
    for client in clients:
        client.join(15)

    sent = sum((client.sent for client in clients), Counter())
    accepted = sum((client.accepted for client in clients), Counter())
    refused = sum((client.refused for client in clients), Counter())
    stored = dict(Alert.objects.values_list("dedup_key", "count"))
    assert accepted.total() > ROUNDS * 20, "there was load"
    assert refused == Counter(), "a killed process answers nothing, and a living one takes everything"
    assert {name: n for name, n in accepted.items() if stored.get(name, 0) < n} == {}, "lost after a 2xx"
    assert {name: n for name, n in stored.items() if n > sent[name]} == {}, "counted more often than sent"
    assert not Alert.objects.exclude(incident__status="open").exists()
