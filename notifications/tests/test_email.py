"""Email over real sockets: SMTP to a mail server, SendGrid's API, and what SendGrid tells afterwards."""

import base64
import email
import email.policy
import json
import time
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from aiosmtpd.controller import Controller
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from incidents.enums import Kind, Severity
from notifications.enums import Channel, NotificationStatus, Receipt
from notifications.exceptions import DeliveryError
from notifications.messages import render
from notifications.transports import TRANSPORTS
from openalert.tests.stack import free_port
from teams.tests.factories import ServiceFactory, UserFactory

from .factories import ContactMethodFactory, DeliveryAttemptFactory, NotificationFactory
from .provider import Answer, Hang, Reset, as_json

pytestmark = pytest.mark.django_db

EVIL = 'Disk full\r\nBcc: everybody@example.org\r\n\r\n<script>alert(1)</script> "quoted" & \x07bell'
MESSAGE_ID = "14c5d75ce93.dfd.64b469"


class MailServer:
    """Takes mail, or answers RCPT and DATA with what it is told to."""

    def __init__(self):
        self.mails, self.rcpt, self.data = [], None, None

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.rcpt:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.data:
            return self.data
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def smtp(settings):
    server = MailServer()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", controller.port
    settings.EMAIL_TIMEOUT = 2
    yield server
    controller.stop()


@pytest.fixture
def sendgrid(web, settings):
    settings.SENDGRID_API_KEY, settings.SENDGRID_API_URL = "SG.key", web.url
    settings.DEFAULT_FROM_EMAIL = "OpenAlert <pages@example.org>"
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    web.usual = Answer(202, b"", {"X-Message-Id": MESSAGE_ID})
    return web


@pytest.fixture
def page(db):
    method = ContactMethodFactory(user=UserFactory(name="Ana Ruiz"), address="ana@example.org")
    return NotificationFactory(
        user=method.user,
        contact_method=method,
        incident__title="Checkout errors <b>above</b> 5 %",
        incident__severity=Severity.HIGH,
        incident__service=ServiceFactory(name="Payments & co"),
    )


def send(page):
    return TRANSPORTS[Channel.EMAIL].send(render(page))


# SMTP


def test_a_mail_has_both_forms_and_says_how_to_answer(smtp, page):
    message_id = send(page)
    [envelope] = smtp.mails
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert (envelope.rcpt_tos, mail["To"], mail["Message-ID"].strip()) == (
        ["ana@example.org"],
        "ana@example.org",
        message_id,
    )
    assert mail["Subject"] == f"[HIGH] #{page.incident.number} Checkout errors <b>above</b> 5 %"
    assert mail["Auto-Submitted"] == "auto-generated"
    text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert "Payments & co: Checkout errors <b>above</b> 5 %" in text
    assert "Payments &amp; co" in html and "Checkout errors &lt;b&gt;above&lt;/b&gt; 5 %" in html
    links = [line.split()[-1] for line in text.splitlines() if line.startswith(("Acknowledge:", "Resolve:"))]
    assert len(links) == 2 and all(link in html for link in links)
    assert all(urlsplit(link).path.startswith("/answer/") for link in links)


def test_a_title_writes_no_headers_and_no_markup(smtp, page):
    page.incident.title = EVIL
    send(page)
    mail = email.message_from_bytes(smtp.mails[0].content, policy=email.policy.default)
    assert "Bcc" not in mail and smtp.mails[0].rcpt_tos == ["ana@example.org"]
    assert "\n" not in mail["Subject"] and "\x07" not in mail["Subject"]
    html = mail.get_body(("html",)).get_content()
    assert "<script" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("where", "answer", "permanent", "breaks_method"),
    [
        ("rcpt", "550 5.1.1 no such user", True, True),
        ("rcpt", "550 5.7.1 relaying denied", True, False),
        ("rcpt", "450 4.2.0 greylisted", False, False),
        ("data", "554 5.6.0 content rejected", True, False),
        ("data", "451 4.3.0 try again", False, False),
        ("data", "421 4.3.2 going down", False, False),
    ],
)
def test_a_refusal_by_the_mail_server(smtp, page, where, answer, permanent, breaks_method):
    setattr(smtp, where, answer)
    with pytest.raises(DeliveryError) as caught:
        send(page)
    assert (caught.value.permanent, caught.value.breaks_method) == (permanent, breaks_method)
    assert smtp.mails == []


