"""The outbox: sent once, on time, whatever fails in between."""

import smtplib
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from unittest.mock import patch

import pytest
from django.core import mail

from incidents import lifecycle
from incidents.enums import Kind, Status
from incidents.timeline import SYSTEM
from notifications import backoff, leases, outbox, results
from notifications.enums import AttemptStatus, NotificationStatus, Purpose
from notifications.exceptions import ContactMethodDisabled, DeliveryError
from notifications.leases import LEASE
from notifications.models import MailboxMessage, Notification
from notifications.results import Failure
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from notifications.tests.recorder import work
from notifications.waking import GRACE

PENDING, SENDING, SENT = NotificationStatus.PENDING, NotificationStatus.SENDING, NotificationStatus.SENT


@pytest.fixture
def page(db, clock):
    return NotificationFactory()


def test_page_is_sent_once(page, provider, clock):
    for _ in range(3):
        outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.sent_at, page.attempt_count, len(provider.messages)) == (SENT, clock.now, 1, 1)
    attempt = page.attempts.get()
    assert (attempt.status, attempt.provider_id) == (AttemptStatus.SENT, "id-1")
    assert page.incident.timeline.get().kind == Kind.PAGE_SENT


def test_page_is_not_sent_before_it_is_due(page, provider, clock):
    Notification.objects.update(due_at=clock.now + timedelta(minutes=2))
    outbox.deliver(page.pk)
    assert provider.messages == []
    clock.advance(minutes=2)
    outbox.deliver(page.pk)
    assert len(provider.messages) == 1


def test_failure_is_tried_again_with_growing_pauses(page, provider, clock):
    provider.faults = [DeliveryError("busy")] * 4
    starts = []
    for _ in range(200):
        before = page.attempts.count()
        work(clock)
        if page.attempts.count() > before:
            starts.append(clock.now)
        clock.advance(seconds=0.25)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, len(provider.messages)) == (SENT, 5, 1)
    pauses = [(b - a).total_seconds() for a, b in pairwise(starts)]
    for pause, base in zip(pauses, (1, 2, 4, 8), strict=True):
        assert base * 0.5 <= pause <= base * 1.5 + 0.25


def test_after_five_failures_it_is_dead_and_says_so(page, provider, clock):
    provider.faults = [DeliveryError("busy")] * 9
    for _ in range(60):
        work(clock)
        clock.advance(seconds=1)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, page.last_error) == (NotificationStatus.DEAD, 5, "busy")
    kinds = page.incident.timeline.values_list("kind", flat=True)
    assert list(kinds) == [Kind.PAGE_FAILED, Kind.NOBODY_TO_PAGE]


def test_permanent_failure_is_not_tried_again(page, provider, clock):
    provider.faults = [DeliveryError("no such address", permanent=True)]
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.attempts.get().is_permanent) == (NotificationStatus.DEAD, True)


def test_transports_bug_is_kept_and_tried_again(page, provider, clock):
    provider.faults = [KeyError("oops")]
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, "KeyError" in page.last_error) == (PENDING, True)
    clock.advance(seconds=2)
    outbox.deliver(page.pk)
    assert len(provider.messages) == 1


def test_page_whose_worker_died_is_sent_when_the_lease_has_run_out(page, provider, clock):
    with patch.object(provider, "send", side_effect=SystemExit), pytest.raises(SystemExit):
        outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == SENDING
    clock.advance(seconds=LEASE.total_seconds() - 1)
    outbox.deliver(page.pk)
    assert outbox.sweep() == 0
    clock.advance(seconds=1)
    assert outbox.sweep() == 1
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == SENT
    assert list(page.attempts.values_list("status", flat=True)) == [
        AttemptStatus.ABANDONED,
        AttemptStatus.SENT,
    ]


def test_worker_that_comes_back_after_its_lease_changes_nothing(page, provider, clock):
    slow = leases.take(page.pk)
    clock.advance(seconds=LEASE.total_seconds())
    outbox.deliver(page.pk)
    results.finish(slow, failure=Failure("timed out"))
    page.refresh_from_db()
    assert (page.status, page.last_error) == (SENT, "")


@pytest.mark.parametrize("answer", [lifecycle.acknowledge, lifecycle.resolve])
def test_page_that_nobody_needs_any_more_is_dropped(page, provider, clock, answer):
    answer(incident_id=page.incident.pk, actor=SYSTEM)
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, provider.messages) == (NotificationStatus.CANCELLED, [])


def test_page_left_by_a_dead_worker_is_dropped_when_the_incident_was_answered(page, provider, clock):
    leases.take(page.pk)
    lifecycle.acknowledge(incident_id=page.incident.pk, actor=SYSTEM)
    clock.advance(seconds=LEASE.total_seconds())
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, provider.messages) == (NotificationStatus.CANCELLED, [])


def test_sweep_wakes_each_page_once_in_a_while(page, clock):
    Notification.objects.update(wake_at=clock.now)
    assert (outbox.sweep(), outbox.sweep()) == (1, 0)
    clock.advance(seconds=GRACE.total_seconds())
    assert outbox.sweep() == 1


