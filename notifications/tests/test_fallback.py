"""When a page fails: the next method at once, and when all have failed, the next step."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from incidents.enums import Kind
from incidents.tests.factories import IncidentFactory
from notifications import contacts, fallback, outbox, signals
from notifications.enums import Channel, NotificationStatus, Purpose
from notifications.exceptions import DeliveryError
from notifications.models import ContactMethod, Notification, ProviderAccount
from notifications.outbox import PageRequest
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory, QuietHoursFactory
from notifications.tests.recorder import work, work_for
from openalert.ids import uuid7
from teams.tests.factories import UserFactory

pytestmark = pytest.mark.django_db
NO = DeliveryError("550 no such user", permanent=True)


class Person:
    """Somebody with email methods by name, each used after so many minutes; None: by no rule."""

    def __init__(self, name, **delays):
        self.user = UserFactory(name=name)
        self.methods = {}
        for label, delay in delays.items():
            method = ContactMethodFactory(user=self.user, address=f"{label}@{name}.example.org")
            self.methods[label] = method
            if delay is not None:
                NotificationRuleFactory(user=self.user, contact_method=method, delay_minutes=delay)


def fire(clock, *people, run_id=None):
    incident = IncidentFactory()
    run_id = run_id or uuid7()
    outbox.page([PageRequest(person.user, incident, run_id, 0, 0) for person in people], now=clock.now)
    work(clock)
    return incident


@pytest.fixture
def exhausted():
    """The steps of which it was told that nobody can be reached."""
    told = []

    def receive(steps, **kwargs):
        told.extend(steps)

    signals.notifications_exhausted.connect(receive)
    yield told
    signals.notifications_exhausted.disconnect(receive)


def test_the_next_method_is_used_at_once(clock, provider, exhausted):
    ana = Person("ana", work=0, home=5, car=9)
    provider.faulty["work@ana.example.org"] = NO
    fire(clock, ana)
    work(clock)
    assert provider.addresses == ["home@ana.example.org"]
    work_for(clock, minutes=8)
    assert len(provider.messages) == 1
    work_for(clock, minutes=2)
    assert provider.addresses == ["home@ana.example.org", "car@ana.example.org"]
    assert exhausted == []


def test_a_method_that_no_rule_uses_is_better_than_none(clock, provider, exhausted):
    ana = Person("ana", work=0, home=None)
    provider.faulty["work@ana.example.org"] = NO
    incident = fire(clock, ana)
    work(clock)
    assert (provider.addresses, exhausted) == (["home@ana.example.org"], [])
    assert incident.notifications.count() == 2


def test_when_all_methods_failed_the_step_is_exhausted_and_the_story_says_so(clock, provider, exhausted):
    ana = Person("ana", work=0, home=5)
    provider.faulty = {f"{name}@ana.example.org": NO for name in ("work", "home")}
    run_id = uuid7()
    incident = fire(clock, ana, run_id=run_id)
    work(clock)
    assert exhausted == [signals.Exhausted(incident.pk, run_id, 0, 0)]
    entry = incident.timeline.get(kind=Kind.NOBODY_TO_PAGE)
    assert entry.data["reason"] == "no contact method of ana works"
    work_for(clock, minutes=10)
    assert len(exhausted) == 1


def test_a_step_that_reached_somebody_else_is_not_exhausted(clock, provider, exhausted):
    ana, bo = Person("ana", work=0), Person("bo", work=0)
    provider.faulty["work@ana.example.org"] = NO
    fire(clock, ana, bo)
    assert (provider.addresses, exhausted) == (["work@bo.example.org"], [])


def test_the_last_of_several_people_to_fail_exhausts_the_step(clock, provider, exhausted):
    ana, bo = Person("ana", work=0), Person("bo", work=0)
    provider.faulty = {"work@ana.example.org": NO, "work@bo.example.org": DeliveryError("450 later")}
    fire(clock, ana, bo)
    assert exhausted == []
    work_for(clock, minutes=1)
    assert len(exhausted) == 1


def test_in_the_app_counts_once_it_was_seen(clock, provider, exhausted):
    ana = Person("ana", work=0)
    in_app = ContactMethodFactory(user=ana.user, channel=Channel.IN_APP)
    NotificationRuleFactory(user=ana.user, contact_method=in_app)
    provider.faulty["work@ana.example.org"] = DeliveryError("450 later")
    fire(clock, ana)
    seen = Notification.objects.filter(channel=Channel.IN_APP)
    assert seen.get().status == NotificationStatus.SENT
    outbox.mark_seen(user=ana.user, notification_ids=seen.values_list("pk", flat=True))
    work_for(clock, minutes=1)
    assert exhausted == []
    seen.update(seen_at=None)
    fire(clock, ana)
    work_for(clock, minutes=1)
    assert len(exhausted) == 1


def test_an_answered_incident_needs_no_other_way(clock, provider, exhausted):
    ana = Person("ana", work=0, home=None)
    incident = IncidentFactory(status="acknowledged", acknowledged_at=clock.now)
    page = Notification.objects.create(
        user=ana.user,
        incident=incident,
        contact_method=ana.methods["work"],
        channel=Channel.EMAIL,
        address="work@ana.example.org",
        run_id=uuid7(),
        status=NotificationStatus.DEAD,
        due_at=clock.now,
        wake_at=clock.now,
        needs_fallback=True,
    )
    fallback.fall_back(page.pk)
    page.refresh_from_db()
    assert (page.needs_fallback, incident.notifications.count(), exhausted) == (False, 1, [])


def test_a_page_that_waits_long_for_its_provider_goes_another_way_and_still_arrives(
    clock, provider, exhausted
):
    ana = Person("ana", work=0, home=None)
    until = clock.now + timedelta(minutes=2)
    ProviderAccount.objects.create(name="recorder", paused_until=until)
    incident = fire(clock, ana)
    waiting = incident.notifications.get(contact_method=ana.methods["work"])
    assert (waiting.status, waiting.hold, waiting.fell_back_at) == ("pending", "pause", clock.now)
    assert incident.notifications.count() == 2  # home, by the same provider here
    work_for(clock, minutes=2)
    assert sorted(provider.addresses) == ["home@ana.example.org", "work@ana.example.org"]


def tell_manager(clock, person):
    """The policy has ended, and nobody answered."""
    incident = IncidentFactory()
    outbox.page([PageRequest(person.user, incident, uuid7(), 0, 1, Purpose.NOTICE)], now=clock.now)
    work(clock)
    work(clock)
    return incident


def test_a_notice_that_nobody_answered_goes_another_way_too(clock, provider, exhausted):
    mia = Person("mia", work=0, home=5)
    provider.faulty["work@mia.example.org"] = NO
    incident = tell_manager(clock, mia)
    assert provider.addresses == ["home@mia.example.org"]
    assert {n.purpose for n in incident.notifications.all()} == {Purpose.NOTICE}


def test_a_notice_uses_a_method_that_no_rule_uses(clock, provider, exhausted):
    mia = Person("mia", work=0, home=None)
    provider.faulty["work@mia.example.org"] = NO
    incident = tell_manager(clock, mia)
    assert provider.addresses == ["home@mia.example.org"]
    assert {n.purpose for n in incident.notifications.all()} == {Purpose.NOTICE}


def test_a_notice_that_reaches_nobody_is_told_in_the_story_and_to_operations(clock, provider, exhausted):
    UserFactory(name="root", is_superuser=True)
    mia = Person("mia", work=0)
    provider.faulty["work@mia.example.org"] = NO
    incident = tell_manager(clock, mia)
    assert Kind.NOBODY_TO_PAGE in incident.timeline.values_list("kind", flat=True)
    told = Notification.objects.filter(incident=None, purpose=Purpose.NOTICE)
    assert {n.user.name for n in told} == {"root"}


def test_quiet_hours_keep_a_method_from_being_the_next(clock, provider, exhausted):
    ana = Person("ana", work=0, home=0)
    quiet = QuietHoursFactory(user=ana.user)
    quiet.allowed_methods.add(ana.methods["work"])
    clock.set(clock.now.replace(hour=23))
    provider.faulty["work@ana.example.org"] = NO
    fire(clock, ana)
    assert (provider.messages, len(exhausted)) == ([], 1)


def test_work_that_a_dead_worker_left_is_found_by_the_sweep(clock, provider, exhausted, monkeypatch):
    ana = Person("ana", work=0)
    provider.faulty["work@ana.example.org"] = NO
    with monkeypatch.context() as dying:
        dying.setattr(fallback, "fall_back", lambda pk: None)
        fire(clock, ana)
    assert exhausted == []
    woken = []
    monkeypatch.setattr(outbox, "wake", lambda task, *args, **kwargs: woken.append((task, *args)))
    outbox.sweep()
    assert woken == []
    clock.advance(seconds=5)
    outbox.sweep()
    [(task, pk)] = woken
    assert task == "notifications.tasks.fall_back"
    for _ in range(3):
        fallback.fall_back(pk)
    assert len(exhausted) == 1


@pytest.mark.django_db(transaction=True)
def test_methods_that_fail_at_the_same_time_exhaust_the_step_once(provider, exhausted):
    people = [Person(name, work=0, home=0, car=0) for name in ("ana", "bo")]
    provider.faulty = {
        f"{place}@{who}.example.org": NO for who in ("ana", "bo") for place in ("work", "home", "car")
    }
    incident = IncidentFactory()
    run_id = uuid7()
    outbox.page([PageRequest(p.user, incident, run_id, 0, 0) for p in people], now=timezone.now())

    def worker(pk):
        try:
            outbox.deliver(pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(worker, incident.notifications.values_list("pk", flat=True)))
    assert len(exhausted) == 1
    assert incident.timeline.filter(kind=Kind.NOBODY_TO_PAGE).count() == 1
    assert not Notification.objects.filter(needs_fallback=True).exists()


# Broken methods

BROKEN = DeliveryError("invalid number", breaks_method=True)


def test_a_method_that_is_no_good_is_not_used_again_and_its_owner_is_told(clock, provider):
    ana = Person("ana", phone=0, home=0)
    provider.faulty["phone@ana.example.org"] = BROKEN
    fire(clock, ana)
    phone = ana.methods["phone"]
    phone.refresh_from_db()
    assert (phone.broken_at, phone.broken_reason, phone.is_working) == (clock.now, "invalid number", False)
    [notice] = Notification.objects.filter(purpose=Purpose.NOTICE)
    assert (notice.user, notice.address) == (ana.user, "home@ana.example.org")
    work(clock)
    told = provider.messages[-1]
    assert told.subject == f"You are no longer paged by {phone}"
    assert "invalid number" in told.text and told.href.endswith("/me/")

    fire(clock, ana)
    assert Notification.objects.filter(contact_method=phone).count() == 1
    assert Notification.objects.filter(purpose=Purpose.NOTICE).count() == 1


def test_without_another_method_the_notice_goes_to_the_account(clock, provider):
    ana = Person("ana", phone=0)
    provider.faulty["phone@ana.example.org"] = BROKEN
    fire(clock, ana)
    [notice] = Notification.objects.filter(purpose=Purpose.NOTICE)
    assert (notice.channel, notice.address, notice.contact_method) == ("email", ana.user.email, None)


def test_broken_methods_are_tried_when_there_are_no_others(clock, provider):
    ana = Person("ana", phone=0)
    ContactMethod.objects.update(broken_at=clock.now)
    fire(clock, ana)
    assert provider.addresses == ["phone@ana.example.org"]
    ana.methods["phone"].refresh_from_db()
    assert ana.methods["phone"].is_working  # something arrived


def test_a_test_page_that_arrives_mends_a_method(clock, provider):
    ana = Person("ana", phone=0, home=0)
    phone = ana.methods["phone"]
    contacts.mark_broken(phone, reason="blocked", now=clock.now)
    outbox.deliver(outbox.send_test(user=ana.user, contact_method=phone).pk)
    phone.refresh_from_db()
    assert (phone.broken_at, phone.broken_reason) == (None, "")
