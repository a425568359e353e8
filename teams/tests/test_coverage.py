"""What will go wrong with schedules."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from teams import coverage, rotations, signals
from teams.models import Notice, Schedule, Team
from teams.tests.cast import Cast
from teams.tests.factories import (
    CalendarFactory,
    LayerFactory,
    OverrideFactory,
    ScheduleFactory,
    TeamFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def cast(clock):
    return Cast()


@pytest.fixture
def schedule(cast):
    return ScheduleFactory(team=cast.team, name="First line", on_call=[cast.responder, cast.manager])


def codes(schedule):
    return sorted(finding.code for finding in coverage.check_schedule(schedule))


def check(schedule, code):
    return [finding for finding in coverage.check_schedule(schedule) if finding.code == code]


def test_a_sound_schedule_has_no_findings(schedule):
    assert codes(schedule) == []


def test_gaps_are_found(schedule, clock):
    schedule.layers.update(ends_at=clock.now + 29 * DAY)
    [gap] = check(schedule, "gap")
    assert (gap.starts_at, gap.ends_at, gap.is_urgent) == (clock.now + 29 * DAY, clock.now + 30 * DAY, True)
    assert gap.detail == "Nobody is on call for 24 h."


def test_what_only_the_fallback_covers_is_named(schedule, cast, clock):
    schedule.layers.update(ends_at=clock.now + 28 * DAY)
    rotations.set_fallback(schedule_id=schedule.pk, user=cast.manager)
    assert codes(schedule) == ["fallback_only"]
    assert (
        "Only the fallback, Mara Manager, is on call for 2 days."
        in check(schedule, "fallback_only")[0].detail
    )


def test_layers_without_turns_without_people_and_at_their_end(schedule, cast, clock):
    hidden = schedule.layers.get()
    hidden.name = "Hidden"
    hidden.save()
    LayerFactory(schedule=schedule, name="Over all", participants=[cast.manager])
    LayerFactory(schedule=schedule, name="Empty")
    LayerFactory(schedule=schedule, name="Ended", participants=[cast.manager], ends_at=clock.now)
    found = {finding.code: finding.layer.name for finding in coverage.check_schedule(schedule)}
    assert found == {"layer_without_turns": "Hidden", "layer_empty": "Empty", "layer_ended": "Ended"}


def test_people_who_are_gone_or_may_not_answer(schedule, cast, clock):
    gone, inactive = UserFactory(name="Gone"), UserFactory(name="Ina", is_active=False)
    LayerFactory(
        schedule=schedule,
        participants=[gone, inactive, cast.observer, cast.responder],
        rotation="daily",
    )
    gone.delete()
    found = {finding.code: finding.user for finding in coverage.check_schedule(schedule)}
    assert found == {"person_deleted": None, "person_inactive": inactive, "not_a_responder": cast.observer}


def test_the_same_person_in_two_schedules_at_once(schedule, cast, clock):
    second = ScheduleFactory(team=cast.team, name="Second line", on_call=[cast.manager, cast.responder])
    assert codes(schedule) == []
    start = clock.now + DAY
    both = OverrideFactory(schedule=second, user=cast.responder, starts_at=start, ends_at=start + 20 * DAY)
    OverrideFactory(schedule=schedule, user=cast.manager, starts_at=start, ends_at=both.ends_at)
    clock.advance(seconds=1)
    taken = start + DAY
    OverrideFactory(schedule=schedule, user=cast.responder, starts_at=taken, ends_at=taken + DAY)
    [twice] = check(schedule, "person_twice")
    assert (twice.user, twice.starts_at, twice.ends_at) == (cast.responder, taken, taken + DAY)


def test_calendars_that_fail_or_name_nobody(schedule, clock):
    calendar = CalendarFactory(
        schedule=schedule, failing_since_at=clock.now, failure="It answered 404.", unmatched=["Zoe"]
    )
    LayerFactory(schedule=schedule, calendar=calendar, name="Fed")
    assert codes(schedule) == ["calendar_failing", "calendar_unmatched", "layer_without_turns"]
    assert "It answered 404." in check(schedule, "calendar_failing")[0].detail


def test_checking_takes_the_same_queries_however_many_schedules(schedule, cast, clock):
    counts = []
    for _ in range(2):
        teams = list(Team.objects.all())
        with CaptureQueriesContext(connection) as captured:
            coverage.check(teams, coverage.load(Schedule.objects.all(), clock.now), at=clock.now)
        counts.append(len(captured))
        for _ in range(2):
            team = TeamFactory()
            ScheduleFactory(team=team, on_call=[UserFactory(), cast.manager])
    assert counts[0] == counts[1]


# Telling


def test_managers_are_told_once_a_week_and_of_anything_new(schedule, cast, clock):
    heard = []

    def hear(findings, **kwargs):
        heard.append([finding.code for finding in findings])

    def told():
        coverage.tell_managers()
        return Notice.objects.count()

    signals.coverage_found.connect(hear)
    try:
        assert (told(), heard) == (0, [])
        windows = [{"from": "00:00", "to": "20:00"}]
        schedule.layers.update(restrictions=windows)
        assert told() == 1
        clock.advance(days=1)  # another evening comes into sight, of the same pattern
        assert told() == 1
        schedule.layers.update(ends_at=clock.now + 20 * DAY)
        assert told() == 2
        clock.advance(days=7)
        assert told() == 3
    finally:
        signals.coverage_found.disconnect(hear)
    notice = Notice.objects.order_by("created_at").first()
    assert (notice.user, notice.subject) == (cast.manager, "On-call schedules of Payments need a look")
    assert "- First line: Mon 02 Mar, 20:00: Nobody is on call for 4 h." in notice.text
    assert "and 10 more" in notice.text
    assert len(heard) == 4 and set(heard[0]) == {"gap"}
