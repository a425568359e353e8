"""Tells the teams' rooms when somebody else is on call, whatever the reason: a hand-over, an override, an edit."""

from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from teams.models import Schedule
from teams.oncall import on_call
from teams.queries import with_rotation

from . import rooms
from .models import ToldOnCall

# Any number that no other lock of two numbers has.
LOCK = (1_718_973_293, 1)


@transaction.atomic
def tell_changes(now: datetime | None = None) -> int:
    """Compare who is on call with what was told last, and tell. Returns for how many schedules.

    Two at once do it once: the second leaves it to the first.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", LOCK)
        if not cursor.fetchone()[0]:
            return 0
    now = now or timezone.now()
    told = {row.schedule_id: row.people for row in ToldOnCall.objects.all()}
    changed, events = [], []
    schedules = list(with_rotation(Schedule.objects.all()))
    for schedule in schedules:
        people = on_call(schedule, now)
        ids = [person.pk for person in people]
        if told.get(schedule.pk) != ids:
            changed.append(ToldOnCall(schedule_id=schedule.pk, people=ids))
            named = [{"id": str(person.pk), "name": str(person)} for person in people]
            data = {"schedule_id": str(schedule.pk), "schedule": schedule.name, "people": named}
            events.append((schedule.team_id, "oncall.changed", data))
    ToldOnCall.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["schedule_id"], update_fields=["people"]
    )
    if gone := told.keys() - {schedule.pk for schedule in schedules}:
        ToldOnCall.objects.filter(pk__in=gone).delete()
    rooms.publish_to_teams(events)
    return len(events)
