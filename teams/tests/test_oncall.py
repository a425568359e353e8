"""Who is on call: rotations across clock changes, layers, overrides and gaps."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from teams import oncall, queries
from teams.enums import Rotation
from teams.models import Schedule
from teams.tests.factories import (
    CalendarFactory,
    FallbackFactory,
    LayerFactory,
    OverrideFactory,
    ScheduleFactory,
    UserFactory,
)

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def people(db):
    return [UserFactory(name=name) for name in ("ana", "bo", "cy")]


def load(schedule, start=datetime(2024, 1, 1, tzinfo=UTC)):
    return queries.with_rotation(Schedule.objects.filter(pk=schedule.pk), start=start).get()


def names(schedule, at):
    return [user.name for user in oncall.on_call(load(schedule), at)]


def told(schedule, start, end):
    return [(s.names, s.starts_at, s.ends_at) for s in oncall.shifts(load(schedule), start, end)]


def test_weekly_turns_follow_each_other(people):
    schedule = ScheduleFactory(on_call=people)
    first = datetime(2025, 1, 6, 9, tzinfo=UTC)
    seen = [names(schedule, first + timedelta(weeks=week)) for week in range(4)]
    assert seen == [["ana"], ["bo"], ["cy"], ["ana"]]
    assert names(schedule, first + timedelta(weeks=1, seconds=-1)) == ["ana"]
    assert names(schedule, first - timedelta(seconds=1)) == []


@pytest.mark.parametrize(
    ("start", "change"),
    [
        (datetime(2026, 3, 27, 9, tzinfo=BERLIN), "one hour less"),  # clocks go forward on the 29th
        (datetime(2026, 10, 23, 9, tzinfo=BERLIN), "one hour more"),  # and back on 25 October
    ],
)
def test_daily_hand_over_stays_at_nine_across_a_clock_change(people, start, change):
    schedule = ScheduleFactory(time_zone="Europe/Berlin")
    LayerFactory(schedule=schedule, rotation=Rotation.DAILY, starts_at=start, participants=people)
    got = told(schedule, start.astimezone(UTC), (start + timedelta(days=5)).astimezone(UTC))
    assert [name for name, *_ in got] == ["ana", "bo", "cy", "ana", "bo"]
    assert {begins.astimezone(BERLIN).hour for _, begins, _ in got} == {9}
    lengths = {ends - begins for _, begins, ends in got}
    odd = timedelta(hours=23 if change == "one hour less" else 25)
    assert lengths == {timedelta(hours=24), odd}


def test_hand_over_in_the_hour_that_is_skipped_happens_once(people):
    schedule = ScheduleFactory(time_zone="America/New_York")
    start = datetime(2026, 3, 7, 2, 30, tzinfo=NEW_YORK)  # 02:30 does not exist on the 8th
    LayerFactory(schedule=schedule, rotation=Rotation.DAILY, starts_at=start, participants=people)
    got = told(schedule, start.astimezone(UTC), datetime(2026, 3, 9, 12, tzinfo=UTC))
    assert [name for name, *_ in got] == ["ana", "bo", "cy"]
    assert got[0][2] == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_hourly_turns_count_real_hours(people):
    schedule = ScheduleFactory(time_zone="Europe/Berlin")
    start = datetime(2026, 10, 25, 0, tzinfo=UTC)  # an hour before the clocks go back
    LayerFactory(
        schedule=schedule, rotation=Rotation.HOURLY, turn_length=2, starts_at=start, participants=people
    )
    assert [names(schedule, start + timedelta(hours=h)) for h in range(0, 7, 2)] == [
        ["ana"],
        ["bo"],
        ["cy"],
        ["ana"],
    ]


def test_every_instant_of_two_years_has_the_turn_that_the_hand_overs_say(people):
    schedule = ScheduleFactory(time_zone="America/New_York")
    start = datetime(2024, 1, 1, 17, tzinfo=NEW_YORK)
    LayerFactory(
        schedule=schedule, rotation=Rotation.DAILY, turn_length=3, starts_at=start, participants=people
    )
    loaded = load(schedule)
    at = start.astimezone(UTC)
    while at < start + timedelta(days=730):
        local = at.astimezone(NEW_YORK)
        days = (local.replace(tzinfo=None) - start.replace(tzinfo=None)) // timedelta(days=1)
        assert oncall.on_call(loaded, at) == [people[days // 3 % 3]], at
        at += timedelta(hours=7)


def test_higher_layer_wins_while_it_lasts(people):
    ana, bo, _ = people
    schedule = ScheduleFactory(on_call=[ana])
    start = datetime(2026, 5, 4, 9, tzinfo=UTC)
    LayerFactory(schedule=schedule, starts_at=start, ends_at=start + timedelta(days=2), participants=[bo])
    assert told(schedule, start - timedelta(days=1), start + timedelta(days=3)) == [
        ("ana", start - timedelta(days=1), start),
        ("bo", start, start + timedelta(days=2)),
        ("ana", start + timedelta(days=2), start + timedelta(days=3)),
    ]


def test_override_wins_over_the_rotation_and_the_newest_over_older_ones(people, clock):
    ana, bo, cy = people
    schedule = ScheduleFactory(on_call=[ana])
    start = datetime(2026, 5, 4, 9, tzinfo=UTC)
    OverrideFactory(schedule=schedule, user=bo, starts_at=start, ends_at=start + timedelta(hours=8))
    clock.advance(minutes=1)
    OverrideFactory(
        schedule=schedule,
        user=cy,
        starts_at=start + timedelta(hours=2),
        ends_at=start + timedelta(hours=3),
    )
    got = oncall.shifts(load(schedule), start, start + timedelta(hours=9))
    assert [(s.names, s.source) for s in got] == [
        ("bo", "override"),
        ("cy", "override"),
        ("bo", "override"),
        ("ana", "rotation"),
    ]


def test_inactive_person_is_nobody_from_then_on(people, clock):
    ana, bo, _cy = people
    schedule = ScheduleFactory(on_call=[ana])
    LayerFactory(schedule=schedule, participants=[bo])
    clock.advance(hours=1)
    at = clock.now
    OverrideFactory(schedule=schedule, user=bo, starts_at=at - timedelta(minutes=5))
    bo.is_active = False
    bo.save(update_fields=["is_active"])
    assert names(schedule, at) == ["ana"]
    assert names(schedule, at - timedelta(seconds=1)) == ["bo"]
    assert names(schedule, at - timedelta(days=30)) == ["bo"]
    assert told(schedule, at - timedelta(hours=1), at + timedelta(hours=1)) == [
        ("bo", at - timedelta(hours=1), at - timedelta(minutes=5)),
        ("bo", at - timedelta(minutes=5), at),
        ("ana", at, at + timedelta(hours=1)),
    ]
    bo.is_active = True
    bo.save()
    assert names(schedule, at) == ["bo"]


def test_empty_schedule_and_empty_layer_have_nobody(db):
    schedule = ScheduleFactory()
    LayerFactory(schedule=schedule)
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    assert names(schedule, at) == []
    assert told(schedule, at, at + timedelta(days=30)) == []


def test_shifts_of_a_range_are_those_of_its_parts(people):
    schedule = ScheduleFactory(on_call=people, time_zone="Europe/Berlin")
    start, end = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    OverrideFactory(
        schedule=schedule,
        user=people[2],
        starts_at=datetime(2026, 3, 20, tzinfo=UTC),
        ends_at=datetime(2026, 4, 2, tzinfo=UTC),
    )
    whole = told(schedule, start, end)
    for days in range(1, 60, 7):
        middle = start + timedelta(days=days)
        parts = told(schedule, start, middle) + told(schedule, middle, end)
        seam = next((i for i, (_, begins, _) in enumerate(parts) if begins == middle), None)
        if seam and parts[seam - 1][0] == parts[seam][0] and parts[seam - 1][2] == middle:
            name, begins, _ = parts[seam - 1]
            parts[seam - 1 : seam + 1] = [(name, begins, parts[seam][2])]
        assert parts == whole


def test_loading_is_a_constant_number_of_queries(people, django_assert_num_queries):
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    for count in (1, 3):
        while Schedule.objects.count() < count:
            OverrideFactory(schedule=ScheduleFactory(on_call=people))
        with django_assert_num_queries(7):
            loaded = queries.with_rotation(Schedule.objects.all(), start=at)
            assert [oncall.on_call(s, at) != [] for s in loaded] == [True] * count


def test_overrides_that_are_over_are_not_loaded_but_asked_for_when_needed(people, clock):
    ana, bo, _ = people
    schedule = ScheduleFactory(on_call=[ana])
    long_ago = clock.now - timedelta(days=300)
    OverrideFactory(schedule=schedule, user=bo, starts_at=long_ago)
    OverrideFactory(schedule=schedule, user=bo)
    loaded = queries.with_rotation(Schedule.objects.all()).get()
    assert [override.starts_at for override in loaded.rows.overrides] == [clock.now]
    assert oncall.on_call(loaded, clock.now) == [bo]
    assert oncall.on_call(loaded, long_ago) == [bo]
    assert oncall.on_call(loaded, long_ago - timedelta(days=1)) == [ana]


# Turns


def turns(people, start, count=4, zone="UTC", **values):
    """When the first turns begin, on the schedule's clock."""
    schedule = ScheduleFactory(time_zone=zone)
    LayerFactory(schedule=schedule, starts_at=start, participants=people, **values)
    got = oncall.shifts(load(schedule, start), start, start + timedelta(days=800))
    return [f"{shift.starts_at.astimezone(schedule.tzinfo):%a %d %b %Y %H:%M}" for shift in got[:count]]


