"""Faults over real sockets: what the person got, what was lost, what came twice.

The outbox against a provider that is any: each transport's own is in test_provider_faults.py. The table is printed at
pytest's end.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from django.db import connection
from django.utils import timezone

from notifications import dead_letters, outbox
from notifications.enums import AttemptStatus, Channel, NotificationStatus
from notifications.models import DeliveryAttempt, Notification, ProviderAccount
from notifications.tests.factories import NotificationFactory
from notifications.transports import TRANSPORTS
from openalert.tests.stack import eventually, free_port
from teams.tests.factories import UserFactory

from . import fault_table
from .fake_provider import ADDRESS_VARIABLE, FakeProvider, FakeTransport
from .fault_table import Row
from .recorder import work, work_for

ROOT = Path(__file__).resolve().parent.parent.parent
PROVIDER = "any provider"
DEAD, PENDING, SENT = NotificationStatus.DEAD, NotificationStatus.PENDING, NotificationStatus.SENT


@pytest.fixture
def fake(monkeypatch):
    fake = FakeProvider()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, FakeTransport(fake.url))
    yield fake
    fake.stop()


def reckon(fault, pages, fake, *, got=""):
    """A row of the table: lost is what was neither taken by the provider nor kept as a dead letter."""
    dead = {str(letter.pk) for letter in dead_letters.dead_letters()}
    lost = {str(page.pk) for page in pages} - set(fake.taken) - dead
    messages = len(set(fake.taken))
    row = Row(PROVIDER, fault, got or f"{messages} of {len(pages)}", len(lost), fake.duplicates)
    fault_table.add(row)
    return row


def refuse(status, **headers):
    return lambda request: request.answer(status, {"error": "no"}, **headers)


# With a clock that is moved by hand


@pytest.mark.django_db
def test_resetting(clock, fake):
    page = NotificationFactory()
    fake.faults = [lambda request: request.reset()] * 3
    work_for(clock, seconds=20)
    assert page.attempts.filter(status=AttemptStatus.FAILED).count() == 3
    row = reckon("connection reset, three times", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, 0)


@pytest.mark.django_db
def test_reset_after_the_message_was_taken(clock, fake):
    """Nobody can know: a duplicate is better than silence."""

    def take_and_reset(request):
        fake.taken.append(request.message["notification"])
        request.reset()

    page = NotificationFactory()
    fake.faults = [take_and_reset]
    work_for(clock, seconds=5)
    row = reckon("connection reset after the message was taken", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, 1)


@pytest.mark.django_db
def test_429(clock, fake):
    pages = [NotificationFactory() for _ in range(5)]
    fake.faults = [refuse(429, Retry_After="30")]
    started = clock.now
    work_for(clock, seconds=29)
    assert (fake.calls, fake.taken) == (1, [])
    work_for(clock, seconds=5)
    row = reckon("429 with Retry-After: 30", pages, fake, got="5 of 5, after 30 s; one call in the pause")
    assert (len(fake.taken), row.lost, row.duplicated) == (5, 0, 0)
    assert Notification.objects.order_by("sent_at").first().sent_at == started + timedelta(seconds=30)


@pytest.mark.django_db
def test_500_for_ten_minutes(clock, fake):
    """A page every twenty seconds, each to somebody else, while the provider is down."""
    fake.behave = refuse(500)
    pages = []
    for _ in range(30):
        pages.append(NotificationFactory(user=UserFactory()))
        work_for(clock, step=5, seconds=15)
        clock.advance(seconds=5)
    calls, dead = fake.calls, dead_letters.dead_letters().count()
    assert fake.taken == []
    assert ProviderAccount.objects.get().open_until is not None
    assert calls < 60
    fake.behave = None
    work_for(clock, seconds=70)
    waited = len(fake.taken)
    assert waited == 30 - dead
    assert not Notification.objects.filter(status=PENDING).exists()
    operator = UserFactory(is_superuser=True)
    dead_letters.replay(dead_letters.dead_letters().values_list("pk", flat=True), by=operator)
    work_for(clock, seconds=5)
    row = reckon(
        "500 for ten minutes",
        pages,
        fake,
        got=f"{waited} of 30 when it was back, {dead} dead letters by replay; {calls} calls meanwhile",
    )
    assert (len(set(fake.taken)), row.lost, row.duplicated) == (30, 0, 0)


@pytest.mark.django_db
def test_lying(clock, fake):
    page = NotificationFactory()
    fake.faults = [lambda request: request.answer(200, {"error": "queue full"})] * 2
    work_for(clock, seconds=10)
    page.refresh_from_db()
    assert (page.status, page.attempt_count) == (SENT, 3)
    assert "queue full" in page.attempts.first().error
    row = reckon("200 with an error in the body", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, 0)


@pytest.mark.django_db
def test_refused_for_good(clock, fake):
    page = NotificationFactory()
    fake.faults = [refuse(400)]
    work_for(clock, seconds=60)
    row = reckon("400", [page], fake, got="a dead letter, after one call")
    assert (fake.calls, row.lost, row.duplicated) == (1, 0, 0)
    assert Notification.objects.get(pk=page.pk).status == DEAD


@pytest.mark.django_db
def test_redis_is_flushed_while_pages_wait(clock, fake, settings, valkey):
    settings.PROVIDER_LIMIT_PER_MINUTE = 5
    pages = [NotificationFactory(priority=0) for _ in range(12)]
    per_minute = []
    for _ in range(3):
        work(clock)
        valkey.flushall()
        work(clock)
        per_minute.append(len(fake.taken))
        clock.advance(minutes=1)
    assert per_minute == [5, 10, 12]
    row = reckon("Redis flushed every minute, limit 5 a minute", pages, fake, got="12 of 12, 5 a minute")
    assert (len(fake.taken), row.lost, row.duplicated) == (12, 0, 0)


# With the real clock


@pytest.mark.django_db
def test_slow(fake):
    def slowly(request):
        time.sleep(1)
        request.take()

    page = NotificationFactory()
    fake.faults = [slowly]
    outbox.deliver(page.pk)
    attempt = page.attempts.get()
    assert (attempt.status, attempt.provider_id, attempt.latency_seconds >= 1) == ("sent", "fake-1", True)
    row = reckon("slow", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, 0)


@pytest.mark.django_db
def test_hanging_until_the_transports_timeout(fake, monkeypatch):
    over = threading.Event()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, FakeTransport(fake.url, timeout_seconds=0.3))
    page = NotificationFactory()
    fake.faults = [lambda request: over.wait(30)]
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, "Timeout" in page.last_error) == (PENDING, True)
    Notification.objects.update(due_at=timezone.now())
    outbox.deliver(page.pk)
    over.set()
    row = reckon("hanging, until the transport’s time-out", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, 0)


@pytest.mark.django_db(transaction=True)
def test_hanging_longer_than_the_lease(fake):
    """A transport that keeps no time of its own: another worker sends the page, and the first comes too late."""
    over = threading.Event()

    def hang_and_take(request):
        over.wait(30)
        request.take()

    page = NotificationFactory()
    fake.faults = [hang_and_take]

    def worker():
        outbox.deliver(page.pk)
        connection.close()

    stuck = threading.Thread(target=worker)
    stuck.start()
    eventually(lambda: fake.calls == 1, within=30)
    Notification.objects.update(lease_until=timezone.now(), wake_at=timezone.now())
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, len(fake.taken)) == (SENT, 1)
    sent_at = page.sent_at
    over.set()
    stuck.join(30)
    page.refresh_from_db()
    assert (page.status, page.sent_at, page.attempt_count) == (SENT, sent_at, 2)
    row = reckon("hanging longer than the lease, and then taken", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, 1)


def kill_a_worker_in_the_call(page, fake, environment):
    """Run a delivery as a process of its own, and kill -9 it while the provider has not answered."""
    code = "import sys; from notifications.tests import fake_provider as f; "
    code += "f.deliver_in_a_process_of_its_own(sys.argv[1])"
    worker = subprocess.Popen(
        [sys.executable, "-c", code, str(page.pk)],
        cwd=ROOT,
        env={**os.environ, **environment, ADDRESS_VARIABLE: fake.url},
        stderr=subprocess.PIPE,
    )
    try:
        eventually(lambda: fake.calls == 1 or worker.poll() is not None, within=60)
        assert worker.poll() is None, worker.stderr.read().decode()
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        worker.stderr.close()
    page.refresh_from_db()
    assert (page.status, page.attempts.get().status) == ("sending", AttemptStatus.STARTED)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("was_taken", [False, True])
def test_worker_killed_in_the_call(fake, embedded_environment, was_taken):
    over = threading.Event()

    def hang(request):
        if was_taken:
            fake.taken.append(request.message["notification"])
        over.wait(60)

    page = NotificationFactory()
    fake.faults = [hang]
    kill_a_worker_in_the_call(page, fake, embedded_environment)
    over.set()
    outbox.deliver(page.pk)
    assert fake.calls == 1, "the lease holds"
    Notification.objects.update(lease_until=timezone.now(), wake_at=timezone.now())
    assert outbox.sweep() == 1
    outbox.deliver(page.pk)
    statuses = list(DeliveryAttempt.objects.order_by("number").values_list("status", flat=True))
    assert statuses == [AttemptStatus.ABANDONED, AttemptStatus.SENT]
    when = "after" if was_taken else "before"
    row = reckon(f"worker killed (-9), {when} the provider took the message", [page], fake)
    assert (row.got, row.lost, row.duplicated) == ("1 of 1", 0, int(was_taken))


# A real mail server


class Mailroom:
    """aiosmtpd's handler: takes mails, or answers what it is told to."""

    def __init__(self):
        self.taken, self.answers = [], []

    async def handle_DATA(self, server, session, envelope):
        if self.answers:
            return self.answers.pop(0)
        self.taken.append(envelope.rcpt_tos[0])
        return "250 OK"

    @property
    def duplicates(self):
        return len(self.taken) - len(set(self.taken))


@pytest.fixture
def mailroom(settings):
    mailroom = Mailroom()
    controller = Controller(mailroom, hostname="127.0.0.1", port=free_port())
    controller.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = controller.hostname, controller.port
    settings.EMAIL_TIMEOUT = 5
    yield mailroom
    controller.stop()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("answers", "attempts", "status"),
    [
        (["451 try again later", "421 closing"], 3, SENT),
        (["554 no"], 1, DEAD),
    ],
)
def test_mail_server_refuses(mailroom, answers, attempts, status):
    page = NotificationFactory()
    mailroom.answers = list(answers)
    for _ in range(attempts):
        Notification.objects.update(due_at=timezone.now())
        outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.attempt_count) == (status, attempts)
    assert mailroom.taken == ([page.address] if status == SENT else [])
    got = "1 of 1" if status == SENT else "a dead letter, after one call"
    is_kept = page.address in mailroom.taken or page in dead_letters.dead_letters()
    fault_table.add(Row("email (SMTP)", ", ".join(answers), got, int(not is_kept), mailroom.duplicates))
