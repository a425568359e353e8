"""A schedule as people read it: who is on call now and next, where nobody is, how the turns go."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from openalert.words import listed, span_in_words

from .enums import Rotation
from .models import Layer, Schedule, User
from .oncall import Shift, shifts

HORIZON = timedelta(days=14)


@dataclass(frozen=True)
class Span:
    """A part of a schedule: a shift, or without one a gap in which nobody is on call."""

    starts_at: datetime
    ends_at: datetime
    shift: Shift | None = None

    @property
    def length(self) -> str:
        return span_in_words(self.ends_at - self.starts_at)


@dataclass(frozen=True)
class Duty:
    """A schedule from an instant on. `next` is by somebody else than `now`; `gap` is the first one.

    A span that reaches `until` may go on behind it.
    """

    schedule: Schedule
    until: datetime
    now: Span | None
    next: Span | None
    gap: Span | None
    spans: list[Span]

    @property
    def is_gap_now(self) -> bool:
        return self.now is None

    def shift_of(self, user: User) -> Span | None:
        """The first span in which the person is on call."""
        return next((span for span in self.spans if span.shift and span.shift.user == user), None)


def duty(schedule: Schedule, *, at: datetime) -> Duty:
    """The next two weeks of a schedule that was loaded by teams.queries.with_rotation."""
    spans = list(spans_between(schedule, at, at + HORIZON))
    taken = [span for span in spans if span.shift]
    now = spans[0] if spans[0].shift else None
    user = now.shift.user if now and now.shift else None
    return Duty(
        schedule=schedule,
        until=at + HORIZON,
        now=now,
        next=next((span for span in taken if span.shift and span.shift.user != user), None),
        gap=next((span for span in spans if not span.shift), None),
        spans=spans,
    )


def spans_between(schedule: Schedule, start: datetime, end: datetime) -> Iterable[Span]:
    """The shifts and gaps from `start` until `end` (aware), without a hole; at least one."""
    at = start
    for shift in shifts(schedule, start, end):
        if shift.starts_at > at:
            yield Span(at, shift.starts_at)
        yield Span(shift.starts_at, shift.ends_at, shift)
        at = shift.ends_at
    if at < end:
        yield Span(at, end)


def layer_in_words(layer: Layer, schedule: Schedule) -> str:
    """“Ana and Bo take turns of 1 week, handing over on Mondays at 09:00.” In the schedule's time zone."""
    people = [str(participant.user) for participant in layer.participants.all()]
    if not people:
        return "Nobody takes part yet."
    starts_at = layer.starts_at.astimezone(schedule.tzinfo)
    if len(people) == 1:
        return f"{people[0]}, always."
    unit = {Rotation.HOURLY: "hour", Rotation.DAILY: "day", Rotation.WEEKLY: "week"}[Rotation(layer.rotation)]
    turn = f"{layer.turn_length} {unit}{'s' if layer.turn_length > 1 else ''}"
    when = {
        Rotation.HOURLY: f"counted from {starts_at:%d %b %Y, %H:%M}",
        Rotation.DAILY: f"handing over at {starts_at:%H:%M}",
        Rotation.WEEKLY: f"handing over on {starts_at:%A}s at {starts_at:%H:%M}",
    }[Rotation(layer.rotation)]
    return f"{listed(people)} take turns of {turn}, {when}."
