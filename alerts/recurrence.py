"""When something comes again, by the rules of RFC 5545 on the clock of a time zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, FR, MO, MONTHLY, TH, TU, WE, WEEKLY, rrule, weekday

from .enums import Repeats

WORKDAYS = (MO, TU, WE, TH, FR)
# Not before, or two would overlap.
LEAST_INTERVAL = {
    Repeats.DAILY: timedelta(hours=23),
    Repeats.WEEKDAYS: timedelta(hours=23),
    Repeats.WEEKLY: timedelta(days=6, hours=23),
    Repeats.BIWEEKLY: timedelta(days=13, hours=23),
    Repeats.MONTHLY_DATE: timedelta(days=27, hours=23),
    Repeats.MONTHLY_WEEKDAY: timedelta(days=27, hours=23),
}


def occurrences(
    repeats: Repeats,
    first: datetime,
    zone: ZoneInfo,
    *,
    until: date | None,
    after: datetime,
    before: datetime,
) -> Iterator[datetime]:
    """Its beginnings (UTC) in [after, before), in order, of what began first at `first` and last on the day `until`.

    The clock's time stays the same across changes of it; a time that a day does not have is an hour later then. The
    31st is the last day of shorter months, a fifth Tuesday the last.
    """
    local = first.astimezone(zone).replace(tzinfo=None)
    rule = rrule(
        dtstart=local, until=datetime.combine(until, time.max) if until else None, **_parts(repeats, local)
    )
    day = timedelta(days=1)
    begin, end = (instant.astimezone(zone).replace(tzinfo=None) for instant in (after, before))
    for found in rule.xafter(begin - day, inc=True):
        if found > end + day:
            return
        at = found.replace(tzinfo=zone).astimezone(UTC)
        if after <= at < before:
            yield at


def _parts(repeats: Repeats, local: datetime) -> dict[str, Any]:
    match repeats:
        case Repeats.DAILY:
            return {"freq": DAILY}
        case Repeats.WEEKDAYS:
            return {"freq": WEEKLY, "byweekday": WORKDAYS}
        case Repeats.WEEKLY:
            return {"freq": WEEKLY}
        case Repeats.BIWEEKLY:
            return {"freq": WEEKLY, "interval": 2}
        case Repeats.MONTHLY_DATE:
            return {"freq": MONTHLY, "bymonthday": range(min(local.day, 28), local.day + 1), "bysetpos": -1}
        case Repeats.MONTHLY_WEEKDAY:
            place = (local.day - 1) // 7 + 1
            return {"freq": MONTHLY, "byweekday": weekday(local.weekday(), place if place < 5 else -1)}
