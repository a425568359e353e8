"""A layer that a calendar elsewhere feeds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from openalert.outward import FetchError
from teams import calendars, oncall, queries
from teams.calendars import Occurrence, people_of, read
from teams.exceptions import CalendarUnreadable
from teams.models import Schedule
from teams.tests.factories import CalendarFactory, LayerFactory, ScheduleFactory, TeamFactory, UserFactory

BERLIN = ZoneInfo("Europe/Berlin")
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def ics(*events):
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for number, event in enumerate(events):
        lines += [
            "BEGIN:VEVENT",
            f"UID:{number}@example.org",
            "DTSTAMP:20260101T000000Z",
            *event,
            "END:VEVENT",
        ]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def spans(body, zone=BERLIN):
    return [
        (one.title, f"{one.starts_at:%d %H:%M}", f"{one.ends_at:%d %H:%M}")
        for one in read(body, zone=zone, start=START, end=END)
    ]


def test_single_whole_day_and_floating_events():
    body = ics(
        ["SUMMARY:Ana", "DTSTART:20260302T080000Z", "DTEND:20260302T170000Z"],
        ["SUMMARY:Bo", "DTSTART;VALUE=DATE:20260303", "DTEND;VALUE=DATE:20260305"],
        ["SUMMARY:Cy", "DTSTART:20260306T090000", "DURATION:PT2H"],
        ["SUMMARY:Off", "DTSTART:20260307T090000Z", "DTEND:20260307T100000Z", "STATUS:CANCELLED"],
        ["SUMMARY:Late", "DTSTART:20260501T090000Z", "DTEND:20260501T100000Z"],
    )
    assert spans(body) == [
        ("Ana", "02 08:00", "02 17:00"),
        ("Bo", "02 23:00", "04 23:00"),
        ("Cy", "06 08:00", "06 10:00"),
    ]


def test_repeating_events_stay_at_their_local_time_and_heed_exceptions():
    body = ics(
        [
            "SUMMARY:Ana",
            "DTSTART;TZID=Europe/Berlin:20260323T090000",
            "DTEND;TZID=Europe/Berlin:20260323T170000",
            "RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=5",
            "EXDATE;TZID=Europe/Berlin:20260406T090000",
        ]
    )
    assert spans(body) == [("Ana", "23 08:00", "23 16:00"), ("Ana", "30 07:00", "30 15:00")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Please sign in</html>",
        b"\xff\xfe\x00",
        b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n",
        ics(["SUMMARY:x", "DTSTART:20260302T080000Z", "RRULE:FREQ=SECONDLY"]),
        ics(["SUMMARY:x", "DTSTART:20260302T080000Z", "RRULE:FREQ=HOURLY"]),
        ics(["SUMMARY:x", "DTSTART:20260302T080000Z", "RRULE:FREQ=DAILY;BYHOUR=1,2,3"]),
        ics(["SUMMARY:x", "DTSTART:00010101T080000Z", "RRULE:FREQ=DAILY"]),
        ics(*[["SUMMARY:x", "DTSTART:20260302T080000Z"]] * 2001),
        ics(*[["SUMMARY:x", "DTSTART:20260302T080000Z", "RRULE:FREQ=DAILY"]] * 201),
    ],
)
def test_what_is_no_calendar_or_too_much_of_one_is_refused(body):
    with pytest.raises(CalendarUnreadable):
        read(body, zone=BERLIN, start=START, end=END)


def test_odd_events_do_not_spoil_the_others():
    body = ics(
        ["SUMMARY:No times"],
        ["SUMMARY:Backwards", "DTSTART:20260302T080000Z", "DTEND:20260301T080000Z"],
        ["SUMMARY:Ana", "DTSTART:20260302T080000Z", "DTEND:20260302T170000Z"],
    )
    assert ("Ana", "02 08:00", "02 17:00") in spans(body)


@pytest.mark.django_db
def test_people_are_matched_by_attendee_or_title():
    ana = UserFactory(name="Ana Ruiz", email="ana@example.org")
    bo = UserFactory(name="Bo", email="Bo@example.org")

    def found(title, *addresses):
        return people_of(Occurrence(title, frozenset(addresses), START, END), [ana, bo])

    assert found("Anything", "bo@example.org", "zoe@example.org") == [bo]
    assert found("Ana Ruiz and bo on call") == [ana, bo]
    assert found("on call: ana@example.org") == [ana]
    assert found("Boris") == found("Ana") == found("bana@example.org") == found("") == []


# Stored


@pytest.fixture
def team(db):
    return TeamFactory(responders=[UserFactory(name="Ana"), UserFactory(name="Bo")])


@pytest.fixture
def calendar(clock, team):
    calendar = CalendarFactory(schedule=ScheduleFactory(team=team), due_at=clock.now)
    LayerFactory(schedule=calendar.schedule, calendar=calendar)
    return calendar


def answer(monkeypatch, body):
    def fetch(url, **options):
        if isinstance(body, Exception):
            raise body
        return body

    monkeypatch.setattr(calendars, "fetch", fetch)


def event(title, start, end):
    return [f"SUMMARY:{title}", f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}"]


def names(calendar, at):
    loaded = queries.with_rotation(Schedule.objects.filter(pk=calendar.schedule_id), start=at).get()
    return [user.name for user in oncall.on_call(loaded, at)]


def test_a_calendar_becomes_shifts(calendar, clock, monkeypatch):
    now = clock.now
    answer(monkeypatch, ics(event("Ana", now - HOUR, now + HOUR), event("Zoe", now, now + HOUR)))
    calendars.refresh_due()
    calendar.refresh_from_db()
    assert (names(calendar, now), names(calendar, now + HOUR)) == (["Ana"], [])
    assert (calendar.unmatched, calendar.fetched_at) == (["Zoe"], now)
    assert calendar.due_at == now + calendars.EVERY


def test_the_last_good_copy_is_kept_when_the_address_fails(calendar, clock, monkeypatch):
    now = clock.now
    answer(monkeypatch, ics(event("Ana", now, now + 9 * HOUR)))
    calendars.refresh_due()
    clock.advance(minutes=15)
    for failure in (FetchError("It answered 500."), b"<html>"):
        answer(monkeypatch, failure)
        calendars.refresh_due()
        calendar.refresh_from_db()
        assert names(calendar, clock.now) == ["Ana"]
        assert calendar.failing_since_at == now + timedelta(minutes=15)
        clock.advance(minutes=30)
    assert calendar.failure == "It is no calendar (iCal)."
    answer(monkeypatch, ics(event("Bo", now, now + 9 * HOUR)))
    calendars.refresh_due()
    calendar.refresh_from_db()
    assert (names(calendar, clock.now), calendar.failing_since_at) == (["Bo"], None)


def test_what_has_been_is_not_rewritten(calendar, clock, monkeypatch):
    start = clock.now
    answer(
        monkeypatch, ics(event("Ana", start, start + HOUR), event("Ana", start + 2 * HOUR, start + 6 * HOUR))
    )
    calendars.refresh_due()
    clock.advance(hours=4)
    answer(
        monkeypatch,
        ics(event("Bo", start, start + 6 * HOUR), event("Bo", start + 8 * HOUR, start + 9 * HOUR)),
    )
    calendars.refresh_due()
    calendars.refresh_due()
    hours = [names(calendar, start + n * HOUR) for n in (0, 1, 2, 3, 4, 5, 6, 8)]
    assert hours == [["Ana"], [], ["Ana"], ["Ana"], ["Bo"], ["Bo"], [], ["Bo"]]


def test_reading_the_same_again_changes_no_shift(calendar, clock, monkeypatch):
    start = clock.now
    answer(
        monkeypatch,
        ics(event("Ana", start - HOUR, start + 6 * HOUR), event("Bo", start + 7 * HOUR, start + 8 * HOUR)),
    )
    calendars.refresh_due()
    before = sorted(calendar.events.values_list("user", "starts_at", "ends_at"))
    clock.advance(hours=2)
    calendars.refresh_due()
    assert sorted(calendar.events.values_list("user", "starts_at", "ends_at")) == before


def test_a_calendar_that_no_layer_uses_is_not_fetched(calendar, clock, monkeypatch):
    calendar.layers.update(replaced_at=clock.now)
    answer(monkeypatch, AssertionError("fetched"))
    calendars.refresh_due()
    calendar.refresh_from_db()
    assert calendar.due_at is None
