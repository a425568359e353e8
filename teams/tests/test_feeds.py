"""Shifts for calendar programs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events
from django.test import Client

from teams import feeds
from teams.models import CalendarFeed, Membership
from teams.tests.cast import Cast
from teams.tests.factories import OverrideFactory, ScheduleFactory

pytestmark = pytest.mark.django_db
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def cast(clock):
    return Cast()


@pytest.fixture
def schedule(cast):
    return ScheduleFactory(
        team=cast.team,
        name="First line; ß",
        time_zone="Europe/Berlin",
        on_call=[cast.responder, cast.manager],
    )


def path(token):
    return f"/calendar/{token}.ics"


def open_feed(user, schedule=None):
    return feeds.open_feed(user=user, schedule=schedule)[1]


def calendar(token):
    response = Client().get(path(token))
    assert (response.status_code, response["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    return icalendar.Calendar.from_ical(response.content)


def test_a_schedule_is_a_calendar(cast, schedule, clock):
    found = calendar(open_feed(cast.observer, schedule))
    assert [str(zone["TZID"]) for zone in found.walk("VTIMEZONE")] == ["Europe/Berlin"]
    events = found.walk("VEVENT")
    assert len({str(event["UID"]) for event in events}) == len(events) > 20
    assert all(str(event["UID"]).endswith("@localhost") for event in events)
    assert {event["DTSTART"].params.get("TZID") for event in events} == {"Europe/Berlin"}
    # As another program reads it, summer time included.
    read = recurring_ical_events.of(found).between((2026, 3, 23), (2026, 4, 20))
    assert {event.start.astimezone(BERLIN).strftime("%a %H:%M") for event in read} == {"Mon 10:00"}
    assert any(str(event["SUMMARY"]) == "Rui Responder: First line; ß" for event in events)


def test_ones_own_shifts_are_a_calendar(cast, schedule, clock):
    events = calendar(open_feed(cast.responder)).walk("VEVENT")
    assert {str(event["SUMMARY"]) for event in events} == {"On call: First line; ß"}
    assert 10 < len(events) < 20


def test_a_shift_keeps_its_uid(cast, schedule, clock):
    token = open_feed(cast.responder)

    def uids():
        return {
            event["DTSTART"].dt.astimezone(UTC): str(event["UID"]) for event in calendar(token).walk("VEVENT")
        }

    before = uids()
    clock.advance(days=9)
    start = clock.now + timedelta(days=60)
    OverrideFactory(
        schedule=schedule, user=cast.responder, starts_at=start, ends_at=start + timedelta(hours=1)
    )
    after = uids()
    same = [at for at in before if at in after and at > datetime(2026, 3, 2, tzinfo=UTC)]
    assert len(same) > 8
    assert [before[at] for at in same] == [after[at] for at in same]


def test_the_secret_is_kept_as_a_hash_and_void_when_made_anew_or_revoked(cast, schedule):
    first = open_feed(cast.responder, schedule)
    assert first not in str(CalendarFeed.objects.values())
    second = open_feed(cast.responder, schedule)
    own = open_feed(cast.responder)
    assert [Client().get(path(token)).status_code for token in (first, second, own)] == [404, 200, 200]
    feeds.revoke(feed=CalendarFeed.objects.get(schedule=schedule))
    assert [Client().get(path(token)).status_code for token in (second, own, "", "x" * 300)] == [
        404,
        200,
        404,
        404,
    ]


def test_a_feed_shows_what_its_owner_may_see_now(cast, schedule):
    token, own = open_feed(cast.responder, schedule), open_feed(cast.responder)
    Membership.objects.filter(user=cast.responder).delete()
    assert Client().get(path(token)).status_code == 404
    assert calendar(own).walk("VEVENT") == []
    cast.responder.is_active = False
    cast.responder.save()
    assert Client().get(path(own)).status_code == 404


def test_reading_is_noted(cast, schedule, clock):
    calendar(open_feed(cast.responder))
    assert CalendarFeed.objects.get().read_at == clock.now
