"""SIGTERM: a web process finishes what it has begun, and tells those who listen that it goes."""

import http.client
import json
import signal
import subprocess
import threading
import time
from collections import Counter
from socket import create_connection

import psycopg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from incidents.tests.factories import IncidentFactory
from openalert.embedded.binaries import find_binaries
from openalert.tests.live_client import LiveClient
from openalert.tests.stack import Stack, eventually, free_port
from teams.tests.factories import TeamFactory, UserFactory


@pytest.fixture
def stack(transactional_db):
    stack = Stack()
    stack.web = stack.start_web()
    yield stack
    stack.stop()


def send(stack, key, name, answers):
    client = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    body = json.dumps({"external_id": name, "title": name, "severity": "low"})
    client.request("POST", "/api/v1/alerts", body, {"Authorization": f"Bearer {key}"})
    answers[name] = client.getresponse().status


@pytest.mark.timeout(120)
def test_batch_that_is_under_way_is_committed_and_answered(stack):
    key = IntegrationFactory().key
    answers = {}
    send(stack, key, "first", answers)
    with psycopg.connect(stack.environment["DATABASE_URL"]) as other:
        other.execute("LOCK TABLE alerts_alert IN ACCESS EXCLUSIVE MODE")
        senders = [threading.Thread(target=send, args=(stack, key, f"a{n}", answers)) for n in range(5)]
        for sender in senders:
            sender.start()
        time.sleep(1)
        stack.web.send(signal.SIGTERM)
        time.sleep(1)
        assert stack.web.is_running, "it waits for the commit"
        other.rollback()
    for sender in senders:
        sender.join(20)
    assert answers == dict.fromkeys(["first", *(f"a{n}" for n in range(5))], 202)
    eventually(lambda: not stack.web.is_running, within=20)
    assert Alert.objects.count() == 6


class Sender(threading.Thread):
    """Sends on one connection until it is refused; knows what was answered."""

    def __init__(self, stack, key, number):
        super().__init__(daemon=True)
        self.stack, self.key, self.number = stack, key, number
        self.accepted, self.others, self.sent = [], Counter(), 0

    def run(self):
        client = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=30)
        try:
            while True:
                self.sent += 1
                name = f"{self.number}-{self.sent}"
                body = json.dumps({"external_id": name, "title": name, "severity": "low"})
                client.request("POST", "/api/v1/alerts", body, {"Authorization": f"Bearer {self.key}"})
                status = client.getresponse()
                status.read()
                if status.status == 202:
                    self.accepted.append(name)
                else:
                    self.others[status.status] += 1
        except (OSError, http.client.HTTPException):
            return  # it does not listen any more


@pytest.mark.timeout(120)
def test_stop_under_load_loses_nothing_and_refuses_nothing(stack):
    key = IntegrationFactory().key
    senders = [Sender(stack, key, number) for number in range(8)]
    for sender in senders:
        sender.start()
    time.sleep(3)
    stack.web.send(signal.SIGTERM)
    eventually(lambda: not stack.web.is_running, within=25)
    for sender in senders:
        sender.join(20)
    assert not any(sender.is_alive() for sender in senders)
    accepted = {name for sender in senders for name in sender.accepted}
    stored = set(Alert.objects.values_list("dedup_key", flat=True))
    assert len(accepted) > 50
    assert accepted <= stored
    assert sum((sender.others for sender in senders), Counter()) == Counter()
    # Whoever had no answer asks again elsewhere; at most the last of each.
    assert len(stored - accepted) <= len(senders)


@pytest.mark.timeout(120)
def test_request_on_its_way_when_the_process_stops_is_answered(stack):
    key = IntegrationFactory().key
    headers = {"Authorization": f"Bearer {key}"}
    intake, pages = (http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30) for _ in range(2))
    for name in ("before", "after"):
        intake.request("POST", "/api/v1/alerts", json.dumps({"external_id": name, "title": name}), headers)
        taken = intake.getresponse()
        pages.request("GET", "/healthz")
        seen = pages.getresponse()
        assert (taken.status, bool(taken.read()), seen.status, bool(seen.read())) == (202, True, 200, True)
        is_last = name == "after"
        assert [answer.getheader("connection") for answer in (taken, seen)] == [
            "close" if is_last else None
        ] * 2
        if not is_last:
            stack.web.send(signal.SIGTERM)
            eventually(lambda: refuses(stack.port), within=20)
    eventually(lambda: not stack.web.is_running, within=20)
    assert set(Alert.objects.values_list("dedup_key", flat=True)) == {"before", "after"}


def refuses(port):
    try:
        create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.timeout(120)
def test_web_sockets_are_told_to_come_back(stack):
    address = stack.url.replace("http", "ws") + "/ws/live/"
    with connect(
        address, subprotocols=["openalert.v1"], additional_headers={"X-Correlation-ID": "of-the-socket"}
    ) as socket:
        assert socket.response.headers["X-Correlation-ID"] == "of-the-socket"
        stack.web.send(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
    assert closed.value.rcvd.code == 1012
    eventually(lambda: not stack.web.is_running, within=20)


@pytest.fixture
def own_valkey(tmp_path):
    """A Valkey that the test may stop; its address and its process."""
    port = free_port()
    command = [str(find_binaries(None).valkey), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        yield f"redis://127.0.0.1:{port}/0", process
        process.kill()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("happens", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "frozen"])
def test_process_with_people_in_rooms_ends_whatever_redis_does(transactional_db, own_valkey, happens):
    ana = UserFactory()
    incident = IncidentFactory(service__team=TeamFactory(responders=[ana]))
    stack = Stack()
    stack.environment["REDIS_URL"], valkey = own_valkey
    try:
        web = stack.start_web()
        clients = [LiveClient(ana, stack.port, f"incident:{incident.pk}") for _ in range(3)]
        valkey.send_signal(happens)
        web.send(signal.SIGTERM)
        eventually(lambda: not web.is_running, within=20)
        for client in clients:
            client.thread.join(10)
        assert [client.closed_with for client in clients] == [1012] * 3
    finally:
        stack.stop()
