"""Provider accounts: pauses that providers ask for, and the circuit breaker."""

from datetime import timedelta

import pytest

from notifications import accounts, leases, limits, outbox, results
from notifications.enums import Channel, Hold, NotificationStatus
from notifications.exceptions import DeliveryError
from notifications.models import Notification, ProviderAccount
from notifications.results import Failure
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from notifications.tests.recorder import work, work_for
from notifications.transports import account_of, accounts_of

from .provider import Answer

pytestmark = pytest.mark.django_db
DEAD, PENDING, SENT = NotificationStatus.DEAD, NotificationStatus.PENDING, NotificationStatus.SENT


def statuses():
    return list(Notification.objects.order_by("created_at").values_list("status", flat=True))


def busy(seconds):
    return DeliveryError("429 Too Many Requests", retry_after=timedelta(seconds=seconds))


def test_a_provider_that_asks_for_a_pause_gets_it_from_everybody(clock, provider):
    first, second = NotificationFactory(), NotificationFactory()
    provider.faults = [busy(30)]
    outbox.deliver(first.pk)
    outbox.deliver(second.pk)
    second.refresh_from_db()
    assert (second.status, second.hold, second.attempt_count) == (PENDING, Hold.PAUSE, 0)
    assert second.wake_at == clock.now + timedelta(seconds=30)
    clock.advance(seconds=29)
    outbox.deliver(first.pk)
    outbox.deliver(second.pk)
    assert provider.messages == []
    clock.advance(seconds=1)
    work(clock)
    assert (len(provider.messages), statuses()) == (2, [SENT, SENT])


def test_a_pause_survives_a_flush_of_redis(clock, provider, valkey):
    page = NotificationFactory()
    provider.faults = [busy(30)]
    outbox.deliver(page.pk)
    valkey.flushall()
    clock.advance(seconds=29)
    outbox.deliver(NotificationFactory().pk)
    assert provider.messages == []


def test_being_asked_to_wait_does_not_use_up_the_attempts(clock, provider):
    page = NotificationFactory()
    provider.faults = [busy(10)] * 12
    work_for(clock, minutes=3)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, page.uncounted_attempts) == (SENT, 13, 12)


@pytest.mark.parametrize(("asked", "kept"), [(-5, 1), (0, 1), (30, 30), (10**6, 3600)])
def test_a_pause_is_bearable(clock, asked, kept):
    until = accounts.pause("twilio", span=timedelta(seconds=asked), error="", now=clock.now)
    assert until == clock.now + timedelta(seconds=kept)


def test_a_shorter_pause_does_not_end_a_longer_one(clock):
    accounts.pause("twilio", span=timedelta(seconds=60), error="", now=clock.now)
    until = accounts.pause("twilio", span=timedelta(seconds=5), error="", now=clock.now)
    assert until == clock.now + timedelta(seconds=60)


def test_one_bad_address_does_not_open_the_breaker(clock, provider):
    page = NotificationFactory(address="bad@example.org")
    provider.faulty["bad@example.org"] = DeliveryError("450 greylisted")
    work_for(clock, minutes=1)
    page.refresh_from_db()
    assert (page.status, page.attempt_count) == (DEAD, 5)
    assert ProviderAccount.objects.get().open_until is None


def fail_to_open(clock, provider):
    for _ in range(4):
        NotificationFactory()
    provider.faults = [DeliveryError("500")] * 8
    while not ProviderAccount.objects.filter(open_until__isnull=False).exists():
        work(clock)
        clock.advance(seconds=1)


def test_a_failing_provider_is_left_alone_and_tried_by_one(clock, provider):
    fail_to_open(clock, provider)
    account = ProviderAccount.objects.get()
    waiting = NotificationFactory()
    outbox.deliver(waiting.pk)
    waiting.refresh_from_db()
    assert (waiting.hold, waiting.wake_at, waiting.attempt_count) == (Hold.BREAKER, account.open_until, 0)
    clock.set(account.open_until)
    first, second = (accounts.admit("recorder", now=clock.now) for _ in range(2))
    assert first == accounts.Admitted(is_probe=True)
    assert isinstance(second, accounts.Closed)


def test_the_probe_that_arrives_lets_the_others_go_at_once(clock, provider):
    fail_to_open(clock, provider)
    waiting = [NotificationFactory() for _ in range(3)]
    for page in waiting:
        outbox.deliver(page.pk)
    clock.set(ProviderAccount.objects.get().open_until)
    outbox.deliver(waiting[0].pk)
    assert outbox.sweep() == Notification.objects.filter(status=PENDING).count() > 0
    account = ProviderAccount.objects.get()
    assert (account.failures, account.open_until) == (0, None)
    work_for(clock, seconds=30)
    assert set(statuses()) == {SENT}


def test_openings_grow_while_the_provider_stays_away(clock, provider):
    fail_to_open(clock, provider)
    provider.faults = [DeliveryError("500")] * 100
    openings = []
    for _ in range(4):
        clock.set(ProviderAccount.objects.get().open_until)
        outbox.deliver(NotificationFactory().pk)
        openings.append((ProviderAccount.objects.get().open_until - clock.now).total_seconds())
    assert openings == [20, 40, 60, 60]


