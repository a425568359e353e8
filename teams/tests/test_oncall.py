"""Who is on call: rotations across clock changes, layers, overrides and gaps."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from teams import oncall, queries
from teams.enums import Rotation
from teams.models import Schedule
from teams.tests.factories import LayerFactory, OverrideFactory, ScheduleFactory, UserFactory

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def people(db):
    return [UserFactory(name=name) for name in ("ana", "bo", "cy")]


def load(schedule):
    return queries.with_rotation(Schedule.objects.filter(pk=schedule.pk)).get()


def names(schedule, at):
    return [user.name for user in oncall.on_call(load(schedule), at)]


def told(schedule, start, end):
    return [(s.user.name, s.starts_at, s.ends_at) for s in oncall.shifts(load(schedule), start, end)]


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
    assert [(s.user.name, s.source) for s in got] == [
        ("bo", "override"),
        ("cy", "override"),
        ("bo", "override"),
        ("ana", "rotation"),
    ]


def test_inactive_person_is_nobody(people):
    ana, bo, _ = people
    schedule = ScheduleFactory(on_call=[ana])
    LayerFactory(schedule=schedule, participants=[bo])
    bo.is_active = False
    bo.save()
    at = datetime(2026, 5, 4, 9, tzinfo=UTC)
    assert names(schedule, at) == ["ana"]
    OverrideFactory(schedule=schedule, user=bo, starts_at=at, ends_at=at + timedelta(hours=1))
    assert names(schedule, at) == ["ana"]


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
        with django_assert_num_queries(4):
            assert [oncall.on_call(s, at) != [] for s in queries.with_rotation(Schedule.objects.all())] == [
                True
            ] * count