def test_months_on_the_31st_are_handed_over_on_the_last_day(people):
    start = datetime(2027, 12, 31, 9, tzinfo=BERLIN)
    assert turns(people, start, 5, "Europe/Berlin", rotation=Rotation.MONTHLY) == [
        "Fri 31 Dec 2027 09:00",
        "Mon 31 Jan 2028 09:00",
        "Tue 29 Feb 2028 09:00",  # a leap year
        "Fri 31 Mar 2028 09:00",
        "Sun 30 Apr 2028 09:00",
    ]


def test_first_turn_lasts_until_the_hand_over_day(people):
    wednesday = datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert turns(people, wednesday, hand_over_day=1, hand_over_time=time(9)) == [
        "Wed 04 Mar 2026 12:00",
        "Mon 09 Mar 2026 09:00",
        "Mon 16 Mar 2026 09:00",
        "Mon 23 Mar 2026 09:00",
    ]
    assert turns(people, wednesday, rotation=Rotation.MONTHLY, turn_length=2, hand_over_day=31) == [
        "Wed 04 Mar 2026 12:00",
        "Thu 30 Apr 2026 12:00",
        "Tue 30 Jun 2026 12:00",
        "Mon 31 Aug 2026 12:00",
    ]
    assert turns(people, wednesday, rotation=Rotation.DAILY, hand_over_time=time(17)) == [
        "Wed 04 Mar 2026 12:00",
        "Wed 04 Mar 2026 17:00",
        "Thu 05 Mar 2026 17:00",
        "Fri 06 Mar 2026 17:00",
    ]
    assert turns(people, wednesday, rotation=Rotation.HOURLY, turn_length=8, hand_over_time=time(6)) == [
        "Wed 04 Mar 2026 12:00",
        "Wed 04 Mar 2026 14:00",
        "Wed 04 Mar 2026 22:00",
        "Thu 05 Mar 2026 06:00",
    ]


