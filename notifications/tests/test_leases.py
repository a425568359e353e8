"""Leases: short, and renewed as long as the sender lives."""

import pytest
from django.db import OperationalError

from notifications import lease_keeper, leases, outbox, results
from notifications.enums import NotificationStatus
from notifications.lease_keeper import LONGEST, Keeper
from notifications.leases import LEASE
from notifications.models import Notification
from notifications.tests.factories import NotificationFactory


@pytest.fixture
def keeper(monkeypatch):
    """Whose thread does nothing in the time that a test takes."""
    monkeypatch.setattr(lease_keeper, "RENEW_SECONDS", 30.0)
    return Keeper()


@pytest.fixture
def page(db, clock):
    return NotificationFactory()


def grow_old(monkeypatch, seconds):
    """What is held from here on has been held for so long."""
    real = lease_keeper.time.monotonic()
    monkeypatch.setattr(lease_keeper.time, "monotonic", lambda: real + seconds)


def test_lease_of_a_slow_message_is_renewed(page, keeper, clock, monkeypatch):
    lease = leases.take(page.pk)
    with keeper.holding(lease):
        assert (keeper.count, keeper.renew()) == (1, 0), "it has only begun"
        clock.advance(seconds=LEASE.total_seconds() - 1)
        grow_old(monkeypatch, 31)
        assert keeper.renew() == 1
    page.refresh_from_db()
    assert page.lease_until == page.wake_at == clock.now + LEASE
    assert (keeper.count, keeper.renew()) == (0, 0)


def test_lease_of_a_message_that_hangs_runs_out(page, keeper, monkeypatch):
    with keeper.holding(leases.take(page.pk)):
        grow_old(monkeypatch, LONGEST.total_seconds() + 1)
        assert keeper.renew() == 0


def test_lease_that_somebody_else_has_now_is_not_renewed(page, keeper, clock, monkeypatch):
    with keeper.holding(leases.take(page.pk)):
        clock.advance(seconds=LEASE.total_seconds())
        leases.take(page.pk)
        grow_old(monkeypatch, 31)
        assert keeper.renew() == 0


def test_lease_of_what_was_sent_is_not_renewed(page, keeper, monkeypatch):
    lease = leases.take(page.pk)
    with keeper.holding(lease):
        results.finish(lease, provider_id="1")
        grow_old(monkeypatch, 31)
        assert keeper.renew() == 0
    assert Notification.objects.get().status == NotificationStatus.SENT


def test_keepers_thread_renews_by_itself(page, clock, monkeypatch):
    renewed = lease_keeper.threading.Event()
    monkeypatch.setattr(lease_keeper, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(Keeper, "renew", lambda keeper: renewed.set())
    with Keeper().holding(leases.take(page.pk)):
        assert renewed.wait(10)


def test_killed_senders_page_is_free_again_after_a_short_lease(page, clock):
    leases.take(page.pk)
    clock.advance(seconds=LEASE.total_seconds() - 1)
    assert outbox.take_left_behind(limit=9) == []
    clock.advance(seconds=1)
    assert outbox.take_left_behind(limit=9) == [page.pk]


def test_leases_are_kept_no_longer_when_the_database_goes_away_right_after_them(page, clock, monkeypatch):
    """Another sender is to take over when the lease is over, and not only when it was renewed for two minutes."""

    def away(*args, **kwargs):
        raise OperationalError("gone")

    before = lease_keeper.keeper.count
    monkeypatch.setattr(outbox.limits, "take", away)
    with pytest.raises(OperationalError):
        outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, lease_keeper.keeper.count) == (NotificationStatus.SENDING, before)
