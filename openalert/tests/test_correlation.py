"""The correlation id: from whoever asks, through intake and tasks, to mail and other systems; and on error pages."""

import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from celery import current_app
from django.core import mail
from django.test import Client
from django.urls import reverse

from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from notifications import outbox
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from openalert import correlation_id, outward, wake
from openalert.models import Pulse
from openalert.tests.mail_server import MailServer
from openalert.tests.stack import Stack, eventually
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("given", ["short", "x" * 129, "with space", "two\r\nlines", "ünïcödë-id", ""])
def test_id_that_could_do_harm_is_replaced(given):
    made = correlation_id.accept_or_make(given)
    assert made != given
    assert correlation_id.ACCEPTED.fullmatch(made)


def test_headers_of_a_scope_are_read():
    assert correlation_id.of_headers([(b"X-Correlation-Id", b"chosen-by-me")]) == "chosen-by-me"
    assert len(correlation_id.of_headers([])) == 36


def test_wake_up_takes_the_id_of_who_asked_to_another_thread(monkeypatch):
    sent = []
    monkeypatch.setattr(
        current_app._get_current_object(), "send_task", lambda *a, **k: sent.append(k["headers"])
    )
    waker = wake.Waker()
    with correlation_id.being("id-of-the-request"):
        waker.send("tick", ())
    waker.send("tick", ())
    eventually(lambda: len(sent) == 2, within=10)
    assert sent == [{"openalert_correlation_id": "id-of-the-request"}, {}]


def test_requests_to_others_carry_it(settings):
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.headers["X-Correlation-ID"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with correlation_id.being("id-of-the-request"):
            outward.fetch(url, most_bytes=10, seconds=5)
        outward.fetch(url, most_bytes=10, seconds=5)
        server.shutdown()
    assert seen == ["id-of-the-request", None]


def test_mail_carries_it(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    ana = UserFactory()
    page = NotificationFactory(user=ana, contact_method=ContactMethodFactory(user=ana, channel="email"))
    with correlation_id.being("id-of-the-request"):
        outbox.deliver(page.pk)
    assert [message.extra_headers["X-Correlation-ID"] for message in mail.outbox] == ["id-of-the-request"]


@pytest.mark.timeout(120)
def test_id_of_an_alert_goes_as_far_as_the_mail_about_it(transactional_db):
    """Through the committer, the tick's wake-up, the delivery's wake-up, and SMTP."""
    integration = IntegrationFactory()
    team = integration.service.team
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[UserFactory(name="ana")]]))
    stack = Stack()
    with MailServer() as server:
        stack.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{server.port}"
        try:
            stack.start_worker()
            stack.start_web()
            eventually(lambda: Pulse.objects.exists(), within=30, what="the worker works")
            answer = httpx.post(
                f"{stack.url}/api/v1/alerts",
                json={"external_id": "db", "title": "Disk full", "severity": "critical"},
                headers={"Authorization": f"Bearer {integration.key}", "X-Correlation-ID": "id-of-the-alert"},
            )
            assert answer.headers["X-Correlation-ID"] == "id-of-the-alert"
            eventually(lambda: server.messages, within=30)
            assert [message["X-Correlation-ID"] for message in server.parsed] == ["id-of-the-alert"]
        finally:
            stack.stop()


def test_failure_of_intake_is_logged_with_the_id_of_its_request(monkeypatch, caplog):
    from alerts import door

    with caplog.at_level(logging.ERROR):
        door._named(RuntimeError("a fault of ours"), "id-of-the-alert")
    assert [record.correlation_id for record in caplog.records] == ["id-of-the-alert"]


def test_error_pages_are_friendly_and_show_the_id():
    ana = UserFactory()
    TeamFactory(responders=[ana])
    client = Client(raise_request_exception=False)
    client.force_login(ana)
    headers = {"X-Correlation-ID": "chosen-by-me"}
    missing = client.get("/incidents/999999/", headers=headers)
    assert missing.status_code == 404
    forbidden = client.get(reverse("queues"), headers=headers)
    assert forbidden.status_code == 403
    strict = Client(enforce_csrf_checks=True)
    stale = strict.post("/accounts/login/", headers=headers)
    assert stale.status_code == 403
    bad = client.get("/incidents/", headers=headers | {"Host": "evil.example.org"})
    assert bad.status_code == 400
    for page, words in (
        (missing, "There is no such page"),
        (forbidden, "You may not do this"),
        (stale, "This page was open too long"),
        (bad, "That request was malformed"),
    ):
        assert words in page.text
        assert "chosen-by-me" in page.text
        assert page["X-Correlation-ID"] == "chosen-by-me"
