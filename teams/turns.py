"""When a layer is handed over. Pure: hand-overs are numbered, and turn n lasts from hand-over n until n + 1."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Protocol

from .enums import Rotation
from .models import Layer
from .windows import instant

DAYS = {Rotation.DAILY: 1, Rotation.WEEKLY: 7}
ELAPSED = {Rotation.HOURLY: timedelta(hours=1), Rotation.CUSTOM: timedelta(minutes=1)}


class Turns(Protocol):
    def begin(self, number: int) -> datetime:
        """The instant (UTC) of a hand-over. Number 0 is the last one at or before the layer's start."""

    def number(self, at: datetime) -> int:
        """The turn that an instant falls into; negative before hand-over 0."""


def turns_of(layer: Layer) -> Turns:
    rotation = Rotation(layer.rotation)
    if rotation in ELAPSED:
        return _Elapsed(layer, ELAPSED[rotation] * layer.turn_length)
    if rotation == Rotation.MONTHLY:
        return _Months(layer)
    return _Days(layer, DAYS[rotation] * layer.turn_length)


def turns_between(layer: Layer, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, int]]:
    """The turns from `start` until `end` (aware), in order, cut at both: begin, end, number."""
    turns = turns_of(layer)
    number = turns.number(start)
    at = start
    while at < end:
        until = min(turns.begin(number + 1), end)
        if until > at:
            yield at, until, max(number, 0)
            at = until
        number += 1


class _Elapsed:
    """Real hours or minutes, whatever the clocks do."""

    def __init__(self, layer: Layer, length: timedelta) -> None:
        self.length = length
        self.first = layer.starts_at
        if layer.hand_over_time is not None:
            zone = layer.tzinfo
            local = _local_start(layer)
            first = datetime.combine(local.date(), layer.hand_over_time)
            if first > local:
                first -= timedelta(days=1)
            self.first = min(instant(first, zone), layer.starts_at)

    def begin(self, number: int) -> datetime:
        return self.first + self.length * number

    def number(self, at: datetime) -> int:
        return (at - self.first) // self.length


class _Days:
    """Days and weeks of the local calendar."""

    def __init__(self, layer: Layer, days: int) -> None:
        self.zone = layer.tzinfo
        self.length = timedelta(days=days)
        local = _local_start(layer)
        first = datetime.combine(
            local.date(), layer.hand_over_time if layer.hand_over_time is not None else local.time()
        )
        if layer.hand_over_day is not None:
            first -= timedelta(days=(first.isoweekday() - layer.hand_over_day) % 7)
        if first > local:
            first -= timedelta(days=7 if layer.hand_over_day is not None else 1)
        self.first = first

    def begin(self, number: int) -> datetime:
        # Local wall time first, then UTC: a 09:00 hand-over stays at 09:00 across DST.
        return instant(self.first + self.length * number, self.zone)

    def number(self, at: datetime) -> int:
        local = at.astimezone(self.zone).replace(tzinfo=None)
        return _nearest(self, (local - self.first) // self.length, at)


class _Months:
    """The same day of every n-th month, or the last day of a shorter one."""

    def __init__(self, layer: Layer) -> None:
        self.zone = layer.tzinfo
        self.length = layer.turn_length
        local = _local_start(layer)
        self.day = layer.hand_over_day if layer.hand_over_day is not None else local.day
        self.time = layer.hand_over_time if layer.hand_over_time is not None else local.time()
        self.first = local.year * 12 + local.month - 1
        if self._local(self.first) > local:
            self.first -= 1

    def _local(self, month: int) -> datetime:
        year, month = divmod(month, 12)
        day = min(self.day, monthrange(year, month + 1)[1])
        return datetime.combine(date(year, month + 1, day), self.time)

    def begin(self, number: int) -> datetime:
        return instant(self._local(self.first + number * self.length), self.zone)

    def number(self, at: datetime) -> int:
        local = at.astimezone(self.zone)
        return _nearest(self, (local.year * 12 + local.month - 1 - self.first) // self.length, at)


def _local_start(layer: Layer) -> datetime:
    return layer.starts_at.astimezone(layer.tzinfo).replace(tzinfo=None, fold=0)


def _nearest(turns: Turns, estimate: int, at: datetime) -> int:
    """The estimate is a wall clock's; a change of the clocks moves the real hand-over a little, or skips a whole day."""
    while turns.begin(estimate + 1) <= at:
        estimate += 1
    while turns.begin(estimate) > at:
        estimate -= 1
    return estimate
