"""What a mail says to a heartbeat, by the words that are chosen for it."""

from datetime import timedelta
from email.message import EmailMessage

import pytest

from alerts import heartbeat_mail, mail_intake
from alerts.enums import AlertStatus, PingKind, Source
from alerts.exceptions import UnknownKey
from alerts.formats import mime
from alerts.models import Alert
from alerts.tests.factories import HeartbeatFactory, IntegrationFactory

pytestmark = pytest.mark.django_db

WORDS = {"fail_words": ["failed", "no  space"], "success_words": ["done"], "start_words": ["begins"]}


def mail(subject="", text="", **headers):
    message = EmailMessage()
    message["Subject"], message["From"] = subject, "Backup <root@db1.example.org>"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return bytes(message)


def take(keys, content):
    return mail_intake.take_mail(keys, mime.decode(content, {}), body=content, content_type="message/rfc822")


def send(heartbeat, *args, **headers):
    taken = take([heartbeat_mail.mailbox_of(heartbeat)], mail(*args, **headers))
    heartbeat.refresh_from_db()
    return taken.pings


@pytest.mark.parametrize(
    ("subject", "text", "kind"),
    [
        ("Backup of db1", "", PingKind.SUCCESS),
        ("BACKUP FAILED", "", PingKind.FAIL),
        ("Backup", "There was no\nspace left.", PingKind.FAIL),
        ("Backup begins", "It is done when it is done.", PingKind.START),
        ("Done, but 2 of 9 failed", "", PingKind.FAIL),
        ("unfailed", "abandoned", PingKind.SUCCESS),
    ],
)
def test_words_say_what_a_mail_means(subject, text, kind):
    heartbeat = HeartbeatFactory(**WORDS)
    assert (send(heartbeat, subject, text), heartbeat.pings.get().kind) == (1, kind)


def test_without_words_every_mail_is_what_is_chosen_for_it():
    heartbeat = HeartbeatFactory(success_words=["done"], mail_means=PingKind.FAIL, name="Backup")
    send(heartbeat, "Backup failed, or so")
    assert (Alert.objects.get().title, heartbeat.expired_at is not None) == ("Backup failed", True)
    send(heartbeat, "All done")
    assert (Alert.objects.get().status, heartbeat.expired_at) == (AlertStatus.RESOLVED, None)


def test_a_ping_by_mail_is_kept_with_its_sender(clock):
    heartbeat = HeartbeatFactory(**WORDS)
    send(heartbeat, "Backup begins")
    clock.advance(minutes=3)
    send(heartbeat, "Backup is done", "9 GB in 3 min")
    ping = heartbeat.pings.first()
    assert (ping.sender, ping.body, ping.took, ping.address) == (
        "root@db1.example.org",
        "Backup is done\n\n9 GB in 3 min",
        timedelta(minutes=3),
        None,
    )


def test_the_same_mail_again_says_nothing_new(clock):
    heartbeat = HeartbeatFactory(**WORDS)
    send(heartbeat, "Backup failed", Message_ID="<1@db1>")
    clock.advance(minutes=1)
    send(heartbeat, "Backup is done", Message_ID="<2@db1>")
    # Its sender did not get our answer.
    assert send(heartbeat, "Backup failed", Message_ID="<1@db1>") == 1
    assert (heartbeat.expired_at, heartbeat.pings.count()) == (None, 2)


def test_automatic_replies_are_no_sign_of_life():
    heartbeat = HeartbeatFactory()
    assert send(heartbeat, "Out of office", Auto_Submitted="auto-replied") == 0
    assert (heartbeat.last_ping_at, heartbeat.pings.count()) == (None, 0)


def test_one_mail_for_a_heartbeat_and_an_integration():
    heartbeat, integration = HeartbeatFactory(), IntegrationFactory(source=Source.EMAIL)
    mailbox = heartbeat_mail.mailbox_of(heartbeat)
    content = mail("Disk full", To=f"{mail_intake.address_of(mailbox)}, ops@example.org")
    taken = take([mailbox.upper().replace("PING-", "ping-"), integration.key], content)
    assert (len(taken.alerts), taken.pings, heartbeat.pings.count()) == (1, 1, 1)
    # Who may see the alert need not know the heartbeat's address.
    assert Alert.objects.get().metadata["to"] == f"…{mail_intake.address_of(mailbox[-4:])}, ops@example.org"


@pytest.mark.parametrize("mailbox", ["ping-", "ping-nothing", "ping-%"])
def test_an_address_of_nothing_is_refused_before_anything_is_stored(mailbox):
    heartbeat = HeartbeatFactory()
    with pytest.raises(UnknownKey):
        take([heartbeat_mail.mailbox_of(heartbeat), mailbox], mail("Backup"))
    assert not heartbeat.pings.exists()
