"""SendGrid's Inbound Parse: the forms that it posts, its signature, and what it is told."""

import base64
import json
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.db import OperationalError
from hypothesis import given
from hypothesis import strategies as st

from alerts import sendgrid_inbound
from alerts.enums import Source
from alerts.exceptions import MalformedPayload
from alerts.heartbeat_mail import mailbox_of
from alerts.mail_intake import address_of
from alerts.models import Alert
from alerts.tests.factories import HeartbeatFactory, IntegrationFactory

GOLDEN = (Path(__file__).parent / "payloads" / "email-nagios.eml").read_bytes()
PATH = "/integrations-inbound/sendgrid"

pytestmark = pytest.mark.django_db


@pytest.fixture
def integration():
    return IntegrationFactory(source=Source.EMAIL)


def form(fields, files=()):
    """The body and the Content-Type of such a form, made by another program than ours."""
    parts = [(name, (None, value)) for name, value in fields.items()]
    request = httpx.Request("POST", "http://x", files=[*parts, *files])
    return request.read(), request.headers["Content-Type"]


def parsed(*to, **fields):
    return {
        "headers": "Received: by mx0047p1mdw1.sendgrid.net with SMTP id 6WCVv7KAWn; Mon, 2 Mar 2026 12:00:03 +0000\n"
        "From: =?utf-8?q?=C3=9Cberwachung?= <mon@example.org>\nTo: ops@example.org\n"
        "Subject: [FIRING:1] Platte voll\nMessage-ID: <1@mon.example.org>\n",
        "dkim": "{@example.org : pass}",
        "to": "ops@example.org",
        "from": "Überwachung <mon@example.org>",
        "subject": "[FIRING:1] Platte voll",
        "text": b"Platte \xfcberall voll\r\n",
        "html": "<p>Platte &uuml;berall voll</p>",
        "sender_ip": "192.0.2.14",
        "envelope": json.dumps({"to": to, "from": "mon@example.org"}),
        "attachments": "1",
        "charsets": '{"to":"UTF-8","html":"UTF-8","subject":"UTF-8","from":"UTF-8","text":"iso-8859-1"}',
        "SPF": "pass",
        **fields,
    }


FILE = ("attachment1", ("größe.csv", b"a,b\r\n\x00\xff--\r\n", "text/csv"))


def post(client, path, fields, files=(), headers=None):
    body, content_type = form(fields, files)
    return client.post(path, body, content_type=content_type, headers=headers)


@pytest.mark.parametrize("end", ["", "/"])
def test_mail_as_sendgrid_reads_it(client, integration, end):
    response = post(client, f"{PATH}/{integration.key}{end}", parsed(), [FILE])
    alert = Alert.objects.get()
    assert (response.status_code, response.json()) == (
        202,
        {
            "accepted": 1,
            "alerts": [
                {"external_id": "platte voll", "outcome": "opened", "incident": alert.incident.number},
            ],
        },
    )
    assert (alert.title, alert.source) == ("[FIRING:1] Platte voll", "mon@example.org")
    assert alert.metadata == {
        "description": "Platte überall voll",
        "from": "Überwachung <mon@example.org>",
        "to": "ops@example.org",
        "message_id": "<1@mon.example.org>",
        "attachments": ["größe.csv"],
    }


def test_whole_mail(client, integration):
    raw = GOLDEN + b"x" * 4_000_000
    response = post(
        client, f"{PATH}/{integration.key}/", {"email": raw, "to": "ops@example.org", "charsets": "{}"}
    )
    assert response.status_code == 202
    assert Alert.objects.get().title == "** PROBLEM Service Alert: web01/HTTP is CRITICAL **"


def test_html_alone_and_no_headers(client, integration):
    fields = parsed(text="", charsets="no JSON")
    del fields["headers"]
    assert post(client, f"{PATH}/{integration.key}/", fields).status_code == 202
    alert = Alert.objects.get()
    assert (alert.title, alert.metadata["description"]) == ("[FIRING:1] Platte voll", "Platte überall voll")


def test_recipients_of_the_envelope(client, integration):
    other = IntegrationFactory(source=Source.EMAIL)
    to = [address_of(integration.key), "ops@example.org", address_of(other.key)]
    response = post(client, f"{PATH}/", parsed(*to))
    assert response.json()["accepted"] == 2
    assert set(Alert.objects.values_list("integration", flat=True)) == {integration.pk, other.pk}