def test_custom_turns_count_minutes(people):
    assert turns(people, datetime(2026, 3, 4, tzinfo=UTC), rotation=Rotation.CUSTOM, turn_length=90) == [
        "Wed 04 Mar 2026 00:00",
        "Wed 04 Mar 2026 01:30",
        "Wed 04 Mar 2026 03:00",
        "Wed 04 Mar 2026 04:30",
    ]


def test_turns_of_a_day_that_does_not_exist_are_skipped(people):
    apia = ZoneInfo("Pacific/Apia")  # there was no 30 December 2011
    start = datetime(2011, 12, 28, 9, tzinfo=apia)
    assert turns(people, start, 4, "Pacific/Apia", rotation=Rotation.DAILY) == [
        "Wed 28 Dec 2011 09:00",
        "Thu 29 Dec 2011 09:00",
        "Sat 31 Dec 2011 09:00",
        "Sun 01 Jan 2012 09:00",
    ]


def test_people_in_one_place_are_on_together(people):
    ana, bo, cy = people
    schedule = ScheduleFactory()
    layer = LayerFactory(schedule=schedule, participants=[[ana, bo], cy])
    start = layer.starts_at
    assert told(schedule, start, start + timedelta(weeks=2)) == [
        ("ana and bo", start, start + timedelta(weeks=1)),
        ("cy", start + timedelta(weeks=1), start + timedelta(weeks=2)),
    ]
    assert oncall.on_call(load(schedule), start) == [ana, bo]


