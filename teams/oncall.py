"""Who is on call: pure functions over a schedule's loaded rows.

Load schedules with teams.queries.with_rotation, for the time that is asked about: what is not loaded is asked from the
database, each time anew. The layer with the highest position that has somebody wins; over layers, overrides win, the newer over the
older; the fallback is on call while nobody else is. Inactive people are nobody: their turn falls to the next layer.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from openalert.words import listed

from . import queries
from .models import Layer, Override, Rows, Schedule, User
from .turns import turns_between
from .windows import Interval, open_intervals

INSTANT = timedelta(microseconds=1)

People = tuple[User, ...]
Turn = tuple[datetime, datetime, People]


@dataclass(frozen=True, slots=True)
class Shift:
    """People on call together from `starts_at` until before `ends_at`: by a layer, an override, or as the fallback.

    An override that replaces one person of several leaves the `layer` standing.
    """

    users: People
    starts_at: datetime
    ends_at: datetime
    layer: Layer | None = None
    override: Override | None = None
    is_fallback: bool = False

    @property
    def names(self) -> str:
        """“Ana”, “Ana and Bo”."""
        return listed([str(user) for user in self.users])

    @property
    def source(self) -> str:
        """rotation, calendar, override or fallback."""
        if self.override:
            return "override"
        if self.is_fallback:
            return "fallback"
        return "calendar" if self.layer and self.layer.calendar_id else "rotation"


def on_call(schedule: Schedule, at: datetime) -> list[User]:
    """The people on call at the instant `at` (aware); empty when nobody is."""
    shift = shift_at(schedule, at)
    return list(shift.users) if shift else []


def shift_at(schedule: Schedule, at: datetime) -> Shift | None:
    """Who is on call at the instant and why; None in a gap. How long it goes on is `shifts`' to say."""
    rows = _rows(schedule, at, at + INSTANT)
    below = next((shift for layer in reversed(rows.layers) if (shift := _layer_at(layer, at))), None)
    active = [override for override in rows.overrides if override.covers(at)]
    shift = next(_fold(below, active, at, at + INSTANT), None) if active else below
    return shift or next(_fallback(rows, at, at + INSTANT), None)


def shifts(schedule: Schedule, start: datetime, end: datetime) -> list[Shift]:
    """The final result from `start` until `end` (aware), in order, cut at both; gaps are left out."""
    return _merged(_result(schedule, start, end))


def layer_shifts(layer: Layer, start: datetime, end: datetime) -> list[Shift]:
    """What the layer alone says, cut at `start` and `end` (aware). Its schedule must be loaded as for `shifts`."""
    return _merged(_layer_parts(layer, start, end))


def participants_of(schedule: Schedule, at: datetime | None = None) -> list[User]:
    """Everybody active who takes part at the instant `at` (default: now) or later, each once: layers from the lowest up,
    in each by place."""
    at = at or timezone.now()
    found: dict[User, None] = {}
    for layer in _rows(schedule, at, at + INSTANT).layers:
        if layer.replaced_at is None and layer.over_at > at:
            places: Sequence[People] = layer.places
            if layer.calendar:
                places = [(event.user,) for event in layer.calendar.events_loaded if event.ends_at > at]
            found |= dict.fromkeys(user for place in places for user in place if user.is_active)
    return list(found)


def _result(schedule: Schedule, start: datetime, end: datetime) -> Iterator[Shift]:
    rows = _rows(schedule, start, end)
    at = start
    for part in _overridden(_by_layers(rows, start, end), rows.overrides, start, end):
        if part.starts_at > at:
            yield from _fallback(rows, at, part.starts_at)
        yield part
        at = part.ends_at
    if at < end:
        yield from _fallback(rows, at, end)


def _rows(schedule: Schedule, start: datetime, end: datetime) -> Rows:
    if "rows" in schedule.__dict__ and schedule.rows.cover(start, end):
        return schedule.rows
    return queries.with_rotation(Schedule.objects.filter(pk=schedule.pk), start=start, end=end).get().rows


