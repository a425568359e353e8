"""Schedules against the slow model of teams.tests.reference, and what holds for all of them."""

import itertools
import random
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teams import oncall, overrides, queries, rotations
from teams.enums import OnHolidays, Rotation
from teams.models import Fallback, Layer, Override, Rows, Schedule, User
from teams.tests import reference
from teams.tests.factories import TeamFactory, UserFactory

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
QUARTERS = st.integers(0, 95).map(lambda n: time(n // 4, n % 4 * 15))
# A zone, and an instant at which its clocks change or a month or year does something odd.
PLACES = [
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),  # by half an hour
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # at midnight
    ("Africa/Casablanca", datetime(2026, 3, 22, 2, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2028, 2, 28, 20, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 31, 22, tzinfo=UTC)),
]


@st.composite
def windows(draw):
    if draw(st.booleans()):
        window = {"from": f"{draw(QUARTERS):%H:%M}", "to": f"{draw(QUARTERS):%H:%M}"}
        if draw(st.booleans()):
            window["days"] = sorted(draw(st.sets(st.integers(1, 7), min_size=1)))
        return window
    begin, end = draw(
        st.tuples(st.tuples(st.integers(1, 7), QUARTERS), st.tuples(st.integers(1, 7), QUARTERS)).filter(
            lambda pair: pair[0] != pair[1]
        )
    )
    return {
        "from_day": begin[0],
        "from": f"{begin[1]:%H:%M}",
        "to_day": end[0],
        "to": f"{end[1]:%H:%M}",
    }


def instants(around, before=3, after=3):
    quarters = st.integers(-before * 96, after * 96)
    return quarters.map(lambda n: around + n * timedelta(minutes=15))


@st.composite
def layers(draw, schedule, people, around, position):
    rotation = draw(st.sampled_from(Rotation.values))
    length = 15 * draw(st.integers(1, 60)) if rotation == "custom" else draw(st.integers(1, 4))
    highest = {"weekly": 7, "monthly": 31}.get(rotation, 0)
    on_holidays = draw(st.sampled_from(["same", "same", *OnHolidays.values]))
    starts_at = draw(instants(around, before=draw(st.sampled_from([2, 90])), after=1))
    layer = Layer(
        schedule=schedule,
        position=position,
        rotation=rotation,
        turn_length=length,
        hand_over_time=draw(st.none() | QUARTERS),
        hand_over_day=draw(st.none() | st.integers(1, highest)) if highest else None,
        starts_at=starts_at,
        ends_at=draw(st.none() | instants(around).map(lambda at: max(at, starts_at + HOUR))),
        in_force_at=draw(st.none() | instants(around, after=0)),
        replaced_at=draw(st.none() | instants(around, before=0)),
        restrictions=draw(st.lists(windows(), max_size=2)),
        on_holidays=on_holidays,
        holidays_of="" if on_holidays == "same" else draw(st.sampled_from(["DE", "US"])),
    )
    layer.full_clean(exclude=["schedule"], validate_unique=False, validate_constraints=False)
    layer.places = draw(
        st.lists(st.lists(st.sampled_from(people), max_size=2, unique=True).map(tuple), max_size=4)
    )
    return layer


@st.composite
def schedules(draw):
    """A schedule that stands in no database, and an instant that is worth a look."""
    zone, around = draw(st.sampled_from(PLACES))
    schedule = Schedule(name="drawn", time_zone=zone)
    people = [User(name=name) for name in "abcde"]
    gone = draw(st.none() | st.sampled_from(people))
    if gone:
        gone.is_active = False
        gone.inactive_since_at = draw(st.none() | instants(around))
    made = [
        Override(
            schedule=schedule,
            user=draw(st.sampled_from(people)),
            replaces=draw(st.none() | st.sampled_from(people)),
            starts_at=at,
            ends_at=at + draw(st.integers(1, 90)) * timedelta(minutes=30),
            created_at=around + draw(st.integers(-900, 900)) * HOUR + number * timedelta(seconds=1),
        )
        for number, at in enumerate(draw(st.lists(instants(around), max_size=4)))
    ]
    change = draw(st.none() | instants(around))
    fallbacks = [
        Fallback(user=draw(st.sampled_from(people)), in_force_at=around - 9 * DAY, replaced_at=change),
        *([Fallback(user=draw(st.sampled_from(people)), in_force_at=change)] if change else []),
    ]
    schedule.rows = Rows(
        layers=[
            draw(layers(schedule, people, around, position)) for position in range(draw(st.integers(0, 3)))
        ],
        overrides=sorted(made, key=lambda override: override.created_at),
        fallbacks=fallbacks if draw(st.booleans()) else [],
    )
    return schedule, around


def told(found):
    return [(s.users, s.starts_at, s.ends_at, s.source) for s in found]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schedules())
def test_every_minute_has_exactly_the_people_that_the_rules_say(drawn):
    schedule, around = drawn
    start, end = around - DAY, around + DAY
    by_minute = {}
    for shift in oncall.shifts(schedule, start, end):
        at = shift.starts_at
        while at < shift.ends_at:
            assert at not in by_minute
            by_minute[at] = list(shift.users)
            at += MINUTE
    at = start
    while at < end:
        assert by_minute.get(at, []) == reference.people_at(schedule, at), at
        at += MINUTE
    for hours in range(0, 48, 5):
        at = start + hours * HOUR
        assert oncall.on_call(schedule, at) == by_minute.get(at, [])


