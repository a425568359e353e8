"""What is known here of who is paged, in the look ahead of schedules."""

import pytest

from escalations.tests.factories import PolicyFactory, StepFactory
from teams import coverage
from teams.models import Schedule
from teams.tests.cast import Cast
from teams.tests.factories import ScheduleFactory

pytestmark = pytest.mark.django_db


def test_steps_that_page_nobody_are_found(clock):
    cast = Cast()
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.responder])
    PolicyFactory(team=cast.team, name="Fine", levels=[[cast.responder]])
    PolicyFactory(team=cast.team, name="None", levels=[])
    StepFactory(policy=PolicyFactory(team=cast.team, name="One", levels=[]))
    schedules = coverage.load(Schedule.objects.all(), clock.now)
    found = coverage.check([cast.team], schedules, at=clock.now)
    assert sorted(finding.detail for finding in found) == [
        "Step 1 of the escalation policy “One” has no target: it pages nobody.",
        "The escalation policy “None” has no steps: it pages nobody.",
    ]
    assert coverage.check_schedule(schedule) == []  # not the schedule's matter
