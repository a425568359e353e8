"""`manage.py receive_mail` as a process: TLS, the database away, told to end, killed."""

import contextlib
import select
import signal
import smtplib
import socket
import ssl
import threading

import pytest
import trustme
from django.conf import settings
from django.db import connection

from alerts.enums import Source
from alerts.mail_intake import address_of
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from openalert.tests.stack import Stack, eventually, free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
MAIL = b"Subject: Disk full\r\nMessage-ID: <1@example.org>\r\n\r\n"


class Listener:
    """The command, and clients of it."""

    def __init__(self, stack):
        self.stack = stack
        self.port = free_port()
        stack.environment |= {
            "INTAKE_SMTP_PORT": str(self.port),
            "INTAKE_MAIL_DOMAIN": settings.INTAKE_MAIL_DOMAIN,
        }

    def start(self, **variables):
        self.stack.environment |= variables
        self.process = self.stack.start("mail", "django", "receive_mail")
        eventually(self.answers, within=30, what="the listener answers")

    def answers(self):
        assert self.process.is_running, self.process.output
        with contextlib.suppress(OSError), self.client() as client:
            return client.noop()[0] == 250
        return False

    def client(self):
        return smtplib.SMTP("127.0.0.1", self.port, timeout=30)


@pytest.fixture
def listener():
    stack = Stack()
    yield Listener(stack)
    stack.stop()


@pytest.fixture
def address():
    return address_of(IntegrationFactory(source=Source.EMAIL, settings={"email": {"dedup": "message"}}).key)


class Wire:
    """A way to the database that can be cut and mended."""

    def __init__(self):
        self.port = free_port()
        self._open = []
        self.mend()

    def mend(self):
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=[self._server], daemon=True).start()

    def cut(self):
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def _serve(self, server):
        with contextlib.suppress(OSError):
            while True:
                near, _ = server.accept()
                far = self._connect()
                self._open += [near, far]
                threading.Thread(target=self._carry, args=[near, far], daemon=True).start()

    @staticmethod
    def _connect():
        database = connection.settings_dict
        port = int(database["PORT"] or 5432)
        if not database["HOST"].startswith("/"):
            return socket.create_connection((database["HOST"], port))
        far = socket.socket(socket.AF_UNIX)
        far.connect(f"{database['HOST']}/.s.PGSQL.{port}")
        return far

    @staticmethod
    def _carry(near, far):
        with near, far, contextlib.suppress(OSError):
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data = one.recv(65_536)
                    if not data:
                        return
                    (far if one is near else near).sendall(data)


def test_mail_over_tls_and_a_new_certificate(listener, address, tmp_path):
    authority = trustme.CA()
    file = tmp_path / "mail.pem"

    def issue():
        certificate = authority.issue_cert("127.0.0.1")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(file))

    def send():
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with listener.client() as client:
            client.starttls(context=context)
            client.ehlo()
            assert "auth" not in client.esmtp_features
            certificate = client.sock.getpeercert(True)
            assert client.sendmail("mon@example.org", address, MAIL) == {}
        return certificate

    issue()
    listener.start(INTAKE_SMTP_CERTIFICATE=str(file))
    first = send()
    issue()
    listener.process.send(signal.SIGHUP)
    eventually(lambda: send() != first, within=10, what="the new certificate is shown")
    file.write_text("nonsense")
    listener.process.send(signal.SIGHUP)
    eventually(lambda: "The new certificate cannot be used" in listener.process.output, within=10)
    send()
    assert Alert.objects.count() == 1


def test_database_that_is_away_loses_no_mail(listener, address):
    wire = Wire()
    database = connection.settings_dict
    password = f":{database['PASSWORD']}" if database["PASSWORD"] else ""
    url = f"postgres://{database['USER']}{password}@127.0.0.1:{wire.port}/{database['NAME']}"
    listener.start(DATABASE_URL=url)
    with listener.client() as client:
        client.ehlo()
        client.mail("mon@example.org")
        assert client.rcpt(address)[0] == 250
        wire.cut()
        assert client.data(MAIL) == (451, b"4.3.0 The mail cannot be stored now; send it again later")
        client.rset()
        client.mail("mon@example.org")
        assert client.rcpt(address) == (451, b"4.3.0 The mail cannot be stored now; send it again later")
        client.rset()
        assert not Alert.objects.exists()
        wire.mend()

        def sent():
            with contextlib.suppress(smtplib.SMTPRecipientsRefused):
                return client.sendmail("mon@example.org", address, MAIL) == {}
            return False

        eventually(sent, within=60, what="the mail is taken again")
    assert Alert.objects.get().count == 1
    wire.cut()


def test_told_to_end_it_answers_the_mail_that_is_on_its_way(listener, address):
    listener.start()
    with listener.client() as sending, listener.client() as idle:
        sending.ehlo()
        idle.ehlo()
        sending.mail("mon@example.org")
        sending.rcpt(address)
        assert sending.docmd("DATA")[0] == 354
        sending.send(MAIL)
        listener.process.send(signal.SIGTERM)
        assert idle.getreply() == (421, b"4.3.2 Closing; come back later")
        with pytest.raises(ConnectionRefusedError):
            listener.client()
        sending.send(b".\r\n")
        assert sending.getreply() == (250, b"2.0.0 Stored")
        assert sending.getreply()[0] == 421
        sending.close()
        idle.close()
    eventually(lambda: not listener.process.is_running, within=5)
    assert Alert.objects.count() == 1


@pytest.mark.parametrize("after", [3, 17])
def test_killed_at_any_moment_every_answered_mail_is_stored(listener, address, after):
    listener.start()
    answered, lock, enough = [], threading.Lock(), threading.Event()

    def send(sender):
        with contextlib.suppress(OSError, smtplib.SMTPException):
            client = listener.client()
            for number in range(1000):
                name = f"{sender}-{number}@example.org"
                mail = f"Subject: Disk full\r\nMessage-ID: <{name}>\r\n\r\n".encode()
                if client.sendmail("mon@example.org", address, mail) == {}:
                    with lock:
                        answered.append(name)
                    if len(answered) >= after:
                        enough.set()

    senders = [threading.Thread(target=send, args=[number]) for number in range(8)]
    for sender in senders:
        sender.start()
    assert enough.wait(30)
    listener.process.kill()
    for sender in senders:
        sender.join()
    stored = set(Alert.objects.values_list("dedup_key", flat=True))
    assert set(answered) <= stored
    assert len(stored) <= len(answered) + len(senders)
    listener.start()
    with listener.client() as client:
        for name in stored:
            mail = f"Subject: Disk full\r\nMessage-ID: <{name}>\r\n\r\n".encode()
            client.sendmail("mon@example.org", address, mail)
    assert set(Alert.objects.values_list("dedup_key", flat=True)) == stored


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"INTAKE_SMTP_PORT": "0"}, "INTAKE_SMTP_PORT is 0: mail is not to be taken."),
        ({"INTAKE_SMTP_CERTIFICATE": "/nonexistent.pem"}, "INTAKE_SMTP_CERTIFICATE cannot be used: "),
        ({"INTAKE_SMTP_HOST": "192.0.2.1"}, "Mail cannot be taken on 192.0.2.1:"),
    ],
)
def test_what_keeps_it_from_starting_is_said(listener, variables, said):
    listener.stack.environment |= variables
    process = listener.stack.start("mail", "django", "receive_mail")
    eventually(lambda: not process.is_running, within=30)
    assert said in process.output
    assert "Traceback" not in process.output
