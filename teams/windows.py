"""When a layer counts: its restrictions in local time, and public holidays. Pure.

A window is a dict, in one of two shapes, with times like "17:00" and days from 1 (Monday) to 7:

- {"from": "17:00", "to": "09:00", "days": [1, 2, 3, 4, 5]}: begins on these days (without `days`: on all), and ends at the
  next `to`. With `to` the same as `from` it lasts until the next day.
- {"from_day": 5, "from": "17:00", "to_day": 1, "to": "09:00"}: once a week, from Friday until Monday.

A window begins and ends at instants: local times of the day are turned into UTC as hand-overs are (see `instant`).
"""

import re
import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any

import holidays
from django.core.exceptions import ValidationError

MOST_WINDOWS = 30
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
DAILY_KEYS = {"from", "to", "days"}
WEEKLY_KEYS = {"from", "to", "from_day", "to_day"}
DAY = timedelta(days=1)
LONGEST_WINDOW = timedelta(days=9)  # a week, and what clock changes add
LONGEST_DAY = timedelta(days=2)

Interval = tuple[datetime, datetime]


def instant(local: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """The UTC instant of a wall time (naive). One that comes twice is the first; one that is skipped is read with the
    offset from before the change, so it comes right after it."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def check_windows(value: Any) -> None:
    """Raises ValidationError, naming the window at fault, for what is not a list of windows."""
    if not isinstance(value, list):
        raise ValidationError("Give a list of windows.")
    if len(value) > MOST_WINDOWS:
        raise ValidationError(f"At most {MOST_WINDOWS} windows.")
    for number, window in enumerate(value, 1):
        if fault := _fault(window):
            raise ValidationError(f"Window {number}: {fault}")


def _fault(window: Any) -> str:
    if not isinstance(window, dict):
        return 'it is an object like {"from": "17:00", "to": "09:00", "days": [1, 2, 3, 4, 5]}.'
    keys = WEEKLY_KEYS if "from_day" in window or "to_day" in window else DAILY_KEYS
    if unknown := sorted(window.keys() - keys):
        return f"it has no “{str(unknown[0])[:40]}” here."
    for name in ("from", "to"):
        if not isinstance(window.get(name), str) or not TIME.fullmatch(window[name]):
            return f"“{name}” is a time like 17:00."
    if keys is DAILY_KEYS:
        days = window.get("days")
        if days is not None and not (isinstance(days, list) and days and all(map(_is_day, days))):
            return "“days” are numbers from 1 (Monday) to 7."
        return ""
    if not _is_day(window.get("from_day")) or not _is_day(window.get("to_day")):
        return "“from_day” and “to_day” are numbers from 1 (Monday) to 7."
    if (window["from_day"], window["from"]) == (window["to_day"], window["to"]):
        return "it begins when it ends."
    return ""


def _is_day(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 7


def check_holidays_of(value: str) -> None:
    """Raises ValidationError unless we know the public holidays of the country, or of the part of it."""
    country, _, part = value.partition("-")
    parts = holidays.list_supported_countries().get(country)
    if parts is None or ("-" in value and part not in parts):
        raise ValidationError(f"We do not know the public holidays of “{value}”. Try one like DE or US-CA.")


@lru_cache(maxsize=1024)
def holidays_in(place: str, year: int) -> frozenset[date]:
    """The public holidays of a country (DE) or a part of it (DE-BY) in a year, by the package holidays."""
    country, _, part = place.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))


def open_intervals(
    windows: Sequence[dict[str, Any]],
    zone: zoneinfo.ZoneInfo,
    start: datetime,
    end: datetime,
    *,
    holidays_of: str = "",
    on_holidays: str = "same",
) -> list[Interval]:
    """When windows and holidays let a layer count between two instants (aware): in order, apart, cut at both."""
    is_whole = not windows and on_holidays != "on"
    found = [(start, end)] if is_whole else _clipped(_windows(windows, zone, start, end), start, end)
    if on_holidays == "same":
        return found
    days = _clipped(_holidays(holidays_of, zone, start, end), start, end)
    return without(found, days) if on_holidays == "off" else _joined([*found, *days])


def _windows(
    windows: Iterable[dict[str, Any]], zone: zoneinfo.ZoneInfo, start: datetime, end: datetime
) -> Iterator[Interval]:
    first = (start - LONGEST_WINDOW).astimezone(zone).date()
    last = end.astimezone(zone).date() + DAY
    for window in windows:
        opens, closes = time.fromisoformat(window["from"]), time.fromisoformat(window["to"])
        if "from_day" in window:
            days = {window["from_day"]}
            length = (window["to_day"] - window["from_day"]) % 7
            length = 7 if length == 0 and closes <= opens else length
        else:
            days = set(window.get("days") or range(1, 8))
            length = 0 if closes > opens else 1
        day = max(first, start.astimezone(zone).date() - timedelta(days=length + 1))
        while day <= last:
            if day.isoweekday() in days:
                begins = instant(datetime.combine(day, opens), zone)
                if begins >= end:
                    break
                yield begins, instant(datetime.combine(day + timedelta(days=length), closes), zone)
            day += DAY


def _holidays(place: str, zone: zoneinfo.ZoneInfo, start: datetime, end: datetime) -> Iterator[Interval]:
    first, last = (start - LONGEST_DAY).astimezone(zone).date(), end.astimezone(zone).date()
    for year in range(first.year, last.year + 1):
        for day in holidays_in(place, year):
            if first <= day <= last:
                yield (
                    instant(datetime.combine(day, time()), zone),
                    instant(datetime.combine(day + DAY, time()), zone),
                )


def _clipped(intervals: Iterable[Interval], start: datetime, end: datetime) -> list[Interval]:
    return _joined((max(begins, start), min(ends, end)) for begins, ends in intervals)


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """In order, without empty ones, those that touch or overlap made one."""
    result: list[Interval] = []
    for begins, ends in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if result and begins <= result[-1][1]:
            if ends > result[-1][1]:
                result[-1] = (result[-1][0], ends)
        else:
            result.append((begins, ends))
    return result


def without(intervals: Sequence[Interval], holes: Sequence[Interval]) -> list[Interval]:
    """What is left of `intervals` outside `holes`; both in order and apart."""
    result: list[Interval] = []
    place = 0
    for begins, ends in intervals:
        at = begins
        while place < len(holes) and holes[place][1] <= at:
            place += 1
        number = place
        while number < len(holes) and holes[number][0] < ends:
            if holes[number][0] > at:
                result.append((at, holes[number][0]))
            at = max(at, holes[number][1])
            number += 1
        if at < ends:
            result.append((at, ends))
    return result
