"""Mail as a format: bytes in, an event out, whatever is wrong with them."""

import time
from pathlib import Path

import pytest
from django.template.loader import render_to_string
from hypothesis import given
from hypothesis import strategies as st

from alerts.enums import EventStatus, Source
from alerts.events import AlertEvent
from alerts.exceptions import MalformedPayload
from alerts.formats import email, mime
from alerts.formats.email_words import Words
from alerts.models import Alert, Integration
from alerts.tests.factories import IntegrationFactory
from alerts.tests.test_door import request
from alerts.tests.test_formats import json_values
from incidents.enums import Severity

PAYLOADS = Path(__file__).parent.parent / "payloads"
KEY = "0123456789abcdef0123456789abcdef"
KEYS = email.keys_at("alerts.example.org")


def read_all(raw, **settings):
    chosen = email.Settings(**settings)
    payload = mime.decode(raw if isinstance(raw, bytes) else raw.encode(), {})
    return email.read(payload, settings=chosen, words=Words(chosen.over, chosen.firing), keys=KEYS)


def read(raw, **settings):
    [event] = read_all(raw, **settings)
    return event


def golden(name):
    return (PAYLOADS / f"{name}.eml").read_bytes()


def test_nagios_mail():
    text = (
        "***** Nagios *****\n\nNotification Type: PROBLEM\n\nService: HTTP\nHost: web01\nAddress: 192.0.2.80\n"
        "State: CRITICAL\n\nDate/Time: Mon Mar 2 12:00:02 UTC 2026\n\nAdditional Info:\n\n"
        "connect to address 192.0.2.80 and port 80: Connection refused"
    )
    assert read(golden("email-nagios")) == AlertEvent(
        dedup_key="web01/http",
        status=EventStatus.FIRING,
        title="** PROBLEM Service Alert: web01/HTTP is CRITICAL **",
        severity=Severity.CRITICAL,
        name="web01/HTTP",
        source="nagios@mon1.example.org",
        labels={"from": "nagios@mon1.example.org"},
        metadata={
            "description": text,
            "from": "nagios monitoring <nagios@mon1.example.org>",
            "to": "key@alerts.example.org",
            "date": "Mon, 2 Mar 2026 12:00:02 +0000 (UTC)",
            "message_id": "<20260302120002.8F1C6401D9@mon1.example.org>",
            "headers": {"auto-submitted": "auto-generated"},
        },
    )


def test_nagios_recovery_is_of_the_same_problem():
    event = read(golden("email-nagios-recovery"))
    assert (event.dedup_key, event.status) == ("web01/http", EventStatus.RESOLVED)


def test_html_mail_with_attachments():
    assert read(golden("email-grafana")) == AlertEvent(
        dedup_key="speicher voll überall (shop db1 critical)",
        status=EventStatus.FIRING,
        title="[FIRING:1] Speicher voll überall (shop db1 critical)",
        severity=Severity.CRITICAL,
        name="Speicher voll überall (shop db1 critical)",
        source="grafana@example.org",
        labels={"from": "grafana@example.org"},
        metadata={
            "description": "Speicher voll überall\n\nSeverity critical\n\nValue A=97.3\n\n"
            "View alert <https://grafana.example.org/alerting/grafana/ab12/view>",
            "link": "https://grafana.example.org/alerting/grafana/ab12/view",
            "from": "Grafana Überwachung <grafana@example.org>",
            "to": "key@alerts.example.org",
            "date": "Mon, 02 Mar 2026 12:00:05 +0000",
            "message_id": "<5c0e3a41-grafana@grafana.example.org>",
            "attachments": ["panel.png", "größe.csv"],
            "headers": {"x-priority": "2 (High)"},
        },
    )


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        ("From: a@example.org\n\n\n  Disk full\nmore", "Disk full"),
        ("From: a@example.org\n\n", "Mail from a@example.org"),
        ("", "Mail from an unknown sender"),
        ("no header at all", "no header at all"),
        ("Subject: " + "x" * 3000 + "\n\n", "x" * 1023 + "…"),
        ("Subject: =?utf-8?b?RGlzayD?=\n =?utf-8?b?8J+SpSBmdWxs?=\n\n", "Disk 💥 full"),
        ("Subject: =?nonsense?q?Disk_full?= now\n\n", "Disk full now"),
        (b"Subject: Platte voll \xfcberall\n\n", "Platte voll überall"),
        ("Subject: Platte voll überall\n\n", "Platte voll überall"),
        (b"Subject: a\0b\n\n", "a\ufffdb"),
    ],
)
def test_title_of_odd_mails(raw, title):
    assert read(raw).title == title


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Content-Type: text/plain; charset=iso-8859-1\n\nvoll \xfcberall", "voll überall"),
        (b"Content-Type: text/plain; charset=utf-8\n\nvoll \xfcberall", "voll überall"),
        (b"Content-Type: text/plain; charset=nonsense\n\nvoll \xc3\xbcberall", "voll überall"),
        (b"Content-Type: text/plain; charset=base64\n\nvoll", "voll"),
        (b"Content-Transfer-Encoding: base64\n\n!!RGlzayBmdWxs", "Disk full"),
        (b"Content-Type: multipart/mixed\n\nno boundary", "no boundary"),
        (b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nnever closed", "never closed"),
        (b"Content-Type: text/html\n\n<p>a &amp; b<br>c<!-- no --> <b>d", "a & b\nc d"),
        (b"Content-Type: text/html\n\n<p>seen<!-- never closed <p>x", "seen"),
        (b"Content-Type: application/json\n\n{}", ""),
    ],
)
def test_text_of_odd_mails(raw, text):
    assert mime.decode(raw, {})["text"] == text