def _by_layers(rows: Rows, start: datetime, end: datetime) -> list[Shift]:
    result: list[Shift] = []
    gaps: list[Interval] = [(start, end)]
    for layer in reversed(rows.layers):
        if gaps and layer.begins_at < end and layer.over_at > start:
            gaps = _fill(gaps, _layer_parts(layer, gaps[0][0], gaps[-1][1]), result)
    result.sort(key=lambda shift: shift.starts_at)
    return result


def _fill(gaps: Sequence[Interval], parts: Iterator[Shift], result: list[Shift]) -> list[Interval]:
    """Put what fits into the gaps into `result`, and give the gaps that are left."""
    left: list[Interval] = []
    part = next(parts, None)
    for begins, ends in gaps:
        at = begins
        while part and part.ends_at <= at:
            part = next(parts, None)
        while part and part.starts_at < ends:
            if part.starts_at > at:
                left.append((at, part.starts_at))
            at = max(part.starts_at, at)
            result.append(_cut(part, at, min(part.ends_at, ends)))
            at = min(part.ends_at, ends)
            if part.ends_at > ends:
                break
            part = next(parts, None)
        if at < ends:
            left.append((at, ends))
    return left


def _layer_at(layer: Layer, at: datetime) -> Shift | None:
    if not layer.begins_at <= at < layer.over_at:
        return None
    if not layer.is_always_open and not _opened(layer, at, at + INSTANT):
        return None
    turns = _turns(layer, at, at + INSTANT)
    return next(
        (shift for _, _, people in turns for shift in _present(people, at, at + INSTANT, layer)), None
    )


def _layer_parts(layer: Layer, start: datetime, end: datetime) -> Iterator[Shift]:
    start, end = max(start, layer.begins_at), min(end, layer.over_at)
    if start >= end:
        return
    turns = list(_turns(layer, start, end))
    place = 0
    for begins, ends in _opened(layer, start, end):
        while place < len(turns) and turns[place][1] <= begins:
            place += 1
        number = place
        while number < len(turns) and turns[number][0] < ends:
            at, until, people = turns[number]
            yield from _present(people, max(at, begins), min(until, ends), layer)
            number += 1


def _opened(layer: Layer, start: datetime, end: datetime) -> list[Interval]:
    if layer.is_always_open:
        return [(start, end)]
    return open_intervals(
        layer.restrictions,
        layer.tzinfo,
        start,
        end,
        holidays_of=layer.holidays_of,
        on_holidays=layer.on_holidays,
    )


def _turns(layer: Layer, start: datetime, end: datetime) -> Iterator[Turn]:
    return _calendar_turns(layer, start, end) if layer.calendar_id else _rotation_turns(layer, start, end)


def _rotation_turns(layer: Layer, start: datetime, end: datetime) -> Iterator[Turn]:
    places = layer.places
    if len(places) == 1:
        yield start, end, places[0]
    elif places:
        for begins, ends, number in turns_between(layer, start, end):
            yield begins, ends, places[number % len(places)]


def _calendar_turns(layer: Layer, start: datetime, end: datetime) -> Iterator[Turn]:
    assert layer.calendar
    loaded = layer.calendar.events_loaded
    events = [event for event in loaded if event.starts_at < end and event.ends_at > start]
    for begins, ends, active in _swept(events, start, end):
        if active:
            yield begins, ends, tuple(dict.fromkeys(event.user for event in active))


def _present(people: People, start: datetime, end: datetime, layer: Layer) -> Iterator[Shift]:
    """Without those who are inactive by then."""
    if all(user.is_active for user in people):
        if people:
            yield Shift(people, start, end, layer)
        return
    leave = {user.inactive_since_at for user in people if not user.is_active and user.inactive_since_at}
    points = [start, *sorted(at for at in leave if start < at < end), end]
    for begins, ends in itertools.pairwise(points):
        if there := tuple(user for user in people if user.is_active_at(begins)):
            yield Shift(there, begins, ends, layer)