def test_the_place_of_somebody_deleted_stays_empty(people):
    _ana, bo, _cy = people
    schedule = ScheduleFactory(on_call=people)
    start = datetime(2025, 1, 6, 9, tzinfo=UTC)
    bo.delete()
    assert [names(schedule, start + timedelta(weeks=week)) for week in range(4)] == [
        ["ana"],
        [],
        ["cy"],
        ["ana"],
    ]


# Restrictions and holidays


def restricted(people, start, end, zone="Europe/Berlin", **values):
    schedule = ScheduleFactory(time_zone=zone)
    LayerFactory(schedule=schedule, participants=people[:1], **values)
    return [
        f"{s.starts_at.astimezone(schedule.tzinfo):%a %d %H:%M} – {s.ends_at.astimezone(schedule.tzinfo):%a %d %H:%M}"
        for s in oncall.shifts(load(schedule), start, end)
    ]


WEEK = (datetime(2026, 3, 27, 12, tzinfo=BERLIN), datetime(2026, 4, 2, 12, tzinfo=BERLIN))


def test_weekday_nights(people):
    windows = [{"from": "17:00", "to": "09:00", "days": [1, 2, 3, 4, 5]}]
    assert restricted(people, *WEEK, restrictions=windows) == [
        "Fri 27 17:00 – Sat 28 09:00",
        "Mon 30 17:00 – Tue 31 09:00",
        "Tue 31 17:00 – Wed 01 09:00",
        "Wed 01 17:00 – Thu 02 09:00",
    ]


def test_weekends_and_office_hours_add_up(people):
    windows = [
        {"from_day": 5, "from": "17:00", "to_day": 1, "to": "09:00"},
        {"from": "09:00", "to": "10:00"},
    ]
    assert restricted(people, *WEEK, restrictions=windows) == [
        "Fri 27 17:00 – Mon 30 10:00",  # the clocks go forward in it
        "Tue 31 09:00 – Tue 31 10:00",
        "Wed 01 09:00 – Wed 01 10:00",
        "Thu 02 09:00 – Thu 02 10:00",
    ]


def test_a_window_that_ends_when_it_begins_lasts_a_day(people):
    assert restricted(people, *WEEK, restrictions=[{"from": "08:00", "to": "08:00", "days": [7]}]) == [
        "Sun 29 08:00 – Mon 30 08:00"
    ]


def test_a_window_in_the_hour_that_comes_twice_opens_once(people):
    night = (datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC))
    schedule = ScheduleFactory(time_zone="Europe/Berlin")
    LayerFactory(schedule=schedule, participants=people[:1], restrictions=[{"from": "02:15", "to": "02:45"}])
    assert told(schedule, *night) == [
        ("ana", datetime(2026, 10, 25, 0, 15, tzinfo=UTC), datetime(2026, 10, 25, 0, 45, tzinfo=UTC))
    ]


def test_public_holidays_off_on_and_besides(people):
    easter = (datetime(2026, 4, 2, 12, tzinfo=BERLIN), datetime(2026, 4, 8, tzinfo=BERLIN))
    german = {"holidays_of": "DE"}
    assert restricted(people, *easter, **german, on_holidays="off") == [
        "Thu 02 12:00 – Fri 03 00:00",  # Good Friday
        "Sat 04 00:00 – Mon 06 00:00",  # Easter Monday
        "Tue 07 00:00 – Wed 08 00:00",
    ]
    assert restricted(people, *easter, **german, on_holidays="on") == [
        "Fri 03 00:00 – Sat 04 00:00",
        "Mon 06 00:00 – Tue 07 00:00",
    ]
    weekend = [{"from_day": 6, "from": "00:00", "to_day": 1, "to": "00:00"}]
    assert restricted(people, *easter, **german, on_holidays="on", restrictions=weekend) == [
        "Fri 03 00:00 – Tue 07 00:00"
    ]


