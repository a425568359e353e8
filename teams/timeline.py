"""A schedule over a week or a month, as bars: the final result, and what each layer alone says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from . import oncall
from .models import Schedule
from .oncall import Shift
from .windows import instant

VIEWS = ("week", "month")


@dataclass(frozen=True)
class Bar:
    """`x` and `width` are per cent of the span that is shown."""

    shift: Shift
    x: float
    width: float


@dataclass(frozen=True)
class Day:
    date: date
    starts_at: datetime
    ends_at: datetime
    x: float
    shifts: list[Shift]


@dataclass(frozen=True)
class Lane:
    name: str
    bars: list[Bar]


@dataclass(frozen=True)
class Timeline:
    view: str
    starts_at: datetime
    ends_at: datetime
    first: date
    days: list[Day]
    final: Lane
    layers: list[Lane]
    now_x: float | None

    @property
    def before(self) -> date:
        """A day of the span before this one."""
        return self.first - timedelta(days=1)

    @property
    def after(self) -> date:
        return self.days[-1].date + timedelta(days=1)


def span_of(view: str, day: date) -> tuple[date, date]:
    """The first day of the week or month, and the first one after it."""
    if view == "week":
        first = day - timedelta(days=day.isoweekday() - 1)
        return first, first + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return instant(datetime.combine(day, datetime.min.time()), zone)


def timeline(
    schedule: Schedule, *, view: str, first: date, last: date, zone: ZoneInfo, now: datetime
) -> Timeline:
    """Of a schedule that was loaded for the days from `first` until before `last` on the clock of `zone`."""
    start, end = midnight(first, zone), midnight(last, zone)
    final = oncall.shifts(schedule, start, end)
    days = []
    day = first
    while day < last:
        begins, ends = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        inside = [shift for shift in final if shift.starts_at < ends and shift.ends_at > begins]
        days.append(Day(day, begins, ends, _percent(begins, start, end), inside))
        day += timedelta(days=1)
    return Timeline(
        view=view,
        starts_at=start,
        ends_at=end,
        first=first,
        days=days,
        final=Lane("On call", _bars(final, start, end)),
        layers=list(_layers(schedule, start, end)),
        now_x=_percent(now, start, end) if start <= now < end else None,
    )


def _layers(schedule: Schedule, start: datetime, end: datetime) -> Iterable[Lane]:
    """One for each layer, over its versions; the one that wins first."""
    lanes: dict[object, list[Shift]] = {}
    names: dict[object, str] = {}
    for layer in sorted(schedule.rows.layers, key=lambda layer: layer.position, reverse=True):
        if layer.begins_at < end and layer.over_at > start:
            lanes.setdefault(layer.identity, []).extend(oncall.layer_shifts(layer, start, end))
            names[layer.identity] = layer.name
    for identity, shifts in lanes.items():
        yield Lane(names[identity], _bars(shifts, start, end))


def _bars(shifts: Sequence[Shift], start: datetime, end: datetime) -> list[Bar]:
    return [
        Bar(shift, x, round(_percent(shift.ends_at, start, end) - x, 3))
        for shift in shifts
        for x in [_percent(shift.starts_at, start, end)]
    ]


def _percent(at: datetime, start: datetime, end: datetime) -> float:
    return round((at - start) / (end - start) * 100, 3)