def test_a_mail_server_that_hangs(web, settings, page):
    """It takes the connection and says nothing, or what is no SMTP at all."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = "127.0.0.1", web.port, 1
    with pytest.raises(DeliveryError) as caught:
        send(page)
    assert not caught.value.permanent


# SendGrid


def test_a_mail_is_what_sendgrid_takes(sendgrid, page):
    assert TRANSPORTS[Channel.EMAIL].account == "sendgrid"
    assert send(page) == MESSAGE_ID
    [taken] = sendgrid.taken
    assert (taken.method, taken.path, taken.headers["Authorization"]) == (
        "POST",
        "/v3/mail/send",
        "Bearer SG.key",
    )
    body = taken.json
    message = render(page)
    assert body.pop("content") == [
        {"type": "text/plain", "value": message.text},
        {"type": "text/html", "value": message.html},
    ]
    assert body == {
        "from": {"name": "OpenAlert", "email": "pages@example.org"},
        "subject": message.subject,
        "personalizations": [{"to": [{"email": "ana@example.org"}]}],
        "headers": {"Auto-Submitted": "auto-generated"},
        "custom_args": {"openalert_notification": str(page.pk)},
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
        },
    }


def test_without_a_key_mail_goes_by_smtp(smtp, page):
    assert TRANSPORTS[Channel.EMAIL].account == "smtp"
    send(page)
    assert len(smtp.mails) == 1


def refusal(status, message, **headers):
    return as_json({"errors": [{"message": message, "field": None}]}, status, **headers)


@pytest.mark.parametrize(
    ("answer", "permanent", "retry_after", "words"),
    [
        (refusal(400, "Does not contain a valid address."), True, None, "Does not contain a valid address."),
        (refusal(413, "too large"), True, None, "too large"),
        (refusal(401, "authorization required"), False, None, "401"),
        (refusal(403, "sender not verified"), False, None, "403"),
        (refusal(429, "too many requests", Retry_After="12"), False, timedelta(seconds=12), "429"),
        (Answer(500, b"<html>"), False, None, "500"),
        (Reset, False, None, "reached"),
        (Hang, False, None, "reached"),
        # Lies: the sandbox answers 200 and sends nothing.
        (Answer(200, b"", {"X-Message-Id": MESSAGE_ID}), False, None, "did not accept"),
        (as_json({"errors": [{"message": "no"}]}, 200), False, None, "did not accept"),
        (Answer(202), False, None, "did not accept"),
    ],
)
def test_a_failure_of_sendgrid(sendgrid, page, answer, permanent, retry_after, words):
    sendgrid.answers = [answer]
    with pytest.raises(DeliveryError, match=words) as caught:
        send(page)
    failure = caught.value
    assert (failure.permanent, failure.breaks_method, failure.retry_after) == (permanent, False, retry_after)
    assert len(sendgrid.taken) == 1 and "SG.key" not in str(failure)


# What SendGrid tells afterwards


@pytest.fixture
def key(settings):
    """SendGrid's own: it signs events, and we are given its public half."""
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    settings.SENDGRID_EVENT_PUBLIC_KEY = base64.b64encode(public).decode()
    return private


