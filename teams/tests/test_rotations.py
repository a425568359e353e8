"""Schedules are changed, and what has been stays as it was."""

import threading
from datetime import UTC, datetime, time, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from teams import oncall, queries, rotations
from teams.exceptions import LayerIsGone, NotAResponder
from teams.models import Calendar, Layer, Participant, Schedule
from teams.tests.factories import LayerFactory, ScheduleFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db
WEEK = timedelta(weeks=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def people(db):
    return [UserFactory(name=name) for name in ("ana", "bo", "cy", "dee")]


@pytest.fixture
def schedule(clock, people):
    """Weekly turns; on the clock's Monday, 2 March 2026, 12:00, three hours of ana's turn are over."""
    return ScheduleFactory(team=TeamFactory(responders=people), time_zone="Europe/Berlin", on_call=people[:3])


def names(schedule, at):
    loaded = queries.with_rotation(Schedule.objects.filter(pk=schedule.pk), start=at).get()
    return [user.name for user in oncall.on_call(loaded, at)]


def weeks(schedule, at, count=4):
    return [" ".join(names(schedule, at + n * WEEK)) for n in range(count)]


def layer_of(schedule):
    return schedule.layers.get(replaced_at=None)


def test_somebody_joins_and_the_turn_goes_on(schedule, people, clock):
    assert weeks(schedule, clock.now - WEEK) == ["cy", "ana", "bo", "cy"]
    ana, bo, cy, dee = people
    rotations.change_layer(
        layer_id=layer_of(schedule).pk, participants=[[ana], [bo], [dee], [cy]], keep_turn=True
    )
    assert weeks(schedule, clock.now - WEEK, 6) == ["cy", "ana", "bo", "dee", "cy", "ana"]
    layer = layer_of(schedule)
    assert (layer.starts_at, layer.hand_over_day, layer.hand_over_time) == (
        datetime(2026, 3, 2, 9, tzinfo=UTC),
        1,
        time(10),
    )


def test_whoever_is_next_takes_over_from_somebody_who_leaves(schedule, people, clock):
    _ana, bo, cy, _ = people
    before = clock.now - timedelta(seconds=1)
    rotations.change_layer(layer_id=layer_of(schedule).pk, participants=[[cy], [bo]], keep_turn=True)
    assert names(schedule, before) == ["ana"]
    assert weeks(schedule, clock.now) == ["bo", "cy", "bo", "cy"]


def test_without_keeping_the_turn_they_are_counted_from_the_start(schedule, people, clock):
    ana, bo, *_ = people
    rotations.change_layer(layer_id=layer_of(schedule).pk, participants=[[bo], [ana]])
    assert weeks(schedule, clock.now - WEEK) == ["cy", "bo", "ana", "bo"]


def test_the_31st_stays_the_31st_when_the_turn_goes_on(people, clock):
    clock.set(datetime(2026, 3, 3, 12, tzinfo=UTC))
    schedule = ScheduleFactory()
    LayerFactory(
        schedule=schedule,
        rotation="monthly",
        starts_at=datetime(2025, 12, 31, 9, tzinfo=UTC),
        participants=people[:2],
    )
    rotations.change_layer(layer_id=layer_of(schedule).pk, participants=[[p] for p in people], keep_turn=True)
    assert names(schedule, clock.now) == ["ana"]
    assert names(schedule, datetime(2026, 3, 31, 8, tzinfo=UTC)) == ["ana"]
    assert names(schedule, datetime(2026, 3, 31, 9, tzinfo=UTC)) == ["bo"]


def test_another_rotation_begins_with_whoever_is_on(schedule, people, clock):
    rotations.change_layer(
        layer_id=layer_of(schedule).pk,
        rotation="daily",
        participants=[[people[2]], [people[0]]],
        keep_turn=True,
    )
    day = timedelta(days=1)
    assert [names(schedule, clock.now + n * day) for n in range(3)] == [["ana"], ["cy"], ["ana"]]


def test_another_time_zone_moves_what_is_to_come_only(schedule, clock):
    hand_over = datetime(2026, 2, 23, 9, tzinfo=UTC)
    rotations.change_schedule(schedule_id=schedule.pk, time_zone="America/New_York")
    assert (names(schedule, hand_over - MINUTE), names(schedule, hand_over)) == (["bo"], ["cy"])
    # 04:00 in New York, where summer time begins on the 8th; in Berlin it would still be 09:00 UTC.
    to_come = datetime(2026, 3, 16, 8, tzinfo=UTC)
    assert (names(schedule, to_come - MINUTE), names(schedule, to_come)) == (["bo"], ["cy"])


def test_layers_are_put_on_top_and_moved_and_removed(schedule, people, clock):
    dee = people[3]
    upper = rotations.add_layer(
        schedule_id=schedule.pk, name="Upper", starts_at=clock.now, participants=[[dee]]
    )
    assert (upper.position, names(schedule, clock.now)) == (1, ["dee"])
    assert names(schedule, clock.now - HOUR) == ["ana"]
    clock.advance(hours=1)
    rotations.move_layer(layer_id=upper.pk, by=-5)
    assert names(schedule, clock.now) == ["ana"]
    assert names(schedule, clock.now - HOUR / 2) == ["dee"]
    lower = schedule.layers.get(replaced_at=None, position=1)
    clock.advance(hours=1)
    rotations.remove_layer(layer_id=lower.pk)
    assert names(schedule, clock.now) == ["dee"]
    assert names(schedule, clock.now - HOUR / 2) == ["ana"]
    with pytest.raises(LayerIsGone):
        rotations.remove_layer(layer_id=lower.pk)


def test_what_has_not_begun_leaves_no_trace(schedule, people, clock):
    layer = rotations.add_layer(
        schedule_id=schedule.pk, starts_at=clock.now + WEEK, participants=[[people[3]]]
    )
    changed = rotations.change_layer(layer_id=layer.pk, name="Later")
    assert (changed.identity, schedule.layers.count()) == (layer.pk, 2)
    rotations.remove_layer(layer_id=changed.pk)
    assert schedule.layers.count() == 1


def test_repeating_a_write_changes_nothing(schedule, people, clock):
    layer = layer_of(schedule)
    before = list(Layer.objects.values())
    same = [[person] for person in people[:3]]
    clock.advance(hours=1)
    rotations.change_layer(layer_id=layer.pk, participants=same, keep_turn=True)
    rotations.replace_layers(
        schedule_id=schedule.pk,
        layers=[{"participants": same, "starts_at": layer.starts_at}],
    )
    rotations.move_layer(layer_id=layer.pk, by=1)
    assert list(Layer.objects.values()) == before


def test_faulty_layers_change_nothing(schedule, people):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for values, field in [
        ({"hand_over_day": 8}, "hand_over_day"),
        ({"rotation": "daily", "hand_over_day": 1}, "hand_over_day"),
        ({"rotation": "custom", "turn_length": 14}, "turn_length"),
        ({"restrictions": [{"from": "9", "to": "10:00"}]}, "restrictions"),
        ({"on_holidays": "off"}, "holidays_of"),
        ({"on_holidays": "off", "holidays_of": "DE-XX"}, "holidays_of"),
        ({"name": ""}, "name"),
    ]:
        with pytest.raises(ValidationError) as raised:
            rotations.replace_layers(
                schedule_id=schedule.pk,
                layers=[{"starts_at": start, "participants": [[people[0]]], **values}],
            )
        assert list(raised.value.message_dict) == [field]
    assert Layer.objects.count() == 1 and Participant.objects.count() == 3


def test_a_fallback_is_one_who_may_answer(schedule, people, clock):
    with pytest.raises(NotAResponder):
        rotations.set_fallback(schedule_id=schedule.pk, user=UserFactory())
    rotations.set_fallback(schedule_id=schedule.pk, user=people[0])
    clock.advance(hours=1)
    rotations.set_fallback(schedule_id=schedule.pk, user=people[1])
    rotations.set_fallback(schedule_id=schedule.pk, user=people[1])
    clock.advance(hours=1)
    rotations.set_fallback(schedule_id=schedule.pk, user=None)
    schedule.layers.all().delete()
    hours = [names(schedule, clock.now - n * HOUR) for n in (2.5, 2, 1, 0)]
    assert hours == [[], ["ana"], ["bo"], []]


def test_a_calendar_is_kept_for_its_address(schedule, people, clock):
    url = "https://calendar.example.org/x.ics"
    layer = rotations.add_layer(schedule_id=schedule.pk, starts_at=clock.now, calendar_url=url)
    rotations.change_layer(layer_id=layer.pk, name="Calendar")
    calendar = Calendar.objects.get()
    assert (layer_of_calendar(schedule).calendar, calendar.due_at) == (calendar, clock.now)


def layer_of_calendar(schedule):
    return schedule.layers.get(replaced_at=None, calendar__isnull=False)


@pytest.mark.django_db(transaction=True)
def test_of_two_writes_at_once_the_second_builds_on_the_first(people):
    schedule = ScheduleFactory(team=TeamFactory(responders=people), on_call=people[:1])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    failures = []

    def add(name):
        try:
            rotations.add_layer(
                schedule_id=schedule.pk, name=name, starts_at=start, participants=[[people[1]]]
            )
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=add, args=(f"Layer {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    found = schedule.layers.filter(replaced_at=None).order_by("position").values_list("position", "name")
    assert [position for position, _ in found] == [0, 1, 2, 3, 4]
    assert {name for _, name in found} == {"Rotation", *(f"Layer {n}" for n in range(4))}