def test_too_deep_a_mail_is_read_as_it_stands():
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(2000))
    assert read(b"Subject: Disk full\n" + deep).title == "Disk full"


@pytest.mark.parametrize("piece", [b"<!--", b"<a", b"<a href='", b"</a>", b"<script>", b"<", b"&", b"<p>"])
def test_hostile_html_takes_no_time(piece):
    raw = b"Content-Type: text/html\n\n" + piece * 100_000
    began = time.perf_counter()
    mime.decode(raw, {})
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied (vacation)",
        "X-Autoreply: yes",
        "Precedence: auto_reply",
        'Content-Type: multipart/report; report-type="delivery-status"; boundary=x',
        "Auto-Submitted: auto-generated\nSubject: Automatic reply: Disk full",
        "X-Auto-Response-Suppress: All\nSubject: Out of office",
    ],
)
def test_automatic_replies_are_left_out(header):
    assert read_all(f"From: ana@example.org\n{header}\n\nI am away.") == []


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-generated",
        "Precedence: bulk",
        "Return-Path: <>",
        "X-Auto-Response-Suppress: All",
        "Auto-Submitted: no",
        "Subject: Automatic reply service is down",
        "Content-Type: multipart/report; boundary=x",
    ],
)
def test_monitoring_mail_is_never_taken_for_a_reply(header):
    assert len(read_all(f"From: mon@example.org\n{header}\n\nDisk full")) == 1


def mail(subject="Disk full", **headers):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\n".join([f"Subject: {subject}", *lines, "", "body"])


def test_by_subject_the_state_does_not_count():
    keys = [read(mail(s)).dedup_key for s in ("[FIRING:1] Disk full", "RE: DISK FULL", "Disk full is OK")]
    assert keys == ["disk full"] * 3
    assert read(mail("RESOLVED", From="a@example.org")).dedup_key == "a@example.org"
    assert len(read(mail("x" * 1000)).dedup_key) <= 512


def test_by_thread_the_first_mail_counts():
    def key(**headers):
        return read(mail(**headers), dedup="thread").dedup_key

    assert key(Message_ID="<1@x>") == "1@x"
    assert key(Message_ID="<2@x>", In_Reply_To="<1@x>") == "1@x"
    assert key(Message_ID="<3@x>", In_Reply_To="<2@x>", References="<1@x> <2@x>") == "1@x"
    assert key(Date="today") == key(Date="today") != key(Date="tomorrow")


def test_by_message_each_is_its_own_but_a_resent_one_is_the_same():
    def key(**headers):
        return read(mail(**headers), dedup="message").dedup_key

    assert key(Message_ID="<1@x>", References="<0@x>") == "1@x"
    assert key(Date="today") == key(Date="today") != key(Date="tomorrow")
    assert len(key(Message_ID=f"<{'x' * 900}>")) == 64


@pytest.mark.parametrize(
    ("headers", "severity"),
    [
        ({}, Severity.HIGH),
        ({"X_Priority": "1 (Highest)"}, Severity.CRITICAL),
        ({"X_Priority": "5"}, Severity.LOW),
        ({"X_Priority": "3", "Importance": "Low"}, Severity.LOW),
        ({"Priority": "urgent"}, Severity.HIGH),
    ],
)
def test_severity_of_headers(headers, severity):
    assert read(mail(**headers)).severity == severity


