"""Storms: many pages to one person in a minute go together, and none is lost or sent twice."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import connection

from incidents import lifecycle
from incidents.enums import Kind, Severity
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM, sentence
from notifications import bundles, outbox
from notifications.enums import Hold, NotificationStatus
from notifications.exceptions import DeliveryError
from notifications.leases import LEASE
from notifications.models import DeliveryAttempt, Notification
from notifications.tests.factories import ContactMethodFactory, NotificationFactory
from notifications.tests.recorder import work, work_for
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db
DEAD, PENDING, SENT = NotificationStatus.DEAD, NotificationStatus.PENDING, NotificationStatus.SENT


@pytest.fixture
def method(db):
    return ContactMethodFactory(address="ana@example.org")


@pytest.fixture
def services(db):
    return [ServiceFactory(name=name) for name in ("api", "db", "queue", "web")]


def storm(method, services, count, *, severity=Severity.HIGH):
    return [
        NotificationFactory(
            user=method.user,
            contact_method=method,
            incident=IncidentFactory(service=services[n % len(services)], severity=severity),
            priority=severity.rank,
        )
        for n in range(count)
    ]


def statuses():
    return {status: Notification.objects.filter(status=status).count() for status in (PENDING, SENT, DEAD)}


def test_ten_go_alone_and_the_rest_together(clock, provider, method, services):
    storm(method, services, 33)
    work(clock)
    assert (len(provider.messages), statuses()[PENDING]) == (10, 23)
    assert set(Notification.objects.filter(status=PENDING).values_list("hold", flat=True)) == {Hold.BUNDLE}
    clock.advance(seconds=19)
    work(clock)
    assert len(provider.messages) == 10
    clock.advance(seconds=1)
    work(clock)
    assert (len(provider.messages), statuses()[SENT]) == (11, 33)
    bundle = provider.messages[-1]
    assert bundle.subject.startswith("23 incidents on 4 services, worst: [HIGH] #")
    assert bundle.text.count("[HIGH] #") == 10 and "and 13 more" in bundle.text


def test_each_page_says_that_it_went_in_a_bundle(clock, provider, method, services):
    pages = storm(method, services, 13)
    work_for(clock, seconds=21)
    sizes = list(Notification.objects.order_by("created_at").values_list("bundle_size", flat=True))
    assert sizes == [1] * 10 + [3] * 3
    attempts = DeliveryAttempt.objects.filter(notification__in=pages[10:])
    assert {(a.request_id, a.provider_id) for a in attempts} == {(attempts[0].request_id, "id-11")}
    told = pages[12].incident.timeline.get(kind=Kind.PAGE_SENT)
    assert sentence(told) == f"Paged {method.user} by email (in one message with 2 other pages)"


def test_nobody_gets_500_messages(clock, provider, method, services):
    """A storm that goes on: ten incidents in each five seconds, for a hundred seconds."""
    for _ in range(20):
        storm(method, services, 10)
        work(clock)
        clock.advance(seconds=5)
    work_for(clock, seconds=25)
    assert statuses() == {PENDING: 0, SENT: 200, DEAD: 0}
    assert 10 < len(provider.messages) <= 10 * 2 + 7


def test_critical_pages_get_through_a_storm_at_once(clock, provider, method, services):
    storm(method, services, 40)
    work(clock)
    [critical] = storm(method, services, 1, severity=Severity.CRITICAL)
    outbox.deliver(critical.pk)
    assert "[CRITICAL]" in provider.messages[-1].subject
    assert len(provider.messages) == 11


def test_a_storm_of_critical_pages_is_bundled_too_but_sooner(clock, provider, method, services):
    storm(method, services, 40, severity=Severity.CRITICAL)
    work(clock)
    assert len(provider.messages) == 10
    clock.advance(seconds=5)
    work(clock)
    assert (len(provider.messages), statuses()[SENT]) == (11, 40)


def test_other_methods_and_people_are_not_held_up(clock, provider, method, services):
    storm(method, services, 12)
    other = ContactMethodFactory(user=method.user, address="ana@work.example.org")
    storm(other, services, 1)
    storm(ContactMethodFactory(address="bo@example.org"), services, 1)
    work(clock)
    assert Counter(provider.addresses) == {
        "ana@example.org": 10,
        "ana@work.example.org": 1,
        "bo@example.org": 1,
    }


def test_what_was_answered_meanwhile_is_left_out(clock, provider, method, services):
    pages = storm(method, services, 14)
    work(clock)
    for page in pages[10:12]:
        lifecycle.acknowledge(incident_id=page.incident_id, actor=SYSTEM)
    clock.advance(seconds=20)
    work(clock)
    assert provider.messages[-1].subject.startswith("2 incidents on 2 services")
    assert statuses()[SENT] == 12


def test_a_single_page_that_is_left_goes_as_a_page(clock, provider, method, services):
    pages = storm(method, services, 11)
    work_for(clock, seconds=21)
    assert provider.messages[-1].subject.startswith(f"[HIGH] #{pages[10].incident.number}")


def test_a_bundle_that_fails_is_tried_again_as_one(clock, provider, method, services):
    storm(method, services, 15)
    work(clock)
    provider.faults = [DeliveryError("busy")] * 2
    work_for(clock, seconds=40)
    assert (len(provider.messages), statuses()[SENT]) == (11, 15)
    assert provider.messages[-1].subject.startswith("5 incidents")
    assert list(Notification.objects.filter(bundle_size=5).values_list("attempt_count", flat=True)) == [3] * 5


def test_a_bundle_that_fails_for_good_leaves_a_dead_letter_for_each_page(clock, provider, method, services):
    storm(method, services, 13)
    work(clock)
    provider.faults = [DeliveryError("no", permanent=True)]
    work_for(clock, seconds=21)
    assert statuses() == {PENDING: 0, SENT: 10, DEAD: 3}


def test_a_bundle_whose_worker_died_is_sent_whole(clock, provider, method, services):
    storm(method, services, 15)
    work(clock)
    clock.advance(seconds=20)
    with patch.object(provider, "send", side_effect=SystemExit), pytest.raises(SystemExit):
        work(clock)
    assert len(provider.messages) == 10
    clock.advance(seconds=LEASE.total_seconds() - 1)
    work(clock)
    assert len(provider.messages) == 10
    clock.advance(seconds=1)
    work(clock)
    assert (len(provider.messages), statuses()) == (11, {PENDING: 0, SENT: 15, DEAD: 0})
    assert provider.messages[-1].subject.startswith("5 incidents")


def test_bundling_can_be_switched_off(clock, provider, method, services, settings):
    settings.BUNDLE_ABOVE_PER_MINUTE = 0
    storm(method, services, 30)
    work(clock)
    assert len(provider.messages) == 30


def test_after_a_quiet_minute_pages_go_alone_again(clock, provider, method, services):
    storm(method, services, 11)
    work_for(clock, seconds=21)
    clock.advance(seconds=61)
    storm(method, services, 1)
    work(clock)
    assert Notification.objects.order_by("created_at").last().bundle_size == 1


def test_a_bundle_has_a_largest_size(clock, provider, method, services, monkeypatch):
    monkeypatch.setattr(bundles, "LARGEST", 4)
    storm(method, services, 20)
    work_for(clock, seconds=21)
    assert statuses()[SENT] == 20
    assert sorted(set(Notification.objects.values_list("bundle_size", flat=True))) == [1, 2, 4]


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_send_each_page_once(provider, method, services):
    """Eight threads want everything at once: ten alone, the rest held for one bundle; then eight want that."""
    pages = storm(method, services, 40)

    def worker(pk):
        try:
            outbox.deliver(pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker, [page.pk for page in pages] * 2))
    assert len(provider.messages) == 10
    held = Notification.objects.filter(hold=Hold.BUNDLE)
    assert held.count() == 30
    past = held.first().due_at - timedelta(minutes=1)
    held.update(due_at=past, wake_at=past)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(worker, [page.pk for page in pages] * 2))
    assert (len(provider.messages), statuses()) == (11, {PENDING: 0, SENT: 40, DEAD: 0})
    assert DeliveryAttempt.objects.count() == 40
