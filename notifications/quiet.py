"""Quiet hours: when a page that is not critical may reach a person."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

from teams.models import User

from .models import QuietHours

# Whoever is quiet around the clock is reached after a week at last.
LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Window:
    """Quiet from `starts` to `until` by the wall clock, beginning on the weekdays (0 is Monday)."""

    weekdays: frozenset[int]
    starts: time
    until: time
    allowed: frozenset[UUID] = frozenset()

    def end_at(self, at: datetime, zone: tzinfo) -> datetime | None:
        """When the window that covers `at` ends, in UTC; None when none does."""
        today = at.astimezone(zone).date()
        for day in (today, today - timedelta(days=1)):  # yesterday's may last past midnight
            if day.weekday() in self.weekdays:
                begins, ends = self._on(day, zone)
                if begins <= at < ends:
                    return ends
        return None

    def _on(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        # Local wall time first, then UTC: 07:00 stays 07:00 when the clocks change in the night.
        last_day = day if self.until > self.starts else day + timedelta(days=1)
        begins = datetime.combine(day, self.starts, zone).astimezone(UTC)
        return begins, datetime.combine(last_day, self.until, zone).astimezone(UTC)


def windows_of(users: Iterable[User]) -> dict[UUID, list[Window]]:
    """The people's quiet hours, by the person's id; those without any are left out. Two queries."""
    windows: dict[UUID, list[Window]] = {}
    rows = QuietHours.objects.filter(user__in=list(users)).prefetch_related("allowed_methods")
    for row in rows:
        allowed = frozenset(method.pk for method in row.allowed_methods.all())
        window = Window(frozenset(row.weekdays or range(7)), row.starts, row.until, allowed)
        windows.setdefault(row.user_id, []).append(window)
    return windows


def earliest(windows: Sequence[Window], *, method_id: UUID, at: datetime, zone: tzinfo) -> datetime:
    """When a page that is due at `at` may go out by the method: then, or at the end of the quiet hours."""
    latest = at + LONGEST
    while at < latest:
        ends = [
            end for w in windows if method_id not in w.allowed and (end := w.end_at(at, zone)) is not None
        ]
        if not ends:
            break
        at = max(ends)
    return at