def test_backoff_grows_to_its_cap():
    for attempt, base in [(1, 1), (2, 2), (3, 4), (4, 8), (20, 300)]:
        delays = [backoff.delay_after(attempt).total_seconds() for _ in range(50)]
        assert base * 0.5 <= min(delays) <= max(delays) <= base * 1.5
        assert len(set(delays)) > 1


def test_test_page_goes_out_by_one_method(clock, provider, db):
    method = ContactMethodFactory()
    notification = outbox.send_test(user=method.user, contact_method=method)
    outbox.deliver(notification.pk)
    [message] = provider.messages
    assert (message.address, message.subject, notification.purpose) == (
        method.address,
        "Test page from OpenAlert",
        Purpose.TEST,
    )
    method.is_enabled = False
    with pytest.raises(ContactMethodDisabled):
        outbox.send_test(user=method.user, contact_method=method)


def test_email_says_what_is_wrong_and_where_to_answer(page, settings):
    page.user.time_zone = "America/New_York"
    page.user.save()
    settings.SITE_URL = "https://alerts.example.org/"
    page.incident.title = "Disk full\r\nBcc: all@example.org <b>"
    page.incident.save()
    outbox.deliver(page.pk)
    [email] = mail.outbox
    assert email.to == [page.address]
    assert email.subject == f"[HIGH] #{page.incident.number} Disk full Bcc: all@example.org <b>"
    assert f"https://alerts.example.org/incidents/{page.incident.number}/" in email.body
    assert "2026-03-02 07:00 EST" in email.body
    [(html, mimetype)] = email.alternatives
    assert (mimetype, "&lt;b&gt;" in html, "<b>" in html) == ("text/html", True, False)


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b": (550, b"no such user")}), True),
        (smtplib.SMTPRecipientsRefused({"a@b": (450, b"greylisted")}), False),
        (smtplib.SMTPDataError(554, b"spam"), True),
        (smtplib.SMTPAuthenticationError(535, b"bad password"), False),
        (smtplib.SMTPServerDisconnected("gone"), False),
        (ConnectionRefusedError(), False),
        (TimeoutError(), False),
    ],
)
def test_mail_servers_answers(page, error, permanent):
    with patch("django.core.mail.EmailMultiAlternatives.send", side_effect=error):
        outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == (NotificationStatus.DEAD if permanent else PENDING)
    assert page.attempts.get().is_permanent == permanent


def test_mailbox_keeps_what_is_sent(page, settings):
    settings.EMAIL_BACKEND = "notifications.mailbox.MailboxBackend"
    outbox.deliver(page.pk)
    message = MailboxMessage.objects.get()
    assert (message.recipient, message.subject[:6]) == (page.address, "[HIGH]")
    assert "Acknowledge</a>" in message.html
    assert str(page.pk) in message.message_id


def test_snoozed_incident_is_not_paged(page, provider, clock):
    lifecycle.snooze(incident_id=page.incident.pk, until=clock.now + timedelta(hours=1), actor=SYSTEM)
    assert page.incident.__class__.objects.get().status == Status.SNOOZED
    outbox.deliver(page.pk)
    assert provider.messages == []


def kill_senders(page, provider, clock, count):
    """So many die in the call, one after the other, as soon as each gets the page."""
    with patch.object(provider, "send", side_effect=SystemExit) as killing:
        while killing.call_count < count:
            with suppress(SystemExit):
                outbox.deliver(page.pk)
            clock.advance(seconds=15)
    clock.advance(minutes=8)


def test_page_does_not_die_because_its_senders_died(page, provider, clock):
    kill_senders(page, provider, clock, 12)
    outbox.deliver(page.pk)
    assert provider.messages == [], "it is tried more and more seldom"
    clock.advance(minutes=8)
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, len(provider.messages)) == (SENT, 13, 1)


def test_senders_that_died_leave_a_page_all_its_attempts(page, provider, clock):
    kill_senders(page, provider, clock, 2)
    provider.faults = [DeliveryError("busy")] * 4
    for _ in range(60):
        work(clock)
        clock.advance(seconds=1)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, len(provider.messages)) == (SENT, 7, 1)


def test_page_whose_senders_die_goes_another_way_too(page, provider, clock):
    other = ContactMethodFactory(user=page.user)
    kill_senders(page, provider, clock, 3)
    outbox.deliver(page.pk)
    assert Notification.objects.exclude(pk=page.pk).get().contact_method == other
    work(clock)
    assert provider.addresses == [other.address]
    clock.advance(minutes=1)
    work(clock)
    assert provider.addresses == [other.address, page.address]


def test_page_that_kills_its_senders_is_given_up_at_last(page, provider, clock):
    began = clock.now
    kill_senders(page, provider, clock, leases.MOST_DEATHS)
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert (page.status, page.attempt_count, provider.messages) == (NotificationStatus.DEAD, 21, [])
    assert page.last_error == "its senders died or were too slow"
    assert clock.now - began > timedelta(minutes=40)