def test_a_lower_layer_has_what_restrictions_leave(people):
    ana, bo, _ = people
    schedule = ScheduleFactory(on_call=[ana])
    LayerFactory(schedule=schedule, participants=[bo], restrictions=[{"from": "09:00", "to": "17:00"}])
    day = datetime(2026, 5, 4, tzinfo=UTC)
    assert told(schedule, day, day + timedelta(days=1)) == [
        ("ana", day, day + timedelta(hours=9)),
        ("bo", day + timedelta(hours=9), day + timedelta(hours=17)),
        ("ana", day + timedelta(hours=17), day + timedelta(days=1)),
    ]


# Overrides of one, fallback, calendars


def test_an_override_may_replace_one_of_several(people):
    ana, bo, cy = people
    schedule = ScheduleFactory()
    layer = LayerFactory(schedule=schedule, participants=[[ana, bo]])
    start = datetime(2026, 5, 4, 9, tzinfo=UTC)
    OverrideFactory(schedule=schedule, user=cy, replaces=bo, starts_at=start)
    OverrideFactory(schedule=schedule, user=ana, replaces=cy, starts_at=start + timedelta(hours=2))
    got = oncall.shifts(load(schedule), start - timedelta(hours=1), start + timedelta(hours=3))
    hour = timedelta(hours=1)
    assert [(s.names, s.source, s.starts_at, s.layer) for s in got] == [
        ("ana and bo", "rotation", start - hour, layer),
        ("ana and cy", "override", start, layer),
        ("ana and bo", "rotation", start + hour, layer),  # cy, who is to be replaced, is not on
    ]


def test_the_fallback_is_on_call_when_nobody_else_is(people):
    ana, bo, cy = people
    schedule = ScheduleFactory(on_call=[ana])
    start = datetime(2026, 5, 4, 9, tzinfo=UTC)
    hour = timedelta(hours=1)
    schedule.layers.update(ends_at=start)
    FallbackFactory(schedule=schedule, user=cy, in_force_at=start - hour, replaced_at=start + 2 * hour)
    FallbackFactory(schedule=schedule, user=bo, in_force_at=start + 2 * hour)
    OverrideFactory(schedule=schedule, user=ana, starts_at=start + hour, ends_at=start + 3 * hour)
    got = oncall.shifts(load(schedule), start - 2 * hour, start + 4 * hour)
    assert [(s.names, s.source, (s.ends_at - s.starts_at) / hour) for s in got] == [
        ("ana", "rotation", 2),
        ("cy", "fallback", 1),
        ("ana", "override", 2),
        ("bo", "fallback", 1),
    ]
    assert load(schedule).fallback == bo
    assert oncall.shift_at(load(schedule), start).source == "fallback"


def test_a_layer_may_be_fed_from_a_calendar(people):
    ana, bo, cy = people
    schedule = ScheduleFactory(on_call=[cy])
    calendar = CalendarFactory(schedule=schedule)
    LayerFactory(schedule=schedule, calendar=calendar)
    start = datetime(2026, 5, 4, 9, tzinfo=UTC)
    hour = timedelta(hours=1)
    for user, begins, ends in ((ana, 0, 3), (bo, 1, 2)):
        calendar.events.create(user=user, starts_at=start + begins * hour, ends_at=start + ends * hour)
    got = oncall.shifts(load(schedule), start - hour, start + 4 * hour)
    assert [(s.names, s.source) for s in got] == [
        ("cy", "rotation"),
        ("ana", "calendar"),
        ("ana and bo", "calendar"),
        ("ana", "calendar"),
        ("cy", "rotation"),
    ]
    assert oncall.participants_of(load(schedule), start) == [cy, ana, bo]


def test_participants_are_each_named_once_by_layer_then_place(people):
    ana, bo, cy = people
    dee = UserFactory(name="dee", is_active=False)
    schedule = ScheduleFactory(on_call=[bo, dee, ana, bo])
    LayerFactory(schedule=schedule, participants=[[cy, ana], bo])
    LayerFactory(schedule=schedule, participants=[UserFactory()], ends_at=datetime(2025, 2, 1, tzinfo=UTC))
    assert oncall.participants_of(load(schedule)) == [bo, ana, cy]
