"""What a report is about: a span of time, beside the one before it, and the services that its reader may see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from incidents.enums import SEVERITIES, Severity
from teams.models import Service, Team

DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
LONGEST_BY_HOURS = timedelta(days=2)
LONGEST_BY_DAYS = timedelta(days=92)
LONGEST_BY_WEEKS = timedelta(days=731)


@dataclass(frozen=True)
class Scope:
    """From `start` until before `end` (aware), on the clock of `zone`; `services` by id, with their teams loaded."""

    start: datetime
    end: datetime
    zone: ZoneInfo
    services: Mapping[UUID, Service]
    severities: Sequence[Severity] = field(default_factory=lambda: list(SEVERITIES))

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def previous(self) -> "Scope":
        """The span before this one. Where this one is so many days of the wall clock, so is that."""
        start, end = self.start.astimezone(self.zone), self.end.astimezone(self.zone)
        if start.time() == end.time():
            # Aware arithmetic within one zone is on the wall clock.
            return replace(self, start=start - (end.date() - start.date()), end=self.start)
        return replace(self, start=self.start - self.length, end=self.start)

    @cached_property
    def teams(self) -> list[Team]:
        return sorted({service.team for service in self.services.values()}, key=lambda team: team.name)

    @property
    def bucket(self) -> str:
        """What a chart over time has a column for: hour, day, week or month."""
        if self.length <= LONGEST_BY_HOURS:
            return "hour"
        if self.length <= LONGEST_BY_DAYS:
            return "day"
        return "week" if self.length <= LONGEST_BY_WEEKS else "month"

    def buckets(self) -> list[datetime]:
        """The beginnings of all columns, in this zone."""
        found: list[datetime] = []
        if self.bucket == "hour":
            # Past the hour on the local clock, which need not be so in UTC; then in real hours.
            at = self.start.astimezone(self.zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
            while at < self.end:
                found.append(at)
                at += timedelta(hours=1)
            return found
        day = self.start.astimezone(self.zone).date()
        if self.bucket == "week":
            day -= timedelta(days=day.weekday())
        elif self.bucket == "month":
            day = day.replace(day=1)
        while (at := self._midnight(day)) < self.end:
            found.append(at)
            if self.bucket == "month":
                day = (day + timedelta(days=32)).replace(day=1)
            else:
                day += timedelta(days=7 if self.bucket == "week" else 1)
        return found

    def utc_offset(self, at: datetime) -> timedelta:
        """How far the zone's clocks are ahead of UTC then."""
        return at.astimezone(self.zone).utcoffset() or timedelta()

    def clock_changes(self) -> list[datetime]:
        """When in the span the zone's clocks are put on or back, which is at a quarter of an hour of UTC."""
        found = []
        day = self.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        while day < self.end:
            quarters = [day + QUARTER * number for number in range(DAY // QUARTER + 1)]
            if self.utc_offset(day) != self.utc_offset(quarters[-1]):
                found += [at for at in quarters[1:] if self.utc_offset(at) != self.utc_offset(at - QUARTER)]
            day += DAY
        return [at for at in found if self.start < at < self.end]

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)

    @property
    def parameters(self) -> dict[str, Any]:
        """For SQL: start, end, zone, bucket, services, severities and whether that is all of them."""
        return {
            "start": self.start,
            "end": self.end,
            "zone": self.zone.key,
            "bucket": self.bucket,
            "services": list(self.services),
            "severities": [str(severity) for severity in self.severities],
            "all_severities": set(self.severities) == set(SEVERITIES),
        }
