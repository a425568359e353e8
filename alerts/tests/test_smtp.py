"""The mail listener, by a real client on a real socket: what is taken, and what is answered when it is not."""

import asyncio
import smtplib
import socket
import threading
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.db import OperationalError

from alerts import heartbeats, mail_intake, samples, smtp
from alerts.enums import Source
from alerts.heartbeat_mail import mailbox_of
from alerts.mail_intake import address_of
from alerts.models import Alert
from alerts.tests.factories import HeartbeatFactory, IntegrationFactory
from incidents.models import Incident
from openalert.tests.stack import eventually, free_port

pytestmark = pytest.mark.django_db(transaction=True)

GOLDEN = (Path(__file__).parent / "payloads" / "email-nagios.eml").read_bytes()
UNKNOWN = (550, b"5.1.1 No integration and no heartbeat has this address")


@pytest.fixture(scope="module")
def port():
    """Of a listener in a thread of its own."""
    port, told = free_port(), asyncio.Event()
    loops = []

    async def run():
        loops.append(asyncio.get_running_loop())
        await smtp.Listener(host="127.0.0.1", port=port, tls=None).run(told)

    thread = threading.Thread(target=asyncio.run, args=[run()])
    thread.start()
    yield port
    loops[0].call_soon_threadsafe(told.set)
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def client(port):
    def connect():
        try:
            return smtplib.SMTP("127.0.0.1", port, timeout=20)
        except ConnectionRefusedError:
            return None

    client = eventually(connect, within=10)
    client.ehlo()
    yield client
    client.close()


@pytest.fixture
def integration():
    return IntegrationFactory(source=Source.EMAIL)


def rcpt(client, *addresses):
    client.rset()
    client.mail("mon@example.org")
    return [client.rcpt(address) for address in addresses]


def test_mail_becomes_an_alert_once_it_is_answered(client, integration):
    assert client.sendmail("nagios@mon1.example.org", address_of(integration.key), GOLDEN) == {}
    alert = Alert.objects.get()
    assert (alert.title, alert.integration, alert.incident.status) == (
        "** PROBLEM Service Alert: web01/HTTP is CRITICAL **",
        integration,
        "open",
    )


def test_mail_is_kept_as_a_sample_without_the_key(client, integration):
    message = b"To: " + address_of(integration.key).encode() + b"\r\n" + GOLDEN
    client.sendmail("nagios@mon1.example.org", address_of(integration.key), message)
    samples.keeper.close()
    [sample] = samples.recent(integration.pk)
    assert sample.body.startswith("To: …@".encode()) and integration.key.encode() not in sample.body
    assert (sample.headers, sample.refusal) == ({"content-type": "message/rfc822"}, "")


def test_resolve_by_mail(client, integration):
    for subject in ("[FIRING:1] Disk full", "[RESOLVED] Disk full"):
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, "mon@example.org", "ops@example.org"
        message.set_content("ümlaut\n.\n..dots\n")
        client.send_message(message, to_addrs=[address_of(integration.key)])
    assert [(a.status, a.count, a.incident.status) for a in Alert.objects.all()] == [
        ("resolved", 1, "resolved")
    ]
    assert Alert.objects.get().metadata["description"] == "ümlaut\n.\n..dots"


def test_nobody_else_gets_mail_through_us(client, integration):
    other = IntegrationFactory()
    off = IntegrationFactory(source=Source.EMAIL, is_enabled=False)
    signed = IntegrationFactory(source=Source.EMAIL, secret="a key of SendGrid's")
    assert rcpt(
        client,
        "ana@elsewhere.example.org",
        f"{integration.key}@elsewhere.example.org",
        f"{integration.key}%{smtp.settings.INTAKE_MAIL_DOMAIN}@elsewhere.example.org",
        address_of("0" * 32),
        address_of(other.key),
        address_of(off.key),
        address_of(signed.key),
        address_of(integration.key.upper()),
    ) == [
        *[UNKNOWN] * 5,
        (550, b"5.2.1 This integration is switched off"),
        (550, b"5.7.1 This integration takes signed mail from SendGrid only"),
        (250, b"2.1.5 OK"),
    ]


def test_empty_sender_is_taken(client, integration):
    assert client.sendmail("", address_of(integration.key), b"Subject: Disk full\r\n\r\n") == {}
    assert Alert.objects.get().title == "Disk full"


def test_automatic_reply_is_taken_and_left_out(client, integration):
    rcpt(client, address_of(integration.key))
    answer = client.data(b"Auto-Submitted: auto-replied\r\nSubject: I am away\r\n\r\n")
    assert answer == (250, b"2.0.0 Taken; automatic replies are not stored")
    assert not Alert.objects.exists()


def test_nobody_signs_in_and_the_limit_is_told(client):
    assert "auth" not in client.esmtp_features
    assert client.esmtp_features["size"] == str(smtp.MAX_MAIL_BYTES)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        client.login("ana", "secret")
    assert client.verify("ana")[0] == 252


