"""Each transport, as it is, against a provider that misbehaves on a real socket: what the person got, lost, twice.

Everybody has a second way, by another provider, which takes what it is given. The table is printed at pytest's end.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.urls import reverse
from django.utils import timezone

from incidents.enums import Severity
from notifications import dead_letters, outbox
from notifications.enums import AttemptStatus, Channel, NotificationStatus, Receipt
from notifications.models import Notification
from notifications.transports import TRANSPORTS, mobile_push
from openalert.tests.stack import eventually
from teams.tests.factories import MembershipFactory, UserFactory

from . import fault_table, twilio_spec
from .factories import ContactMethodFactory, NotificationFactory
from .fault_table import Row
from .provider import Answer, Hang, Reset, Taken, as_json
from .recorder import Recorder, work_for
from .test_push import Browser, url64
from .test_twilio import ACCOUNT, CALL_SID, SID, TOKEN, post

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parent.parent.parent
DEAD, PENDING, SENDING, SENT = (
    NotificationStatus.DEAD,
    NotificationStatus.PENDING,
    NotificationStatus.SENDING,
    NotificationStatus.SENT,
)
FCM_NAME = "projects/openalert-test/messages/1"


def reached_by_twilio(sid: str) -> Callable[[Taken], Answer]:
    return partial(twilio_spec.answer, sid=sid, status="queued")


@dataclass(frozen=True)
class Way:
    """One transport: who is reached by it, how its provider says yes, and how it says so when it is a lie."""

    channel: Channel
    provider: str
    address: Callable[[str, int], str]  # of the provider's URL and the person's number
    mark: Callable[[int], str]  # what tells the person's message from the others'
    yes: Answer | Callable[[Taken], Answer]
    lie: Answer


def in_number(n: int) -> str:
    return f"4155550{100 + n}"


WAYS = {
    "SMS": Way(
        Channel.SMS,
        "Twilio",
        lambda url, n: f"+1{in_number(n)}",
        in_number,
        reached_by_twilio(SID),
        as_json({"error": "queue full"}),
    ),
    "call": Way(
        Channel.VOICE,
        "Twilio",
        lambda url, n: f"+1{in_number(n)}",
        in_number,
        reached_by_twilio(CALL_SID),
        as_json({"error": "queue full"}),
    ),
    "email": Way(
        Channel.EMAIL,
        "SendGrid",
        lambda url, n: f"person{n}.x@example.org",
        lambda n: f"person{n}.x@",
        Answer(202, b"", {"X-Message-Id": "14c5d75ce93"}),
        as_json({"errors": [{"message": "queue full"}]}),
    ),
    "browser push": Way(
        Channel.WEB_PUSH,
        "push service",
        lambda url, n: f"{url}/push/person{n}.x",
        lambda n: f"person{n}.x",
        Answer(201, b"", {"Location": "https://push.example.org/1"}),
        as_json({"error": "queue full"}),
    ),
    "phone push": Way(
        Channel.MOBILE_PUSH,
        "FCM",
        lambda url, n: f"token-of-person{n}_x:APA91bHxxxxxxxxxxxx",
        lambda n: f"person{n}_x",
        as_json({"name": FCM_NAME}),
        as_json({"error": {"message": "queue full"}}),
    ),
    "Slack": Way(
        Channel.SLACK,
        "Slack",
        lambda url, n: f"U{1000 + n}BE7LH",
        lambda n: f"U{1000 + n}BE7LH",
        as_json({"ok": True, "channel": "D024BE91L", "ts": "1503435956.000247"}),
        as_json({"ok": False, "error": "internal_error"}),
    ),
    "Teams": Way(
        Channel.TEAMS,
        "Teams",
        lambda url, n: f"{url}/workflows/person{n}.x",
        lambda n: f"person{n}.x",
        Answer(202),
        Answer(200, b"Webhook message delivery failed with error: queue full"),
    ),
    "messenger": Way(
        Channel.APPRISE,
        "ntfy",
        lambda url, n: f"ntfy://{url.removeprefix('http://')}/person{n}-x",
        lambda n: f"person{n}-x",
        as_json({"id": "x"}),
        as_json({"error": "queue full"}),
    ),
}


class Bench:
    """A provider, and people who are reached by it first and by something else second."""

    def __init__(self, name, web, other):
        self.name, self.way, self.web, self.other = name, WAYS[name], web, other
        self.pages: list[Notification] = []
        self.accepted: Counter[int] = Counter()

    def page(self, count=1):
        for n in range(len(self.pages), len(self.pages) + count):
            user = UserFactory()
            method = ContactMethodFactory(
                user=user,
                channel=self.way.channel,
                address=self.way.address(self.web.url, n),
                keys=Browser().keys if self.way.channel == Channel.WEB_PUSH else {},
            )
            ContactMethodFactory(user=user, channel=self.other_channel, address=f"other{n}@example.org")
            page = NotificationFactory(
                user=user, contact_method=method, priority=0, incident__severity=Severity.CRITICAL
            )
            MembershipFactory(team=page.incident.service.team, user=user)
            self.pages.append(page)
        return self.pages[-count:]

    @property
    def other_channel(self):
        return Channel.EMAIL if self.way.channel != Channel.EMAIL else Channel.SMS

    def yes(self, taken: Taken) -> Answer:
        """The provider takes the message."""
        if taken.path == "/token":
            return as_json({"access_token": "ya29.token", "expires_in": 3599, "token_type": "Bearer"})
        where = f"{taken.path} {taken.body.decode(errors='replace')}"
        [person] = [n for n in range(len(self.pages)) if self.way.mark(n) in where]
        self.accepted[person] += 1
        return self.way.yes(taken) if callable(self.way.yes) else self.way.yes

    def fault(self, answer):
        """One of the answers, for messages only: FCM's token is given all the same."""

        def behave(taken: Taken):
            return self.yes(taken) if taken.path == "/token" else answer

        return answer if isinstance(answer, type) else behave

    def reckon(self, fault, *, note=""):
        others = {int(address.removeprefix("other").partition("@")[0]) for address in self.other.addresses}
        people = range(len(self.pages))
        dead = {letter.user_id for letter in dead_letters.dead_letters()}
        lost = [
            n
            for n in people
            if not self.accepted[n] and n not in others and self.pages[n].user_id not in dead
        ]
        by_it, both = len(self.accepted), len(others & set(self.accepted))
        got = f"{by_it} of {len(self.pages)} by it"
        if others:
            got += f", {len(others)} by another way"
        if both:
            got += f" ({both} by both)"
        twice = sum(self.accepted.values()) - by_it
        fault_table.add(
            Row(f"{self.name} ({self.way.provider})", fault, got + (note and f"; {note}"), len(lost), twice)
        )
        return by_it, len(others), len(lost), twice