@pytest.mark.parametrize(
    ("path", "fields", "status", "code"),
    [
        ("/" + "0" * 32, parsed(), 401, "unknown_integration_key"),
        ("/", parsed("ops@example.org"), 401, "unknown_integration_key"),
        ("/", parsed(envelope="[" * 100_000), 401, "unknown_integration_key"),
        ("/{key}", {"spam": "no mail"}, 400, "malformed_payload"),
        ("/{off}", parsed(), 403, "integration_disabled"),
        ("/{other}", parsed(), 403, "wrong_source"),
    ],
)
def test_what_is_refused(client, integration, path, fields, status, code):
    off = IntegrationFactory(source=Source.EMAIL, is_enabled=False)
    path = path.format(key=integration.key, off=off.key, other=IntegrationFactory().key)
    response = post(client, PATH + path, fields)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (status, code)
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary=x"]
)
def test_what_is_no_form(client, integration, content_type):
    response = client.post(f"{PATH}/{integration.key}/", b"{}", content_type=content_type)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "malformed_payload")


def test_too_large_and_other_methods(client, integration, monkeypatch):
    monkeypatch.setattr(sendgrid_inbound, "MAX_BODY_BYTES", 100)
    assert post(client, f"{PATH}/{integration.key}/", parsed()).status_code == 413
    assert client.get(f"{PATH}/{integration.key}/").status_code == 405


def test_database_that_is_away_is_said_so_that_it_is_sent_again(client, integration, monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("the server went away")

    monkeypatch.setattr(sendgrid_inbound, "take_mail", fail)
    response = post(client, f"{PATH}/{integration.key}/", parsed())
    assert (response.status_code, response.json()["errors"][0]["code"]) == (503, "unavailable")


def signed(body, key, timestamp="1772452803"):
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }


@pytest.mark.parametrize("framed", [False, True])
def test_signature(client, framed):
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    der = base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    integration = IntegrationFactory(source=Source.EMAIL, secret=pem if framed else der)
    body, content_type = form(parsed(), [FILE])

    def answer(headers, body=body):
        path = f"{PATH}/{integration.key}/"
        return client.post(path, body, content_type=content_type, headers=headers).status_code

    good = signed(body, key)
    assert answer(good) == 202
    stranger = signed(body, ec.generate_private_key(ec.SECP256R1()))
    for bad in ({}, stranger, {**good, "X-Twilio-Email-Event-Webhook-Timestamp": "1772452804"}):
        assert answer(bad) == 401
    assert answer({**good, "X-Twilio-Email-Event-Webhook-Signature": "é"}) == 401
    assert answer(good, body.replace(b"voll", b"leer")) == 401
    assert Alert.objects.get().count == 1


def test_secret_that_is_no_such_key_lets_nothing_in(client):
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    raw = base64.b64encode(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
    for secret in ("a password", raw, "-----"):
        integration = IntegrationFactory(source=Source.EMAIL, secret=secret)
        assert post(client, f"{PATH}/{integration.key}/", parsed()).status_code == 401


@given(
    body=st.binary() | st.lists(st.sampled_from([b"--b\r\n", b"--b--", b"\r\n\r\n", b"x"])).map(b"".join),
    kind=st.text(),
)
def test_any_bytes_are_a_form_or_none(body, kind):
    for content_type in ("multipart/form-data; boundary=b", "multipart/form-data; " + kind):
        try:
            fields, names = sendgrid_inbound.form_of(body, content_type)
            sendgrid_inbound.mail_of(fields, names)
        except MalformedPayload:
            pass


def test_mail_for_a_heartbeat(client):
    heartbeat = HeartbeatFactory(start_words=["platte"])
    mailbox = mailbox_of(heartbeat)
    told = {"accepted": 1, "alerts": []}
    response = post(client, PATH, parsed(address_of(mailbox)))
    assert (response.status_code, response.json()) == (202, told)
    again = parsed(headers="Subject: Platte\n")
    assert post(client, f"{PATH}/{mailbox}", again).json() == told
    assert [(ping.kind, ping.sender) for ping in heartbeat.pings.all()] == [("start", "mon@example.org")] * 2
    heartbeat.delete()
    assert post(client, PATH, parsed(address_of(mailbox))).status_code == 401
