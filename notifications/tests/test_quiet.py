"""Quiet hours: what waits, until when, and what does not."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidents import lifecycle
from incidents.enums import Severity
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from notifications import outbox, quiet
from notifications.enums import Channel, Hold, NotificationStatus
from notifications.models import Notification
from notifications.outbox import PageRequest
from notifications.quiet import Window
from notifications.tests.factories import ContactMethodFactory, NotificationRuleFactory, QuietHoursFactory
from notifications.tests.recorder import work
from openalert.ids import uuid7
from teams.tests.factories import UserFactory

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))
NIGHT = Window(EVERY_DAY, time(22), time(7))
METHOD = uuid7()
START = datetime(2026, 1, 1, tzinfo=UTC)


def berlin(*parts):
    return datetime(*parts, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "ends"),
    [
        (berlin(2026, 3, 2, 21, 59), None),
        (berlin(2026, 3, 2, 22, 0), berlin(2026, 3, 3, 7)),
        (berlin(2026, 3, 3, 6, 59), berlin(2026, 3, 3, 7)),
        (berlin(2026, 3, 3, 7, 0), None),
        # The clocks change in the night: 07:00 stays 07:00.
        (berlin(2026, 3, 28, 23, 0), datetime(2026, 3, 29, 5, tzinfo=UTC)),
        (berlin(2026, 10, 24, 23, 0), datetime(2026, 10, 25, 6, tzinfo=UTC)),
    ],
)
def test_a_night_lasts_past_midnight_by_the_wall_clock(at, ends):
    assert NIGHT.end_at(at, BERLIN) == ends


def test_weekdays_are_those_on_which_it_begins():
    friday = Window(frozenset([4]), time(22), time(7))
    assert friday.end_at(berlin(2026, 3, 6, 23), BERLIN) == berlin(2026, 3, 7, 7)
    assert friday.end_at(berlin(2026, 3, 7, 6), BERLIN) == berlin(2026, 3, 7, 7)
    assert friday.end_at(berlin(2026, 3, 7, 23), BERLIN) is None


def test_quiet_hours_that_meet_are_waited_out_together():
    weekend = Window(frozenset([5, 6]), time(0), time(0))
    at = berlin(2026, 3, 6, 23)
    assert quiet.earliest([NIGHT, weekend], method_id=METHOD, at=at, zone=BERLIN) == berlin(2026, 3, 9, 7)


def test_who_is_always_quiet_is_reached_after_a_week():
    always = Window(EVERY_DAY, time(0), time(0))
    at = berlin(2026, 3, 2, 12)
    earliest = quiet.earliest([always], method_id=METHOD, at=at, zone=BERLIN)
    assert timedelta(days=7) <= earliest - at < timedelta(days=8)


def test_a_method_goes_when_all_quiet_hours_of_the_moment_allow_it():
    allowing = Window(EVERY_DAY, time(20), time(8), frozenset([METHOD]))
    at = berlin(2026, 3, 2, 23)
    assert quiet.earliest([allowing], method_id=METHOD, at=at, zone=BERLIN) == at
    assert quiet.earliest([allowing, NIGHT], method_id=METHOD, at=at, zone=BERLIN) == berlin(2026, 3, 3, 7)
    assert quiet.earliest([allowing], method_id=uuid7(), at=at, zone=BERLIN) == berlin(2026, 3, 3, 8)


@given(
    at=st.integers(0, 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)),
    windows=st.lists(
        st.builds(Window, st.frozensets(st.integers(0, 6), min_size=1, max_size=6), st.times(), st.times()),
        max_size=3,
    ),
)
def test_what_waits_never_goes_out_in_quiet_hours(at, windows):
    earliest = quiet.earliest(windows, method_id=METHOD, at=at, zone=BERLIN)
    assert at <= earliest
    covering = [window for window in windows if window.end_at(earliest, BERLIN)]
    assert not covering or earliest - at >= timedelta(days=7)


# In the outbox


@pytest.fixture
def ana(db):
    """She is in Berlin, is paged by email, and is quiet at night."""
    ana = UserFactory(name="ana", time_zone="Europe/Berlin")
    ContactMethodFactory(user=ana, address="ana@example.org")
    QuietHoursFactory(user=ana)
    return ana


def page(user, clock, severity=Severity.HIGH):
    incident = IncidentFactory(severity=severity)
    outbox.page([PageRequest(user, incident, uuid7(), 0, 0)], now=clock.now)
    return Notification.objects.filter(incident=incident).order_by("channel")


def test_a_page_waits_for_the_end_of_quiet_hours(ana, clock, provider):
    clock.set(berlin(2026, 3, 3, 2))
    [waiting] = page(ana, clock)
    assert (waiting.hold, waiting.due_at) == (Hold.QUIET_HOURS, berlin(2026, 3, 3, 7))
    work(clock)
    assert provider.messages == []
    clock.set(berlin(2026, 3, 3, 7))
    work(clock)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.hold, provider.addresses) == ("sent", "", ["ana@example.org"])


def test_critical_pages_know_no_quiet_hours(ana, clock, provider):
    clock.set(berlin(2026, 3, 3, 2))
    page(ana, clock, Severity.CRITICAL)
    work(clock)
    assert provider.addresses == ["ana@example.org"]


def test_by_day_nothing_waits(ana, clock, provider):
    page(ana, clock)
    work(clock)
    assert provider.addresses == ["ana@example.org"]


def test_a_delay_that_ends_in_quiet_hours_waits_too(ana, clock):
    NotificationRuleFactory(user=ana, contact_method=ana.contact_methods.get(), delay_minutes=30)
    clock.set(berlin(2026, 3, 2, 21, 40))
    assert [n.due_at for n in page(ana, clock)] == [berlin(2026, 3, 3, 7)]


def test_an_allowed_method_goes_all_the_same(ana, clock):
    in_app = ContactMethodFactory(user=ana, channel=Channel.IN_APP)
    ana.quiet_hours.get().allowed_methods.add(in_app)
    clock.set(berlin(2026, 3, 3, 2))
    assert [(n.channel, n.hold) for n in page(ana, clock)] == [("email", "quiet_hours"), ("in_app", "")]


def test_a_page_that_was_answered_in_the_night_does_not_come_in_the_morning(ana, clock, provider):
    clock.set(berlin(2026, 3, 3, 2))
    [waiting] = page(ana, clock)
    lifecycle.acknowledge(incident_id=waiting.incident_id, actor=SYSTEM)
    clock.set(berlin(2026, 3, 3, 7))
    work(clock)
    waiting.refresh_from_db()
    assert (waiting.status, provider.messages) == (NotificationStatus.CANCELLED, [])


def test_what_becomes_critical_in_the_night_goes_at_once(ana, clock, provider):
    clock.set(berlin(2026, 3, 3, 2))
    [waiting] = page(ana, clock)
    lifecycle.change_severity(incident_id=waiting.incident_id, severity=Severity.CRITICAL, actor=SYSTEM)
    clock.advance(seconds=10)
    work(clock)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.priority, waiting.hold) == (NotificationStatus.SENT, 0, "")


def test_other_peoples_pages_do_not_wait(ana, clock):
    clock.set(berlin(2026, 3, 3, 2))
    bo = ContactMethodFactory().user
    incident = IncidentFactory()
    outbox.page([PageRequest(user, incident, uuid7(), 0, 0) for user in (ana, bo)], now=clock.now)
    assert {n.user.name: n.hold for n in incident.notifications.all()} == {
        "ana": "quiet_hours",
        bo.name: "",
    }
