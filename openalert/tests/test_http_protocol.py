"""The short way of intake over real sockets: what is plain, what is not, and both on one connection."""

import contextlib
import gzip
import json
import logging
import socket
import threading
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest
import uvicorn
from django.db import OperationalError
from django.utils import timezone

from alerts.express import Express
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory, RuleFactory
from openalert.tests.stack import UVICORN, Stack, eventually, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
PATH = "/api/v1/alerts"


@pytest.fixture
def integration():
    return IntegrationFactory()


@pytest.fixture
def web():
    stack = Stack()
    try:
        yield stack, stack.start_web()
    finally:
        stack.stop()


def post(integration, body, *lines, path=PATH):
    """A request as it is on the wire."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {integration.key}",
        *(lines or [f"Content-Length: {len(body)}"]),
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def answers(connection, count):
    """The next responses on a connection: status, headers, JSON."""
    reader = connection.makefile("rb")
    found = []
    for _ in range(count):
        status = int(reader.readline().split()[1])
        headers = {}
        while (line := reader.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        found.append((status, headers, json.loads(reader.read(int(headers["content-length"])) or b"null")))
    return found


def connect(stack):
    return contextlib.closing(socket.create_connection(("127.0.0.1", stack.port), 20))


def alert(name, **more):
    return {"external_id": name, "title": f"About {name}", "severity": "low", **more}


def test_requests_follow_one_another_on_a_connection_in_every_way(web, integration):
    stack, process = web
    packed = gzip.compress(json.dumps(alert("packed")).encode())
    chunk = json.dumps(alert("chunked")).encode()
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(chunk), chunk)
    with connect(stack) as connection:
        for request, status in [
            (post(integration, alert("first")), 202),  # the key is not known yet: the long way
            (post(integration, alert("second")), 202),
            (post(integration, {"title": 7}), 400),
            (post(integration, alert("third")), 202),
            (post(integration, packed, f"Content-Length: {len(packed)}", "Content-Encoding: gzip"), 202),
            (post(integration, chunks, "Transfer-Encoding: chunked"), 202),
            (post(integration, alert("fourth"), path=f"{PATH}?x=1"), 202),
            (post(integration, b"{"), 400),
            (post(integration, [alert("fifth"), {"title": ""}]), 400),
            (post(integration, alert("second")), 202),
        ]:
            connection.sendall(request)
            [(given, headers, body)] = answers(connection, 1)
            assert given == status, body
            assert headers["x-content-type-options"] == "nosniff"
            assert len(headers["x-correlation-id"]) == 36
    counts = dict(Alert.objects.values_list("dedup_key", "count"))
    assert counts == dict.fromkeys(("first", "third", "packed", "chunked", "fourth", "fifth"), 1) | {
        "second": 2
    }
    # The short way is only taken while nobody wants a line for each request.
    assert "uvicorn.access" not in process.output


def test_both_ways_send_the_same_headers_and_the_time_of_day(web, integration):
    stack, _ = web

    def headers_of(*lines):
        body = json.dumps(alert("one")).encode()
        connection.sendall(post(integration, body, f"Content-Length: {len(body)}", *lines))
        [(status, headers, _)] = answers(connection, 1)
        assert status == 202
        return headers

    with connect(stack) as connection:
        long, short = headers_of("Expect: nothing"), headers_of()
        assert set(long) == set(short)
        for name in ("server", "content-type", "cache-control", "x-content-type-options"):
            assert long[name] == short[name]
        # The head that plain answers share is not kept for longer than its date holds.
        first = parsedate_to_datetime(short["date"])
        assert abs(timezone.now() - first) < timedelta(seconds=10)
        eventually(lambda: parsedate_to_datetime(headers_of()["date"]) > first, within=20)


def test_what_is_sent_without_waiting_is_answered_in_its_order(web, integration):
    stack, _ = web
    names = [f"n{number}" for number in range(30)]
    with connect(stack) as connection:
        for name in names:
            bodies = {"n7": {"title": 1}, "n8": b"nonsense"}
            connection.sendall(post(integration, bodies.get(name, alert(name))))
        found = answers(connection, len(names))
    told = [body["alerts"][0]["external_id"] if status == 202 else status for status, _, body in found]
    assert told == [400 if name in ("n7", "n8") else name for name in names]
    assert Alert.objects.count() == 28


def test_a_request_may_come_in_pieces(web, integration):
    stack, _ = web
    httpx.post(
        f"{stack.url}{PATH}", json=alert("known"), headers={"authorization": f"Bearer {integration.key}"}
    )
    request = post(integration, [alert(f"piece-{number}") for number in range(500)])
    with connect(stack) as connection:
        for start in range(0, len(request), 5000):
            connection.sendall(request[start : start + 5000])
            time.sleep(0.001)
        [(status, _, body)] = answers(connection, 1)
    assert (status, body["accepted"]) == (202, 500)


def test_a_head_that_was_seen_before_says_the_same_again_whatever_follows_it(web, integration):
    stack, _ = web
    other = IntegrationFactory()
    with connect(stack) as connection, connect(stack) as another:
        for turn in range(3):
            for sender, line, name in [(integration, connection, "mine"), (other, another, "hers")]:
                line.sendall(post(sender, alert(f"{name}-{turn}")))
                assert answers(line, 1)[0][0] == 202
        # In two pieces; with half of the next one; and the rest of that.
        request, following = post(integration, alert("mine-3")), post(integration, alert("mine-4"))
        head = request.index(b"\r\n\r\n") + 4
        connection.sendall(request[:head])
        time.sleep(0.2)  # so that it is read by itself
        connection.sendall(request[head:])
        assert answers(connection, 1)[0][0] == 202
        connection.sendall(request + following[:-9])
        assert answers(connection, 1)[0][0] == 202
        connection.sendall(following[-9:])
        assert answers(connection, 1)[0][0] == 202
        # A body that is not in order, and one that another head follows.
        connection.sendall(request.replace(b'"low"', b'"lol"'))
        assert answers(connection, 1)[0][0] == 400
        connection.sendall(request * 3)
        assert [status for status, *_ in answers(connection, 3)] == [202] * 3
    # The first on a connection, of which nothing was parsed yet, and which has to go the long way.
    with connect(stack) as fresh:
        fresh.sendall(request.replace(b'"low"', b'"lol"'))
        assert answers(fresh, 1)[0][0] == 400
    assert set(Alert.objects.filter(integration=other).values_list("dedup_key", flat=True)) == {
        f"hers-{turn}" for turn in range(3)
    }
    assert Alert.objects.get(dedup_key="mine-3").count == 5
    assert Alert.objects.count() == 8


def test_empty_lines_between_requests_are_no_head(web, integration):
    stack, _ = web
    body = json.dumps({"title": "of an even length"}).encode()
    empty = b"\r\n" * (len(body) // 2)
    assert len(body) % 2 == 0
    with connect(stack) as connection:
        for _ in range(2):
            connection.sendall(post(integration, body))
            assert answers(connection, 1)[0][0] == 202
        connection.sendall(b"\r\n\r\n" + empty)
        time.sleep(0.2)  # so that they are read by themselves
        connection.sendall(post(integration, body))
        assert answers(connection, 1)[0][0] == 202
    with connect(stack) as stranger:
        stranger.sendall(b"\r\n\r\n" + body)
        assert stranger.recv(100).startswith(b"HTTP/1.1 400 ")
    assert Alert.objects.count() == 3


def test_a_change_of_the_integration_is_heeded_by_the_next_request(web, integration):
    stack, _ = web
    with connect(stack) as connection:

        def send(name):
            connection.sendall(post(integration, alert(name)))
            return answers(connection, 1)[0]

        assert send("a")[2]["alerts"][0]["outcome"] == "opened"
        assert send("b")[0] == 202
        rule = RuleFactory(integration=integration, conditions=[])
        assert send("c")[2]["alerts"][0]["outcome"] == "dropped"
        rule.delete()
        assert send("d")[0] == 202
        integration.is_enabled = False
        integration.save()
        assert send("e")[0] == 403
        integration.set_key()
        integration.save()
        assert send("f")[0] == 401
    assert set(Alert.objects.values_list("dedup_key", flat=True)) == {"a", "b", "d"}


def test_several_workers_of_one_server_take_alerts(integration):
    """They load the protocol before anything has set Django up."""
    stack = Stack()
    try:
        stack.start("web", *UVICORN, "--port", str(stack.port), "--workers", "2")
        body = alert("one")
        headers = {"authorization": f"Bearer {integration.key}"}

        def answer():
            try:
                return httpx.post(stack.url + PATH, json=body, headers=headers)
            except httpx.TransportError:
                return None

        assert eventually(answer, within=30, what="a worker answers").status_code == 202
    finally:
        stack.stop()


def test_whoever_wants_the_connection_closed_gets_it_closed(web, integration):
    stack, _ = web
    for name in ("long", "short"):
        with connect(stack) as connection:
            body = json.dumps(alert(name)).encode()
            connection.sendall(post(integration, body, f"Content-Length: {len(body)}", "Connection: close"))
            reader = connection.makefile("rb")
            said = reader.read()
        assert said.startswith(b"HTTP/1.1 202 ")
        assert b"connection: close" in said


def test_a_web_process_that_is_asked_to_end_answers_what_it_took(web, integration):
    stack, process = web
    with connect(stack) as connection:
        connection.sendall(post(integration, alert("warm")))
        assert answers(connection, 1)[0][0] == 202
        request = post(integration, [alert(f"last-{number}") for number in range(1000)])
        connection.sendall(request)
        process._child.terminate()
        [(status, _, body)] = answers(connection, 1)
        assert (status, body["accepted"]) == (202, 1000)
    eventually(lambda: not process.is_running, within=20, what="the web process ends")
    assert Alert.objects.count() == 1001


def test_a_sender_that_hangs_up_hurts_nobody(web, integration):
    stack, _ = web
    for number in range(20):
        with connect(stack) as connection:
            connection.sendall(post(integration, alert(f"gone-{number}")))
    with connect(stack) as connection:
        connection.sendall(post(integration, alert("stays")))
        assert answers(connection, 1)[0][0] == 202
    assert Alert.objects.filter(dedup_key="stays").exists()


@pytest.fixture
def web_in_this_process():
    port = free_port()
    config = uvicorn.Config(
        "openalert.asgi:application",
        http="openalert.http_protocol:Protocol",
        port=port,
        lifespan="off",
        access_log=False,
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started, within=20, what="the server has started")
    yield f"http://127.0.0.1:{port}{PATH}"
    server.should_exit = True
    thread.join(20)


def test_what_may_have_been_stored_is_not_stored_again_unasked(web_in_this_process, integration, monkeypatch):
    """The connection to the database breaks after a commit, before its answer."""
    # pytest listens to it, and what is logged goes by ASGI.
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "handlers", [])
    headers = {"authorization": f"Bearer {integration.key}"}
    assert httpx.post(web_in_this_process, json=alert("warm"), headers=headers).status_code == 202
    take = Express.take

    def take_and_break(self, arrivals, tell):
        take(self, arrivals, lambda outcome: tell(OperationalError("the connection was lost")))

    monkeypatch.setattr(Express, "take", take_and_break)
    response = httpx.post(web_in_this_process, json=alert("warm"), headers=headers)
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert Alert.objects.get().count == 2
