"""Calendar months in UTC, by which reports are counted ahead; a month is named by its first day."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta


def month_of(at: datetime) -> datetime:
    """When the month of an instant begins."""
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def start_of(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def months_within(start: datetime, end: datetime) -> list[date]:
    """The calendar months that lie wholly in the span."""
    first = month_of(start)
    month = first.date() if first == start else next_month(first.date())
    found = []
    while start_of(next_month(month)) <= end:
        found.append(month)
        month = next_month(month)
    return found


def rest_of(start: datetime, end: datetime, months: Sequence[date]) -> list[tuple[datetime, datetime]]:
    """What of the span lies in none of the months, which are in order."""
    found, at = [], start
    for month in months:
        if at < start_of(month):
            found.append((at, start_of(month)))
        at = start_of(next_month(month))
    if at < end:
        found.append((at, end))
    return found