def set_up(name, web, settings, tmp_path):
    twilio_spec.spec()  # large: not to be read while somebody waits for an answer
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT, TOKEN
    settings.TWILIO_FROM_NUMBER, settings.TWILIO_API_URL = "+15005550006", web.url
    settings.FEATURE_VOICE_CALLS = True
    settings.SITE_URL = "https://alerts.example.org"
    settings.SENDGRID_API_KEY = "SG.key" if name == "email" else ""
    settings.SENDGRID_API_URL = web.url
    settings.WEB_PUSH_PRIVATE_KEY = url64(bytes(range(1, 33)))
    settings.WEB_PUSH_CONTACT = "mailto:admin@example.org"
    settings.SLACK_BOT_TOKEN, settings.SLACK_API_URL = "xoxb-token", web.url
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": "openalert-test",
        "private_key_id": "key-1",
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "pages@openalert-test.iam.example.org",
        "token_uri": f"{web.url}/token",
    }
    file = tmp_path / "firebase.json"
    file.write_text(json.dumps(account))
    settings.FCM_SERVICE_ACCOUNT_FILE, settings.FCM_API_URL = str(file), web.url
    mobile_push.credentials.cache_clear()


@pytest.fixture(params=WAYS)
def bench(request, web, settings, tmp_path, monkeypatch):
    set_up(request.param, web, settings, tmp_path)
    other = Recorder()
    bench = Bench(request.param, web, other)
    monkeypatch.setitem(TRANSPORTS, bench.other_channel, other)
    web.usual = bench.yes
    yield bench
    mobile_push.credentials.cache_clear()


def test_slow(clock, bench):
    def slowly(taken):
        time.sleep(0.5)
        return bench.yes(taken)

    bench.web.usual = slowly
    bench.page()
    work_for(clock, seconds=5)
    assert bench.reckon("slow") == (1, 0, 0, 0)


def test_hanging(clock, bench):
    bench.web.answers = [Hang] * 2
    [page] = bench.page()
    work_for(clock, seconds=10)
    page.refresh_from_db()
    assert bench.reckon("hanging, twice") == (1, 0, 0, 0)
    assert (page.status, page.attempt_count) == (SENT, 3)


def test_resetting(clock, bench):
    bench.web.answers = [Reset] * 3
    [page] = bench.page()
    work_for(clock, seconds=20)
    page.refresh_from_db()
    assert bench.reckon("connection reset, three times") == (1, 0, 0, 0)
    assert (page.status, page.attempt_count) == (SENT, 4)


def test_reset_after_it_was_taken(clock, bench):
    """Nobody can know that it was: a duplicate is better than silence."""

    def take_and_reset(taken):
        bench.yes(taken)
        return Reset

    if bench.way.channel == Channel.MOBILE_PUSH:
        bench.web.answers = [bench.yes]
    bench.web.answers.append(take_and_reset)
    bench.page()
    work_for(clock, seconds=5)
    assert bench.reckon("connection reset after it was taken") == (1, 0, 0, 1)


def test_429(clock, bench):
    """The account pauses for all; what waits too long goes another way, and still comes when the pause is over."""
    asked = [bench.fault(Answer(429, b"", {"Retry-After": "30"}))]
    bench.web.answers = [bench.yes, *asked] if bench.way.channel == Channel.MOBILE_PUSH else asked
    pages = bench.page(3)
    work_for(clock, seconds=25)
    assert sum(bench.accepted.values()) == 0 and len(bench.other.addresses) == 3
    work_for(clock, seconds=20)
    assert bench.reckon("429, Retry-After: 30", note="by it after 30 s") == (3, 3, 0, 0)
    assert {page.attempts.count() for page in pages} <= {1, 2}