@settings(max_examples=60, deadline=None)
@given(schedules(), st.lists(st.integers(1, 6 * 24 * 60 - 1), min_size=1, max_size=5, unique=True))
def test_the_parts_of_a_range_are_the_whole(drawn, cuts):
    schedule, around = drawn
    start, end = around - 3 * DAY, around + 3 * DAY
    points = [start, *(start + minutes * MINUTE for minutes in sorted(cuts)), end]
    whole = oncall.shifts(schedule, start, end)
    parts = []
    for begins, ends in itertools.pairwise(points):
        parts += oncall.shifts(schedule, begins, ends)
    assert told(oncall._merged(parts)) == told(whole)
    for one, other in itertools.pairwise(whole):
        assert one.ends_at <= other.starts_at
        assert one.ends_at < other.starts_at or not oncall._same(one, other)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_layers_alone_never_say_more_than_their_windows(data):
    """What is above a layer takes from it, and never adds to it."""
    schedule, around = data.draw(schedules())
    for layer in schedule.rows.layers:
        alone = oncall.layer_shifts(layer, around - 2 * DAY, around + 2 * DAY)
        for shift in oncall.shifts(schedule, around - 2 * DAY, around + 2 * DAY):
            if shift.layer is layer and not shift.override:
                at = shift.starts_at
                assert any(s.starts_at <= at < s.ends_at and s.users == shift.users for s in alone)


# Editing the future leaves the past


def edit(schedule, people, pick):
    """One of the things that people do to a schedule."""
    now = datetime.now(UTC)
    rows = list(schedule.layers.filter(replaced_at=None).order_by("position"))
    places = [[pick.choice(people)] for _ in range(pick.randint(0, 4))]
    turning = {
        "rotation": pick.choice(["daily", "hourly", "weekly"]),
        "turn_length": pick.randint(1, 3),
        "starts_at": now + pick.randint(-200, 100) * HOUR,
        "participants": places,
        "restrictions": pick.choice([[], [{"from": "09:00", "to": "17:00"}]]),
    }
    row = pick.choice(rows) if rows else None
    kind = pick.choice(["add", "change", "turn", "remove", "move", "zone", "fallback", "override", "replace"])
    if kind == "add" and len(rows) < 4:
        rotations.add_layer(schedule_id=schedule.pk, **turning)
    elif kind == "change" and row:
        rotations.change_layer(layer_id=row.pk, **turning)
    elif kind == "turn" and row:
        rotations.change_layer(layer_id=row.pk, participants=places, keep_turn=True)
    elif kind == "remove" and row:
        rotations.remove_layer(layer_id=row.pk)
    elif kind == "move" and row:
        rotations.move_layer(layer_id=row.pk, by=pick.choice([-1, 1]))
    elif kind == "zone":
        zone = pick.choice(["UTC", "Asia/Tokyo", "America/New_York"])
        rotations.change_schedule(schedule_id=schedule.pk, time_zone=zone)
    elif kind == "fallback":
        rotations.set_fallback(schedule_id=schedule.pk, user=pick.choice([None, *people]))
    elif kind == "override":
        begins = now + pick.randint(-20, 20) * HOUR
        made = overrides.add_override(
            schedule=schedule,
            user=pick.choice(people),
            starts_at=begins,
            ends_at=max(begins, now) + HOUR * pick.randint(1, 60),
            by=people[0],
        )
        if pick.random() < 0.3:
            overrides.remove_override(override_id=made.pk)
    elif kind == "replace":
        rotations.replace_layers(schedule_id=schedule.pk, layers=[turning] * pick.randint(0, 2))


@pytest.mark.django_db
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_editing_the_future_leaves_the_past(seed, db):
    pick = random.Random(seed)
    begin = datetime(2026, 3, 20, 12, tzinfo=UTC)
    with transaction.atomic(), time_machine.travel(begin, tick=False) as traveller:
        people = [UserFactory() for _ in range(4)]
        schedule = rotations.create_schedule(
            team=TeamFactory(responders=people),
            name="Edited",
            time_zone="Europe/Berlin",
            layers=[
                {
                    "rotation": "daily",
                    "starts_at": begin - 40 * DAY,
                    "participants": [[user] for user in people],
                }
            ],
        )
        past = []
        for _ in range(10):
            traveller.shift(timedelta(minutes=pick.randint(1, 900)))
            now = datetime.now(UTC)
            loaded = queries.with_rotation(Schedule.objects.filter(pk=schedule.pk), start=begin).get()
            past += [(at, oncall.on_call(loaded, at)) for at in (now - 17 * MINUTE, now - MINUTE / 1000)]
            edit(schedule, people, pick)
            if pick.random() < 0.2 and len(people) > 2:
                user = people.pop(pick.randrange(len(people)))
                user.is_active = False
                user.save()
        loaded = queries.with_rotation(Schedule.objects.filter(pk=schedule.pk), start=begin).get()
        assert [(at, oncall.on_call(loaded, at)) for at, _ in past] == past
        transaction.set_rollback(True)


def test_the_zones_of_the_tests_change_their_clocks_then():
    """Else these tests would look at dull days."""
    for zone, at in PLACES[:7]:
        offsets = {(at + hours * HOUR).astimezone(ZoneInfo(zone)).utcoffset() for hours in (-1, 1)}
        assert len(offsets) == 2, zone