def _overridden(
    parts: list[Shift], overrides: Iterable[Override], start: datetime, end: datetime
) -> Iterable[Shift]:
    chosen = [override for override in overrides if override.starts_at < end and override.ends_at > start]
    if not chosen:
        return parts
    return _with_overrides(parts, chosen, start, end)


def _with_overrides(
    parts: list[Shift], overrides: Sequence[Override], start: datetime, end: datetime
) -> Iterator[Shift]:
    place = 0
    for begins, ends, active in _swept(overrides, start, end):
        active = sorted(active, key=lambda override: (override.created_at, override.pk))
        at = begins
        while at < ends:
            while place < len(parts) and parts[place].ends_at <= at:
                place += 1
            below = parts[place] if place < len(parts) and parts[place].starts_at <= at else None
            until = ends
            if place < len(parts):
                until = min(ends, below.ends_at if below else parts[place].starts_at)
            yield from _fold(below, active, at, until)
            at = until


def _fold(below: Shift | None, active: Sequence[Override], start: datetime, end: datetime) -> Iterator[Shift]:
    leave = {o.user.inactive_since_at for o in active if not o.user.is_active and o.user.inactive_since_at}
    points = [start, *sorted(at for at in leave if start < at < end), end]
    for begins, ends in itertools.pairwise(points):
        users: People = below.users if below else ()
        layer, last = below.layer if below else None, None
        for override in active:
            if not override.user.is_active_at(begins):
                continue
            if override.replaces_id is None:
                users, layer, last = (override.user,), None, override
            elif any(user.pk == override.replaces_id for user in users):
                users = tuple(
                    dict.fromkeys(
                        override.user if user.pk == override.replaces_id else user for user in users
                    )
                )
                last = override
        if users:
            yield Shift(users, begins, ends, layer, last)


def _fallback(rows: Rows, start: datetime, end: datetime) -> Iterator[Shift]:
    for row in rows.fallbacks:
        begins, ends = max(start, row.in_force_at), min(end, row.replaced_at or end)
        if not row.user.is_active:
            ends = min(ends, row.user.inactive_since_at or begins)
        if begins < ends:
            yield Shift((row.user,), begins, ends, is_fallback=True)


def _swept(
    rows: Sequence[Any], start: datetime, end: datetime
) -> Iterator[tuple[datetime, datetime, list[Any]]]:
    """From `start` until `end` without a hole, cut wherever a row begins or ends: with the rows that hold there."""
    points = {start, end}
    for row in rows:
        points.update(at for at in (row.starts_at, row.ends_at) if start < at < end)
    waiting = sorted(rows, key=lambda row: row.starts_at, reverse=True)
    active: list[Any] = []
    ordered = sorted(points)
    for begins, ends in itertools.pairwise(ordered):
        active = [row for row in active if row.ends_at > begins]
        while waiting and waiting[-1].starts_at <= begins:
            row = waiting.pop()
            if row.ends_at > begins:
                active.append(row)
        yield begins, ends, active


def _merged(parts: Iterable[Shift]) -> list[Shift]:
    """Neighbours that are the same in all but time are one shift: a rotation of one has no hand-overs."""
    result: list[Shift] = []
    for part in parts:
        if result and result[-1].ends_at == part.starts_at and _same(result[-1], part):
            result[-1] = replace(result[-1], ends_at=part.ends_at)
        else:
            result.append(part)
    return result


def _same(one: Shift, other: Shift) -> bool:
    return (
        one.users == other.users
        and (one.layer and one.layer.identity) == (other.layer and other.layer.identity)
        and one.override == other.override
        and one.is_fallback == other.is_fallback
    )


def _cut(shift: Shift, start: datetime, end: datetime) -> Shift:
    if shift.starts_at == start and shift.ends_at == end:
        return shift
    return replace(shift, starts_at=start, ends_at=end)