def test_500_for_ten_minutes(clock, bench):
    """A page a minute, each to somebody else, while the provider is down."""
    bench.web.usual = bench.fault(Answer(500, b"{}"))
    for _ in range(10):
        bench.page()
        work_for(clock, step=5, seconds=55)
        clock.advance(seconds=5)
    calls = len([taken for taken in bench.web.taken if taken.path != "/token"])
    assert len(bench.other.addresses) == 10, "each went another way while it was down"
    bench.web.usual = bench.yes
    work_for(clock, step=5, seconds=70)
    by_it, others, lost, twice = bench.reckon(
        "500 for ten minutes",
        note=f"{calls} calls meanwhile, {dead_letters.dead_letters().count()} dead letters",
    )
    assert (others, lost, twice) == (10, 0, 0)
    assert by_it + dead_letters.dead_letters().count() == 10
    assert not Notification.objects.filter(status__in=(PENDING, SENDING)).exists()


def test_lying(clock, bench):
    bench.web.answers = [bench.yes] if bench.way.channel == Channel.MOBILE_PUSH else []
    bench.web.answers += [bench.fault(bench.way.lie)] * 2
    [page] = bench.page()
    work_for(clock, seconds=60)
    page.refresh_from_db()
    assert page.attempts.filter(status=AttemptStatus.FAILED).count() == 2
    assert bench.reckon("200 with an error in the body")[2:] == (0, 0)


def test_refused_for_good(clock, bench):
    bench.web.usual = bench.fault(Answer(400, b"{}"))
    bench.page()
    work_for(clock, seconds=60)
    by_it, others, lost, twice = bench.reckon("400")
    assert (by_it, others, lost, twice) == (0, 1, 0, 0)
    assert dead_letters.dead_letters().count() == 1


# A worker that is killed while Twilio has its message

TWILIO_VARIABLES = {
    "TWILIO_ACCOUNT_SID": ACCOUNT,
    "TWILIO_AUTH_TOKEN": TOKEN,
    "TWILIO_FROM_NUMBER": "+15005550006",
    "FEATURE_VOICE_CALLS": "true",
}
CODE = """
import sys, django
django.setup()
from notifications import outbox
outbox.deliver(sys.argv[1])
"""


@pytest.fixture
def killed(web, settings, tmp_path, monkeypatch, embedded_environment):
    """A function that delivers one SMS by a process of its own, and kills it (-9) before it is answered."""
    set_up("SMS", web, settings, tmp_path)
    bench = Bench("SMS", web, Recorder())

    def kill(*, is_taken):
        def hang(taken):
            if is_taken:
                bench.yes(taken)
            return Hang

        [page] = bench.page()
        web.answers, web.usual = [hang], bench.yes
        worker = subprocess.Popen(
            [sys.executable, "-c", CODE, str(page.pk)],
            cwd=ROOT,
            env={
                **os.environ,
                **embedded_environment,
                **TWILIO_VARIABLES,
                "TWILIO_API_URL": web.url,
                "DJANGO_SETTINGS_MODULE": "openalert.settings",
            },
            stderr=subprocess.PIPE,
        )
        try:
            eventually(lambda: len(web.taken) == 1 or worker.poll() is not None, within=60)
            assert worker.poll() is None, worker.stderr.read().decode()
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            worker.stderr.close()
        page.refresh_from_db()
        assert (page.status, page.attempts.get().status) == (SENDING, AttemptStatus.STARTED)
        return bench, page

    return kill


def take_over(page):
    """The lease runs out, and the sweep wakes another worker."""
    Notification.objects.update(lease_until=timezone.now(), wake_at=timezone.now())
    outbox.sweep()
    outbox.deliver(page.pk)
    page.refresh_from_db()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_taken", [False, True])
def test_worker_killed_mid_send(killed, is_taken):
    bench, page = killed(is_taken=is_taken)
    take_over(page)
    assert page.status == SENT
    when = "after" if is_taken else "before"
    assert bench.reckon(f"worker killed (-9) {when} it was taken") == (1, 0, 0, int(is_taken))


@pytest.mark.django_db(transaction=True)
def test_worker_killed_mid_send_and_the_provider_tells_that_it_has_it(killed):
    """What the provider told in the meantime makes a second message needless."""
    bench, page = killed(is_taken=True)
    path = reverse("twilio-message-status", args=[page.pk])
    assert post(path, {"MessageSid": SID, "MessageStatus": "sent"}).status_code == 204
    take_over(page)
    attempt = page.attempts.get()
    assert (page.status, attempt.status, attempt.provider_id) == (SENT, AttemptStatus.SENT, SID)
    assert attempt.receipt == Receipt.PASSED_ON
    assert bench.reckon("worker killed (-9) after it was taken, Twilio told us") == (1, 0, 0, 0)
