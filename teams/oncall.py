"""Who is on call: pure functions over a schedule's loaded rows.

Load schedules with teams.queries.with_rotation, or each call asks the database.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from .enums import Rotation
from .models import Layer, Override, Schedule, User

DAYS = {Rotation.DAILY: 1, Rotation.WEEKLY: 7}


@dataclass(frozen=True)
class Shift:
    """A person on call from `starts_at` until before `ends_at`, by a layer or by an override."""

    user: User
    starts_at: datetime
    ends_at: datetime
    layer: Layer | None = None
    override: Override | None = None

    @property
    def source(self) -> str:
        return "override" if self.override else "rotation"


def on_call(schedule: Schedule, at: datetime) -> list[User]:
    """The people on call at the instant `at` (aware); empty when nobody is.

    Overrides win over layers, and of several overrides the newest; then the layer with the highest position
    that has somebody. Inactive people are nobody: their turn falls to the next layer.
    """
    shift = shift_at(schedule, at)
    return [shift.user] if shift else []


def participants_of(schedule: Schedule) -> list[User]:
    """Everybody who takes turns in the schedule, each once: by the layer's position, then by their place in it.

    Inactive people are nobody.
    """
    people: dict[User, None] = {}
    for layer in sorted(schedule.layers.all(), key=lambda layer: layer.position):
        for participant in sorted(layer.participants.all(), key=lambda participant: participant.position):
            if participant.user.is_active:
                people[participant.user] = None
    return list(people)


def shift_at(schedule: Schedule, at: datetime) -> Shift | None:
    """The shift that covers the instant, as long as its override or turn lasts; None in a gap."""
    overrides = [o for o in schedule.overrides.all() if o.covers(at) and o.user.is_active]
    if overrides:
        newest = max(overrides, key=lambda override: override.created_at)
        return Shift(newest.user, newest.starts_at, newest.ends_at, override=newest)
    for layer in sorted(schedule.layers.all(), key=lambda layer: layer.position, reverse=True):
        turn = _turn_at(layer, at, schedule)
        if turn and turn.user.is_active:
            return turn
    return None


def shifts(schedule: Schedule, start: datetime, end: datetime) -> list[Shift]:
    """The final result from `start` until `end` (aware), in order, cut at both; gaps are left out."""
    result: list[Shift] = []
    points = sorted({start, end, *(at for at in _changes(schedule, start, end) if start < at < end)})
    for begins, ends in pairwise(points):
        shift = shift_at(schedule, begins)
        if shift is None:
            continue
        shift = replace(shift, starts_at=begins, ends_at=ends)
        if result and result[-1].ends_at == begins and _same(result[-1], shift):
            shift = replace(result.pop(), ends_at=ends)
        result.append(shift)
    return result


def _same(one: Shift, other: Shift) -> bool:
    return (one.user, one.layer, one.override) == (other.user, other.layer, other.override)


def _changes(schedule: Schedule, start: datetime, end: datetime) -> Iterator[datetime]:
    for override in schedule.overrides.all():
        yield override.starts_at
        yield override.ends_at
    for layer in schedule.layers.all():
        yield layer.starts_at
        if layer.ends_at:
            yield layer.ends_at
        if layer.starts_at < end:
            turn = max(0, _turn_number(layer, start, schedule))
            while (hand_over := _hand_over(layer, turn, schedule)) < end:
                yield hand_over
                turn += 1


def _turn_at(layer: Layer, at: datetime, schedule: Schedule) -> Shift | None:
    participants = sorted(layer.participants.all(), key=lambda participant: participant.position)
    if not participants or at < layer.starts_at or (layer.ends_at and at >= layer.ends_at):
        return None
    turn = _turn_number(layer, at, schedule)
    return Shift(
        user=participants[turn % len(participants)].user,
        starts_at=_hand_over(layer, turn, schedule),
        ends_at=_hand_over(layer, turn + 1, schedule),
        layer=layer,
    )


def _hand_over(layer: Layer, turn: int, schedule: Schedule) -> datetime:
    """The instant at which turn `turn` (0 is the first) begins, in UTC."""
    if layer.rotation == Rotation.HOURLY:
        return layer.starts_at + timedelta(hours=turn * layer.turn_length)
    # Local wall time first, then UTC: a 09:00 hand-over stays at 09:00 across DST. A wall time that the
    # change skips is read with the offset from before it, so the hand-over comes right after the gap.
    local = layer.starts_at.astimezone(schedule.tzinfo).replace(tzinfo=None, fold=0)
    local += timedelta(days=turn * layer.turn_length * DAYS[Rotation(layer.rotation)])
    return local.replace(tzinfo=schedule.tzinfo).astimezone(UTC)


def _turn_number(layer: Layer, at: datetime, schedule: Schedule) -> int:
    """The turn that the instant falls into; negative before the layer starts."""
    if layer.rotation == Rotation.HOURLY:
        return (at - layer.starts_at) // timedelta(hours=layer.turn_length)
    length = timedelta(days=layer.turn_length * DAYS[Rotation(layer.rotation)])
    estimate = (at - layer.starts_at) // length
    # The estimate counts days of 24 hours; a DST change moves the real hand-over by an hour or so.
    for turn in (estimate + 1, estimate):
        if _hand_over(layer, turn, schedule) <= at:
            return turn
    return estimate - 1