def test_a_probe_whose_worker_died_is_followed_by_another(clock):
    ProviderAccount.objects.create(name="smtp", failures=9, openings=1, open_until=clock.now)
    assert accounts.admit("smtp", now=clock.now) == accounts.Admitted(is_probe=True)
    clock.advance(seconds=accounts.PROBE.total_seconds())
    assert accounts.admit("smtp", now=clock.now) == accounts.Admitted(is_probe=True)


def test_a_refusal_for_good_shows_that_the_provider_is_there(clock, provider):
    fail_to_open(clock, provider)
    clock.set(ProviderAccount.objects.get().open_until)
    provider.faults = [DeliveryError("550 no such user", permanent=True)]
    outbox.deliver(NotificationFactory().pk)
    assert ProviderAccount.objects.get().open_until is None


def test_a_fault_of_ours_says_nothing_about_the_provider(clock, provider, monkeypatch):
    def broken(notification):
        raise KeyError("oops")

    monkeypatch.setattr("notifications.messages.render", broken)
    page = NotificationFactory()
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert "KeyError" in page.last_error
    assert not ProviderAccount.objects.exists()


def test_a_transport_without_credentials_is_not_called(clock, provider):
    provider.off = "Set TWILIO_ACCOUNT_SID."
    page = NotificationFactory()
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.last_error, provider.messages) == (DEAD, "Set TWILIO_ACCOUNT_SID.", [])


def test_operations_are_told_once_in_ten_minutes(clock):
    told = []
    for _ in range(21):
        told.append(accounts.may_tell_operations("smtp", now=clock.now))
        clock.advance(minutes=1)
    assert [minute for minute, is_told in enumerate(told) if is_told] == [0, 10, 20]
    assert accounts.may_tell_operations("twilio", now=clock.now)


def test_a_failure_that_is_written_twice_counts_once(clock, provider):
    """The commit's answer was lost, so the sender writes its result again."""
    lease = leases.take(NotificationFactory().pk)
    for _ in range(2):
        results.finish(lease, failure=Failure("500"))
    assert ProviderAccount.objects.get().failures == 1


def test_a_failure_that_comes_after_its_lease_counts(clock, provider):
    page = NotificationFactory()
    late = leases.take(page.pk)
    clock.advance(seconds=leases.LEASE.total_seconds())
    leases.take(page.pk)
    results.finish(late, failure=Failure("500"))
    assert ProviderAccount.objects.get().failures == 1


def test_what_a_failure_asks_for_is_done_though_it_was_written_twice(clock, provider):
    page = NotificationFactory()
    lease = leases.take(page.pk)
    for _ in range(2):
        finished = results.finish(lease, failure=Failure("no", permanent=True))
    assert [(n.pk, n.needs_fallback) for n in finished] == [(page.pk, True)]


@pytest.mark.django_db
def test_one_messengers_failures_and_pauses_are_not_the_others(clock, web, reachable, settings):
    """A person's own ntfy that is down closes ntfy, not Telegram; nor does its pause hold Telegram's pages back."""
    web.usual = Answer(429, b"", {"Retry-After": "60"})
    down = ContactMethodFactory(channel=Channel.APPRISE, address=f"ntfy://127.0.0.1:{web.port}/pages")
    other = ContactMethodFactory(
        channel=Channel.APPRISE, address="tgram://123456789:abcdefg_hijklmnop/12315544"
    )
    outbox.deliver(NotificationFactory(user=down.user, contact_method=down).pk)
    assert accounts_held(clock) == {"apprise-ntfy"}
    waiting, free = (NotificationFactory(user=m.user, contact_method=m) for m in (down, other))
    found = leases.take_all([waiting.pk, free.pk])
    assert {(type(one), getattr(one, "account", "")) for one in found} == {
        (leases.Held, ""),
        (leases.Lease, "apprise-tgram"),
    }


def accounts_held(clock):
    return {a.name for a in ProviderAccount.objects.all() if a.paused_until and a.paused_until > clock.now}


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("https://fcm.googleapis.com/fcm/send/x", "web_push-google"),
        ("https://updates.push.services.mozilla.com/wpush/v2/x", "web_push-mozilla"),
        ("https://web.push.apple.com/x", "web_push-apple"),
        ("https://wns2-par02p.notify.windows.com/w/?token=x", "web_push-microsoft"),
        ("https://push.example.org/x", "web_push"),
        ("https://notgoogleapis.com/x", "web_push"),
        ("https://[fcm.googleapis.com/x", "web_push"),
    ],
)
def test_each_push_service_is_a_provider_of_its_own(address, account):
    assert account_of(Channel.WEB_PUSH, address) == account
    assert account in accounts_of(Channel.WEB_PUSH)


def test_a_limit_may_be_for_all_messengers_or_for_one(settings):
    settings.PROVIDER_LIMITS = {"apprise": 7, "apprise-ntfy": 3}
    names = ("apprise-ntfy", "apprise-tgram", "web_push-google")
    assert [limits.limit_of(name) for name in names] == [3, 7, settings.PROVIDER_LIMIT_PER_MINUTE]