def post_events(key, events, *, at=None, body=None):
    content = json.dumps(events)
    timestamp = str(int(time.time() if at is None else at))
    signature = key.sign((timestamp + content).encode(), ec.ECDSA(SHA256()))
    return Client().post(
        "/hooks/sendgrid/events/",
        content if body is None else body,
        content_type="application/json",
        headers={
            "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        },
    )


def event(page, kind, **more):
    return {
        "email": page.address,
        "timestamp": 1513299569,
        "event": kind,
        "sg_event_id": "ZGVsaXZlcmVk",
        "sg_message_id": f"{MESSAGE_ID}.filter0001.16648.5515E0B88.0",
        "openalert_notification": str(page.pk),
        **more,
    }


@pytest.fixture
def attempt(page):
    page.status, page.sent_at, page.attempt_count = NotificationStatus.SENT, page.created_at, 1
    page.save()
    return DeliveryAttemptFactory(notification=page, provider_id=MESSAGE_ID)


def test_a_delivery_is_told(key, page, attempt):
    events = [event(page, "processed"), event(page, "delivered", response="250 OK"), event(page, "open")]
    assert post_events(key, events).status_code == 204
    attempt.refresh_from_db()
    assert (attempt.receipt, page.incident.timeline.get().kind) == (Receipt.DELIVERED, Kind.PAGE_RECEIPT)


@pytest.mark.parametrize(
    ("kind", "more", "receipt", "breaks_method"),
    [
        ("bounce", {"type": "bounce", "reason": "550 5.1.1 no such user"}, Receipt.BOUNCED, True),
        ("bounce", {"type": "blocked", "reason": "550 5.7.1 blocked by policy"}, Receipt.BOUNCED, False),
        ("dropped", {"reason": "Bounced Address"}, Receipt.UNDELIVERED, True),
        ("dropped", {"reason": "Recipient List over Package Quota"}, Receipt.UNDELIVERED, False),
        ("spamreport", {}, Receipt.UNSUBSCRIBED, True),
        ("unsubscribe", {}, Receipt.UNSUBSCRIBED, True),
    ],
)
def test_a_mail_that_did_not_arrive_is_a_failed_page(key, page, attempt, kind, more, receipt, breaks_method):
    for _ in range(2):
        assert post_events(key, [event(page, kind, **more)]).status_code == 204
    attempt.refresh_from_db()
    page.refresh_from_db()
    assert (attempt.receipt, page.status, page.needs_fallback) == (receipt, NotificationStatus.DEAD, True)
    assert (page.contact_method.broken_at is not None) is breaks_method
    assert page.incident.timeline.get().kind == Kind.PAGE_FAILED


def test_only_sendgrid_is_listened_to(key, page, attempt, settings):
    told = [event(page, "bounce", type="bounce")]
    stranger = ec.generate_private_key(ec.SECP256R1())
    now = time.time()
    refused = [
        post_events(stranger, told),
        post_events(key, told, body=json.dumps([event(page, "dropped")])),
        post_events(key, told, at=now - 26 * 3600),
        post_events(key, told, at=now + 3600),
        Client().post("/hooks/sendgrid/events/", json.dumps(told), content_type="application/json"),
    ]
    settings.SENDGRID_EVENT_PUBLIC_KEY = ""
    refused.append(post_events(key, told))
    assert [(r.status_code, r.json()["errors"][0]["code"]) for r in refused] == [(403, "bad_signature")] * 6
    attempt.refresh_from_db()
    assert attempt.receipt == Receipt.NOTHING


def test_words_that_the_database_cannot_hold_do_not_stop_the_others_of_a_batch(key, page, attempt):
    """A mail server chooses its words, and SendGrid would send the batch again for a day, in vain."""
    other = DeliveryAttemptFactory(provider_id="other", notification__channel=Channel.EMAIL)
    batch = [
        event(page, "bounce", type="bounce", reason="550 no\x00such \ud800user"),
        {**event(other.notification, "delivered"), "sg_message_id": "other.x"},
    ]
    assert post_events(key, batch).status_code == 204
    for known in (attempt, other):
        known.refresh_from_db()
    assert (attempt.receipt, other.receipt) == (Receipt.BOUNCED, Receipt.DELIVERED)


@pytest.mark.parametrize("body", [{}, "x", None, 3])
def test_what_is_no_list_of_events_is_refused(key, body):
    assert post_events(key, body).status_code == 400


def test_events_of_other_mails_are_passed_over(key, page, attempt):
    events = [{"event": "bounce"}, None, 3, {"event": {}, "openalert_notification": []}]
    events.append({**event(page, "bounce"), "openalert_notification": "nonsense"})
    events.append({**event(page, "bounce"), "sg_message_id": "another.filter"})
    assert post_events(key, events).status_code == 204
    attempt.refresh_from_db()
    assert attempt.receipt == Receipt.NOTHING
