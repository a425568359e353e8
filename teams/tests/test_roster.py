"""Schedules as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from teams.enums import Rotation
from teams.roster import HORIZON, duty, layer_in_words, own_shifts, windows_in_words
from teams.tests.factories import LayerFactory, OverrideFactory, ScheduleFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday, three hours after the hand-over
MONDAY = datetime(2026, 3, 9, 9, tzinfo=UTC)


@pytest.fixture
def ana():
    return UserFactory(name="Ana")


@pytest.fixture
def bo():
    return UserFactory(name="Bo")


def told(spans):
    return [(span.shift.names if span.shift else None, span.starts_at, span.ends_at) for span in spans]


def test_now_next_and_two_weeks(ana, bo):
    found = duty(ScheduleFactory(on_call=[ana, bo]), at=NOW)
    week = timedelta(weeks=1)
    until = NOW + HORIZON
    assert told(found.spans) == [
        ("Ana", NOW, MONDAY),
        ("Bo", MONDAY, MONDAY + week),
        ("Ana", MONDAY + week, until),
    ]
    assert (found.now, found.next, found.gap) == (found.spans[0], found.spans[1], None)
    assert found.shift_of(bo) == found.spans[1]
    assert found.shift_of(UserFactory()) is None


def test_a_rotation_of_one_has_nobody_next(ana):
    found = duty(ScheduleFactory(on_call=[ana]), at=NOW)
    assert told(found.spans) == [("Ana", NOW, NOW + HORIZON)]
    assert (found.next, found.gap) == (None, None)


def test_the_same_person_by_an_override_is_not_next(ana, bo):
    schedule = ScheduleFactory(on_call=[ana, bo])
    OverrideFactory(schedule=schedule, user=ana, starts_at=NOW + timedelta(hours=1))
    assert duty(schedule, at=NOW).next.shift.users == (bo,)


def test_gaps_are_shown(ana):
    schedule = ScheduleFactory(on_call=[])
    assert duty(schedule, at=NOW).is_gap_now
    assert told(duty(schedule, at=NOW).spans) == [(None, NOW, NOW + HORIZON)]
    LayerFactory(schedule=schedule, participants=[ana], ends_at=MONDAY)
    found = duty(schedule, at=NOW)
    assert told(found.spans) == [("Ana", NOW, MONDAY), (None, MONDAY, NOW + HORIZON)]
    assert found.gap == found.spans[1]
    assert not found.is_gap_now


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({}, "Ana and Bo take turns of 1 week, handing over on Mondays at 10:00."),
        (
            {"rotation": Rotation.MONTHLY, "hand_over_day": 31},
            "Ana and Bo take turns of 1 month, handing over on day 31 (or the last) of the month at 10:00.",
        ),
        (
            {"rotation": Rotation.CUSTOM, "turn_length": 90},
            "Ana and Bo take turns of 90 minutes, counted from 06 Jan 2025, 10:00.",
        ),
        ({"turn_length": 2}, "Ana and Bo take turns of 2 weeks, handing over on Mondays at 10:00."),
        ({"rotation": Rotation.DAILY}, "Ana and Bo take turns of 1 day, handing over at 10:00."),
        (
            {"rotation": Rotation.HOURLY, "turn_length": 12},
            "Ana and Bo take turns of 12 hours, counted from 06 Jan 2025, 10:00.",
        ),
    ],
)
def test_turns_in_words_are_on_the_schedules_clock(ana, bo, layer, words):
    schedule = ScheduleFactory(time_zone="Europe/Berlin")
    assert layer_in_words(LayerFactory(schedule=schedule, participants=[ana, bo], **layer)) == words


def test_layers_with_one_person_or_nobody_in_words(ana):
    schedule = ScheduleFactory()
    assert layer_in_words(LayerFactory(schedule=schedule, participants=[ana])) == "Ana, always."
    assert layer_in_words(LayerFactory(schedule=schedule)) == "Nobody takes part yet."


def test_ones_own_shifts_go_on_from_layer_to_layer(ana, bo):
    team = TeamFactory(responders=[ana])
    schedule = ScheduleFactory(team=team, on_call=[ana])
    LayerFactory(schedule=schedule, participants=[ana], restrictions=[{"from": "18:00", "to": "06:00"}])
    OverrideFactory(schedule=schedule, user=bo, starts_at=MONDAY)
    hour = timedelta(hours=1)
    found = own_shifts(ana, start=NOW, end=MONDAY + 2 * hour)
    assert [(own.schedule, own.shift.starts_at, own.shift.ends_at) for own in found] == [
        (schedule, NOW, MONDAY),
        (schedule, MONDAY + hour, MONDAY + 2 * hour),
    ]
    assert own_shifts(bo, start=NOW, end=MONDAY + hour) == []


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ({}, []),
        ({"restrictions": [{"from": "09:00", "to": "17:00"}]}, ["Every day 09:00 – 17:00"]),
        (
            {"restrictions": [{"from": "17:00", "to": "09:00", "days": [1, 2, 3, 4, 5]}]},
            ["Mondays to Fridays 17:00 – 09:00 the day after"],
        ),
        (
            {
                "restrictions": [{"from": "08:00", "to": "08:00", "days": [1, 4]}],
                "on_holidays": "off",
                "holidays_of": "DE",
            },
            ["Mondays and Thursdays 08:00 – 08:00 the day after", "Not on public holidays of DE"],
        ),
        ({"on_holidays": "on", "holidays_of": "US-CA"}, ["Only on public holidays of US-CA"]),
    ],
)
def test_restrictions_in_words(layer, words):
    assert windows_in_words(LayerFactory(**layer)) == words
