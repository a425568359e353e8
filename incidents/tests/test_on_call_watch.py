"""Teams' rooms hear when somebody else is on call, whatever the reason."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from incidents import on_call_watch
from incidents.models import LiveEvent, ToldOnCall
from teams.tests.factories import OverrideFactory, ScheduleFactory, UserFactory

pytestmark = pytest.mark.django_db


def told():
    """Whom the events named since the last time."""
    events = list(LiveEvent.objects.order_by("id"))
    LiveEvent.objects.all().delete()
    return [[person["name"] for person in event.data["people"]] for event in events]


def test_a_hand_over_an_override_and_its_end_are_told_once():
    ana, bo = UserFactory(name="Ana"), UserFactory(name="Bo")
    schedule = ScheduleFactory(on_call=[ana, bo])
    now = timezone.now()
    on_call_watch.tell_changes(now)
    [first] = told()
    assert on_call_watch.tell_changes(now) == 0
    on_call_watch.tell_changes(now + timedelta(days=7))
    [second] = told()
    assert {*first, *second} == {"Ana", "Bo"}
    override = OverrideFactory(schedule=schedule, user=UserFactory(name="Cy"))
    on_call_watch.tell_changes(override.starts_at)
    assert told() == [["Cy"]]
    override.delete()
    on_call_watch.tell_changes(override.starts_at)
    assert len(told()) == 1
    assert LiveEvent.objects.count() == 0


def test_an_event_goes_to_the_team_and_names_the_schedule():
    schedule = ScheduleFactory()
    on_call_watch.tell_changes()
    event = LiveEvent.objects.get()
    assert (event.team_id, event.kind) == (schedule.team_id, "oncall.changed")
    assert event.data == {"schedule_id": str(schedule.pk), "schedule": schedule.name, "people": []}


def test_a_schedule_that_is_gone_is_forgotten():
    schedule = ScheduleFactory()
    on_call_watch.tell_changes()
    schedule.delete()
    assert on_call_watch.tell_changes() == 0
    assert not ToldOnCall.objects.exists()


def test_queries_do_not_grow_with_the_schedules():
    def queries():
        with CaptureQueriesContext(connection) as captured:
            on_call_watch.tell_changes()
        return len(captured)

    ScheduleFactory(on_call=[UserFactory()])
    one = queries()
    for _ in range(3):
        ScheduleFactory(on_call=[UserFactory()])
    assert queries() == one