def test_integration_keys_are_not_shown():
    to = f"{KEY}@Alerts.example.org"
    event = read(f"Subject: Sent to {to}\nTo: {to}\nX-Original-To: {to}\nMessage-ID: <{to}>\n\nfor {to}")
    assert KEY not in repr(event).replace(event.metadata["message_id"], "")
    assert event.metadata["to"] == "…cdef@Alerts.example.org"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, email.Settings()),
        ({"email": {"dedup": "thread"}}, email.Settings(dedup="thread")),
        (
            {"email": {"over": [" fine ", ""], "firing": ["kaputt"]}},
            email.Settings(over=("fine",), firing=("kaputt",)),
        ),
        ({"email": {"dedup": "colour"}}, email.Settings()),
        ({"email": {"over": "fine"}}, email.Settings()),
        ({"email": 5}, email.Settings()),
        (None, email.Settings()),
    ],
)
def test_settings_that_make_no_sense_count_as_not_given(given, found):
    assert email.settings_of(Integration(settings=given)) == found


def test_set_up_text_names_the_addresses():
    context = {"site": "https://openalert.example", "key": KEY, "address": f"{KEY}@alerts.example.org"}
    page = render_to_string("alerts/setup/email.html", context)
    assert page.count(f"sendmail '{KEY}@alerts.example.org'") == 2
    assert f"<code>https://openalert.example/integrations-inbound/sendgrid/{KEY}</code>" in page


@given(payload=json_values)
def test_any_json_is_an_event_or_no_mail(payload):
    for value in (payload, {"headers": payload, "text": payload, "attachments": payload}):
        try:
            events = email.read(value, settings=email.Settings(), words=Words(), keys=KEYS)
        except MalformedPayload:
            continue
        assert all(0 < len(event.title) <= 1024 and 0 < len(event.dedup_key) <= 512 for event in events)


NAMES = [b"Subject", b"From", b"To", b"Content-Type", b"Content-Transfer-Encoding", b"Message-ID", b"Date"]
VALUES = [
    *(
        b"multipart/mixed; boundary=b",
        b"text/html; charset=utf-16",
        b"text/plain; charset*=utf-8''x%ff",
        b"base64",
    ),
    *(
        b"quoted-printable",
        b"x-uuencode",
        b"message/rfc822",
        b"=?utf-8?q?=C3?= =?utf-8?b?=ED=A0=80?=",
        b"<a@b>",
    ),
]
headers_of_bytes = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(max_size=40))
)
bodies = st.lists(
    st.sampled_from([b"--b\n", b"--b--\n", b"\n", b"begin 644 x\n", b"<p>", b"=ED=A0=80"]) | st.binary()
)


@given(headers=headers_of_bytes, body=bodies)
def test_any_bytes_are_a_mail_that_can_be_stored(headers, body):
    raw = b"".join(name + b": " + value + b"\n" for name, value in headers) + b"\n" + b"".join(body)
    for event in read_all(raw):
        assert 0 < len(event.title) <= 1024
        assert 0 < len(event.dedup_key) <= 512
        assert "\0" not in repr(event)
        repr(event).encode()


@pytest.mark.django_db(transaction=True)
def test_mail_may_be_posted_as_it_is():
    integration = IntegrationFactory(source=Source.EMAIL)
    path = f"/integrations/email/{integration.key}"
    response = request(path=path, content=golden("email-nagios"), headers={"Content-Type": "message/rfc822"})
    assert (response.status_code, response.json()["accepted"]) == (202, 1)
    assert (
        request(path=path, content=golden("email-nagios-recovery")).json()["alerts"][0]["outcome"]
        == "resolved"
    )
    assert Alert.objects.get().status == "resolved"
    assert request(path=path, content=b"Auto-Submitted: auto-replied\n\n").json() == {
        "accepted": 0,
        "alerts": [],
    }


@pytest.mark.django_db(transaction=True)
def test_integration_with_a_secret_takes_no_unsigned_mail():
    integration = IntegrationFactory(source=Source.EMAIL, secret="a public key")
    response = request(path=f"/integrations/email/{integration.key}", content=golden("email-nagios"))
    assert (response.status_code, Alert.objects.count()) == (401, 0)
