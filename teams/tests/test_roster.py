"""Schedules as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from teams.enums import Rotation
from teams.roster import HORIZON, duty, layer_in_words
from teams.tests.factories import LayerFactory, OverrideFactory, ScheduleFactory, UserFactory

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
