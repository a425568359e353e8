"""Hours of the week on local clocks. Pure.

A window is {"from": "22:00", "until": "06:00", "weekdays": ["mon", "tue"]}: the first included, the second not. When
`from` is later than `until` it is a night, which belongs to the day on which it begins; when they are the same it is a
whole day. Without weekdays it is every day.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from .exceptions import InvalidHours

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
KEYS = {"from", "until", "weekdays"}


@dataclass(frozen=True)
class Window:
    begins: time
    ends: time
    weekdays: frozenset[int]  # 0 is Monday; never empty

    def covers(self, at: datetime, zone: ZoneInfo) -> bool:
        """Whether the instant (aware) is in it, by the clocks of `zone`."""
        local = at.astimezone(zone)
        clock, today = local.time(), local.weekday()
        if self.begins < self.ends:
            return self.begins <= clock < self.ends and today in self.weekdays
        yesterday = (today - 1) % 7
        return (clock >= self.begins and today in self.weekdays) or (
            clock < self.ends and yesterday in self.weekdays
        )

    def beginnings(self, at: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """When it begins from yesterday on, for nine days, in UTC and in order."""
        today = at.astimezone(zone).date()
        for days in range(-1, 9):
            day = today + timedelta(days=days)
            if day.weekday() in self.weekdays:
                yield _instant(day, self.begins, zone)

    def edges(self, at: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """When it begins and ends from yesterday on, for nine days, in UTC."""
        today = at.astimezone(zone).date()
        for days in range(-1, 9):
            day = today + timedelta(days=days)
            if day.weekday() in self.weekdays:
                yield _instant(day, self.begins, zone)
                yield _instant(day + timedelta(days=1) if self.ends <= self.begins else day, self.ends, zone)


def _instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """A wall time that a change of the clocks skips is read with the offset from before it."""
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


def read(value: Any) -> Window:
    """A window from its JSON. Raises InvalidHours, whose field is the part at fault."""
    if not isinstance(value, Mapping) or not value.keys() <= KEYS:
        raise InvalidHours("Give from, until and weekdays.")
    weekdays = value.get("weekdays") or []
    if not isinstance(weekdays, list) or not all(day in WEEKDAYS for day in weekdays):
        raise InvalidHours(f"Weekdays are {', '.join(WEEKDAYS)}.", field="weekdays")
    days = frozenset(map(WEEKDAYS.index, weekdays)) or frozenset(range(7))
    return Window(_clock(value, "from"), _clock(value, "until"), days)


def _clock(value: Mapping[str, Any], name: str) -> time:
    text = value.get(name)
    if isinstance(text, str) and len(text) == 5:
        try:
            return time.fromisoformat(text)
        except ValueError:
            pass
    raise InvalidHours("Write a time of the day like 09:00.", field=name)


def read_week(value: Any) -> list[Window]:
    """The windows of {"mon": {"from": "09:00", "until": "17:00"}, …}. Raises InvalidHours."""
    if not isinstance(value, Mapping) or not value.keys() <= set(WEEKDAYS):
        raise InvalidHours("Give hours by weekday: mon, tue, wed, thu, fri, sat, sun.")
    windows = []
    for day, hours in value.items():
        try:
            if not isinstance(hours, Mapping) or hours.keys() != {"from", "until"}:
                raise InvalidHours("Give from and until.")
            windows.append(read({**hours, "weekdays": [day]}))
        except InvalidHours as fault:
            raise InvalidHours(fault.detail, field=".".join(filter(None, [day, fault.field]))) from None
    return windows


def cover(windows: Iterable[Window], at: datetime, zone: ZoneInfo) -> bool:
    return any(window.covers(at, zone) for window in windows)


def next_beginning(windows: Iterable[Window], at: datetime, zone: ZoneInfo) -> datetime | None:
    """When the next of them begins after the instant; None without windows."""
    to_come = (begins for window in windows for begins in window.beginnings(at, zone) if begins > at)
    return min(to_come, default=None)


def in_words(value: Mapping[str, Any]) -> str:
    """“from 22:00 to 06:00 on Mon, Tue”."""
    days = [day.capitalize() for day in WEEKDAYS if day in (value.get("weekdays") or [])]
    return f"from {value['from']} to {value['until']}" + (f" on {', '.join(days)}" if days else "")