def test_too_large_a_mail(client, integration):
    client.rset()
    assert client.mail("mon@example.org", [f"SIZE={smtp.MAX_MAIL_BYTES + 1}"])[0] == 552
    rcpt(client, address_of(integration.key))
    assert client.data(b"x" * 900 + (b"\r\n" + b"x" * 900) * (smtp.MAX_MAIL_BYTES // 900))[0] == 552
    assert not Alert.objects.exists()


def test_long_lines_and_all_bytes_are_taken(client, integration):
    body = b"Subject: Disk full\r\n\r\n" + bytes(b for b in range(256) if b not in (10, 13)) + b"x" * 100_000
    rcpt(client, address_of(integration.key))
    assert client.data(body)[0] == 250
    assert Alert.objects.count() == 1


def test_mail_for_several_integrations(client, integration):
    other = IntegrationFactory(source=Source.EMAIL)
    to = [address_of(integration.key), address_of(other.key), address_of(integration.key), "ana@example.org"]
    assert client.sendmail("mon@example.org", to, GOLDEN) == {"ana@example.org": UNKNOWN}
    assert set(Alert.objects.values_list("integration_id", "count")) == {(integration.pk, 1), (other.pk, 1)}
    *taken, last = rcpt(client, *[to[0]] * (smtp.MAX_RECIPIENTS + 1))
    assert {code for code, _ in taken} == {250}
    assert last == (452, b"4.5.3 Too many recipients: send the mail to the others separately")


def test_many_senders_at_once(client, port):
    settings = {"email": {"dedup": "message"}}
    one = IntegrationFactory(source=Source.EMAIL, settings=settings)
    other = IntegrationFactory(source=Source.EMAIL, settings=settings, service=one.service)
    to = [address_of(one.key), address_of(other.key)]
    answers = []

    def send(number):
        with smtplib.SMTP("127.0.0.1", port, timeout=60) as sender:
            sender.ehlo()
            for again in range(3):
                rcpt(sender, *(to if number % 2 else reversed(to)))
                answers.append(sender.data(f"Subject: Disk full\r\n\r\n{number} {again}\r\n".encode())[0])

    senders = [threading.Thread(target=send, args=[number]) for number in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers == [250] * 18
    assert Alert.objects.count() == 36


def test_recipient_that_is_gone_meanwhile_is_told_the_next_time(client, integration):
    gone = IntegrationFactory(source=Source.EMAIL)
    to = [address_of(integration.key), address_of(gone.key)]
    rcpt(client, *to)
    gone.delete()
    assert client.data(GOLDEN) == (451, b"4.3.0 A recipient has changed; send the mail again")
    assert not Alert.objects.exists()
    assert client.sendmail("mon@example.org", to, GOLDEN) == {to[1]: UNKNOWN}
    assert Alert.objects.get().count == 1


def test_mail_that_was_stored_for_one_recipient_only_may_come_again(client, integration, monkeypatch):
    other = IntegrationFactory(source=Source.EMAIL)
    to = [address_of(integration.key), address_of(other.key)]
    take = mail_intake.take

    def fail_at_the_second(integration, events):
        if integration == other:
            raise OperationalError("the server went away")
        return take(integration, events)

    with monkeypatch.context() as patched:
        patched.setattr(mail_intake, "take", fail_at_the_second)
        rcpt(client, *to)
        assert client.data(GOLDEN) == (451, b"4.3.0 The mail cannot be stored now; send it again later")
    assert client.sendmail("mon@example.org", to, GOLDEN) == {}
    assert set(Alert.objects.values_list("integration_id", "count")) == {(integration.pk, 2), (other.pk, 1)}
    assert Incident.objects.count() == 2


def test_our_own_fault_keeps_the_mail_with_its_sender(client, integration, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("a bug")

    monkeypatch.setattr(smtp, "take_mail", fail)
    rcpt(client, address_of(integration.key))
    assert client.data(GOLDEN)[0] == 451
    assert client.noop()[0] == 250


def test_connections_are_limited(client, port, monkeypatch):
    monkeypatch.setattr(smtp, "MAX_CONNECTIONS", 1)
    with pytest.raises(smtplib.SMTPConnectError) as caught:
        smtplib.SMTP("127.0.0.1", port)
    assert caught.value.smtp_code == 421
    client.close()
    monkeypatch.setattr(smtp, "MAX_CONNECTIONS", 2)
    with smtplib.SMTP("127.0.0.1", port) as again:
        assert again.noop()[0] == 250


def test_commands_are_limited(client, port, monkeypatch):
    monkeypatch.setattr(smtp, "MAX_COMMANDS", 3)
    with smtplib.SMTP("127.0.0.1", port) as other:
        assert [other.noop()[0] for _ in range(4)] == [250, 250, 250, 421]


def test_silent_connection_is_closed(port, client, monkeypatch):
    monkeypatch.setattr(smtp, "TIMEOUT_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        assert silent.recv(100).startswith(b"220 ")
        assert silent.recv(100) == b""


def test_keys_are_not_logged(client, integration, caplog):
    caplog.set_level("INFO")
    rcpt(client, address_of(integration.key), address_of("f" * 32))
    client.data(GOLDEN)
    assert integration.key not in caplog.text
    assert "f" * 32 not in caplog.text


def test_mail_is_a_ping_of_a_heartbeat_once_it_is_answered(client, monkeypatch):
    heartbeat = HeartbeatFactory(fail_words=["failed"])
    address = address_of(mailbox_of(heartbeat))
    mail = b"Subject: Backup failed\r\nMessage-ID: <1@db1>\r\nFrom: root@db1.example.org\r\n\r\nno space left\r\n"
    assert rcpt(client, address, address.upper(), address_of("ping-" + "x" * 24)) == [
        *[(250, b"2.1.5 OK")] * 2,
        UNKNOWN,
    ]
    client.rset()

    def away(*args, **options):
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(heartbeats, "ping", away)
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("root@db1.example.org", [address], mail)
    assert (refused.value.smtp_code, heartbeat.pings.count()) == (451, 0)
    assert client.sendmail("root@db1.example.org", [address, address.upper()], mail) == {}
    assert [(ping.kind, ping.sender) for ping in heartbeat.pings.all()] == [("fail", "root@db1.example.org")]
    assert (Alert.objects.get().title, Alert.objects.get().incident.status) == (
        f"{heartbeat.name} failed",
        "open",
    )
