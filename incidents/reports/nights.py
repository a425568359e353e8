"""What counts as night, for fairness: 22:00 until 07:00 on the person's own clock."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

BEGINS, ENDS = time(22), time(7)
WORDS = "Night is 22:00 to 07:00 on the person’s own clock."


def is_night(at: datetime, zone: ZoneInfo) -> bool:
    local = at.astimezone(zone).time()
    return local >= BEGINS or local < ENDS


def night_between(start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
    """How much of the span is night. In real hours, also where clocks change."""
    return sum(
        (max(min(end, until) - max(start, since), timedelta()) for since, until in _nights(start, end, zone)),
        timedelta(),
    )


def _nights(start: datetime, end: datetime, zone: ZoneInfo) -> Iterable[tuple[datetime, datetime]]:
    day = start.astimezone(zone).date() - timedelta(days=1)
    last = end.astimezone(zone).date()
    while day <= last:
        since = datetime.combine(day, BEGINS, zone).astimezone(UTC)
        yield since, datetime.combine(day + timedelta(days=1), ENDS, zone).astimezone(UTC)
        day += timedelta(days=1)
