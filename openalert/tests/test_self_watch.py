"""When the tick stalls or the outbox ages, operators hear of it from a web process alone: by real mail and real HTTP."""

import json
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch

import pytest
from django.db import connections
from django.utils import timezone

from notifications.enums import Channel
from notifications.models import Notification
from notifications.tests.factories import NotificationFactory
from openalert import pulse
from openalert.health import self_watch
from openalert.health.self_watch import Watch
from openalert.models import Election, Pulse
from openalert.tests.mail_server import MailServer
from openalert.tests.stack import Stack, eventually, free_port

pytestmark = pytest.mark.django_db(transaction=True)


class Listener:
    """An HTTP server that keeps what it is asked, and answers with `status`."""

    def __init__(self):
        listener, self.asked, self.status = self, [], 200

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer()

            def do_POST(self):
                self.answer()

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                listener.asked.append((self.command, self.path, json.loads(body) if body else None))
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def bodies(self, path):
        return [body for _, asked, body in self.asked if asked == path]


@pytest.fixture
def mail():
    with MailServer() as server:
        yield server


@pytest.fixture
def web():
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture
def operators(settings, mail, web, monkeypatch):
    """They want mail, a webhook and a heartbeat, and are told at once."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail.port
    settings.OPERATORS_EMAIL = ["ops@example.org"]
    settings.OPERATORS_WEBHOOK_URL = f"{web.url}/hook"
    settings.HEARTBEAT_URL, settings.HEARTBEAT_SECONDS = f"{web.url}/beat", 0
    monkeypatch.setattr(self_watch, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(self_watch, "AGAIN_SECONDS", 0.0)
    pulse._noted_at.clear()
    pulse.note(pulse.TICK)


def stall(seconds=100):
    Pulse.objects.filter(name="tick").update(at=timezone.now() - timedelta(seconds=seconds))


def go_on():
    Pulse.objects.filter(name="tick").update(at=timezone.now())


def test_while_all_is_well_only_the_heartbeat_goes_out(operators, mail, web):
    watch = Watch()
    watch.look()
    watch.look()
    assert (mail.messages, web.asked) == ([], [("GET", "/beat", None)] * 2)


def test_stalled_tick_is_told_once_and_its_end_too(operators, mail, web):
    watch = Watch()
    stall()
    watch.look()
    watch.look()
    assert mail.subjects == ["OpenAlert is not well: tick"]
    [(to, text)] = mail.messages
    assert to == ["ops@example.org"]
    assert "tick: Escalations were last looked at 100 s ago." in text
    [body] = web.bodies("/hook")
    assert (body["status"], [f["check"] for f in body["failing"]]) == ("unwell", ["tick"])
    assert web.bodies("/beat") == []
    go_on()
    watch.look()
    assert mail.subjects[1:] == ["OpenAlert is well again"]
    assert web.bodies("/hook")[1]["well_again"] == ["tick"]
    assert len(web.bodies("/beat")) == 1


def test_page_that_waits_too_long_is_told(operators, mail):
    now = timezone.now()
    NotificationFactory(channel=Channel.EMAIL, due_at=now - timedelta(minutes=5), wake_at=now)
    assert Notification.objects.get().is_unfinished
    Watch().look()
    assert mail.subjects == ["OpenAlert is not well: outbox"]


def test_hiccup_is_told_to_nobody(operators, mail, web, monkeypatch):
    monkeypatch.setattr(self_watch, "PATIENCE_SECONDS", 30.0)
    watch = Watch()
    stall()
    watch.look()
    go_on()
    watch.look()
    assert mail.messages == []
    assert len(web.bodies("/beat")) == 1


def test_one_of_several_tells_and_its_successor_knows_what_was_told(operators, mail, web):
    first, second = Watch(), Watch()
    stall()
    first.look()
    second.look()
    assert len(mail.messages) == 1
    first.resign()
    time.sleep(0.01)
    second.look()
    assert second.candidate.is_elected
    assert len(mail.messages) == 1
    go_on()
    first.look()
    assert not first.candidate.is_elected
    second.look()
    assert mail.subjects == ["OpenAlert is not well: tick", "OpenAlert is well again"]
    assert len(web.bodies("/beat")) == 1


def test_successor_waits_for_the_end_of_the_office_of_one_that_died(operators, monkeypatch):
    first, second = Watch(), Watch()
    first.look()
    second.look()
    assert (first.candidate.is_elected, second.candidate.is_elected) == (True, False)
    Election.objects.update(until=timezone.now() - timedelta(seconds=1))
    second.look()
    assert second.candidate.is_elected


def test_what_lasts_is_told_again_after_an_hour(operators, mail, monkeypatch):
    watch = Watch()
    stall()
    watch.look()
    monkeypatch.setattr(self_watch, "REMIND_SECONDS", 0.0)
    watch.look()
    assert mail.subjects == ["OpenAlert is not well: tick"] * 2


def test_webhook_alone_is_enough_and_nobody_reached_is_tried_again(operators, mail, web, settings):
    settings.EMAIL_PORT = free_port()
    web.status = 500
    watch = Watch()
    stall()
    watch.look()
    watch.look()
    assert [body["status"] for body in web.bodies("/hook")] == ["unwell", "unwell"]
    web.status = 200
    watch.look()
    watch.look()
    assert len(web.bodies("/hook")) == 3


@pytest.fixture
def no_database():
    wanted = {**connections["default"].get_connection_params(), "host": "127.0.0.1", "port": free_port()}
    with patch.object(type(connections["default"]), "get_connection_params", lambda self: wanted):
        yield


def test_without_database_one_tells_by_redis(operators, no_database, mail, web):
    first, second = Watch(), Watch()
    for _ in range(2):
        first.look()
        second.look()
    assert mail.subjects == ["OpenAlert is not well: database"]
    assert web.bodies("/beat") == []


def test_without_database_and_redis_each_tells(operators, no_database, mail, settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    Watch().look()
    Watch().look()
    assert mail.subjects == ["OpenAlert is not well: database"] * 2


def test_end_of_an_outage_is_told_when_the_database_is_back(operators, mail):
    watch = Watch()
    wanted = {**connections["default"].get_connection_params(), "host": "127.0.0.1", "port": free_port()}
    with patch.object(type(connections["default"]), "get_connection_params", lambda self: wanted):
        watch.look()
    watch.look()
    assert mail.subjects == ["OpenAlert is not well: database", "OpenAlert is well again"]


def test_nobody_named_is_nobody_told(operators, settings, mail, web):
    settings.OPERATORS_EMAIL, settings.OPERATORS_WEBHOOK_URL, settings.HEARTBEAT_URL = [], "", ""
    stall()
    Watch().look()
    assert (mail.messages, web.asked) == ([], [])


@pytest.mark.timeout(120)
def test_web_process_without_workers_and_redis_says_that_nobody_ticks(transactional_db, mail, web):
    """The whole: one web process, real servers, and nobody else there."""
    stack = Stack()
    stack.environment |= {
        "EMAIL_URL": f"smtp://127.0.0.1:{mail.port}",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "OPERATORS_EMAIL": "ops@example.org",
        "OPERATORS_WEBHOOK_URL": f"{web.url}/hook",
        "HEARTBEAT_URL": f"{web.url}/beat",
        "HEARTBEAT_SECONDS": "1",
    }
    pulse._noted_at.clear()
    pulse.note(pulse.TICK)
    try:
        stack.start_web()

        def beats_while_somebody_ticks():
            go_on()
            return web.bodies("/beat")

        eventually(beats_while_somebody_ticks, within=30, what="the heartbeat goes out")
        eventually(lambda: mail.messages, within=90, what="the mail goes out")
        assert mail.subjects == ["OpenAlert is not well: tick"]
        eventually(lambda: web.bodies("/hook"), within=10)
        before = len(web.bodies("/beat"))
        time.sleep(7)
        assert len(web.bodies("/beat")) == before
    finally:
        stack.stop()
    assert Election.objects.get(name="self-watch").until <= timezone.now()
