"""How long people were on call: from the schedules, as they were then."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from teams import oncall
from teams.models import Schedule, User
from teams.queries import with_rotation

from .blocks import Block, Column, Table
from .nights import WORDS, night_between
from .scope import Scope

HOUR = timedelta(hours=1)


@dataclass
class Duty:
    """Of one person in one schedule."""

    shifts: int = 0
    length: timedelta = timedelta()
    night: timedelta = timedelta()
    weekend: timedelta = timedelta()


def build(scope: Scope) -> list[Block]:
    end = min(scope.end, timezone.now())
    rows: list[list[object]] = []
    if end > scope.start:
        schedules = with_rotation(Schedule.objects.filter(team__in=scope.teams), start=scope.start, end=end)
        for schedule in schedules:
            for person, duty in duties(schedule, scope.start, end).items():
                rows.append(
                    [
                        str(person),
                        schedule.name,
                        schedule.team.name,
                        duty.shifts,
                        duty.length / HOUR,
                        duty.night / HOUR,
                        duty.weekend / HOUR,
                    ]
                )
    rows.sort(key=lambda row: (-row[4], row[0]))  # type: ignore[operator]
    hours = [Column(title, is_number=True) for title in ("Shifts", "Hours", "At night", "At weekends")]
    return [
        Table(
            "hours",
            "On-call hours",
            [Column("Person"), Column("Schedule"), Column("Team"), *hours],
            rows,
            note=f"{WORDS} Hours to come do not count. Services and severities do not narrow this.",
            empty="Nobody was on call by a schedule in this period.",
        )
    ]


def duties(schedule: Schedule, start: datetime, end: datetime) -> dict[User, Duty]:
    """Of a schedule that is loaded for the span; hours of people who are on call together count for each of them."""
    found: dict[User, Duty] = defaultdict(Duty)
    for shift in oncall.shifts(schedule, start, end):
        for person in shift.users:
            duty = found[person]
            duty.shifts += 1
            duty.length += shift.ends_at - shift.starts_at
            duty.night += night_between(shift.starts_at, shift.ends_at, person.tzinfo)
            duty.weekend += _weekend_between(shift.starts_at, shift.ends_at, person)
    return found


def _weekend_between(start: datetime, end: datetime, person: User) -> timedelta:
    """How much of the span is Saturday or Sunday on the person's own clock."""
    zone = person.tzinfo
    found, at = timedelta(), start.astimezone(zone)
    while at < end:
        midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        if at.isoweekday() > 5:
            # In UTC: within one zone, Python would reckon with the wall clock.
            found += min(midnight, end).astimezone(UTC) - at.astimezone(UTC)
        at = midnight
    return found
