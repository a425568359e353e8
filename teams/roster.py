"""A schedule as people read it: who is on call now and next, where nobody is, how the turns go."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from openalert.words import listed, span_in_words

from .enums import OnHolidays, Rotation
from .models import Layer, Schedule, User
from .oncall import Shift, shifts
from .queries import with_rotation

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
    """A schedule from an instant on. `next` is by other people than `now`; `gap` is the first one.

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
        return next((span for span in self.spans if span.shift and user in span.shift.users), None)


def duty(schedule: Schedule, *, at: datetime) -> Duty:
    """The next two weeks of a schedule that was loaded by teams.queries.with_rotation."""
    spans = list(spans_between(schedule, at, at + HORIZON))
    taken = [span for span in spans if span.shift]
    now = spans[0] if spans[0].shift else None
    people = now.shift.users if now and now.shift else ()
    return Duty(
        schedule=schedule,
        until=at + HORIZON,
        now=now,
        next=next((span for span in taken if span.shift and set(span.shift.users) != set(people)), None),
        gap=next((span for span in spans if not span.shift), None),
        spans=spans,
    )


@dataclass(frozen=True)
class OwnShift:
    """One of a person's shifts, and where."""

    schedule: Schedule
    shift: Shift

    @property
    def length(self) -> str:
        return span_in_words(self.shift.ends_at - self.shift.starts_at)


def own_shifts(user: User, *, start: datetime, end: datetime) -> list[OwnShift]:
    """The person's shifts in all schedules that they see, in order, cut at both ends."""
    found: list[OwnShift] = []
    for schedule in with_rotation(Schedule.objects.visible_to(user), start=start, end=end):
        own: list[Shift] = []
        for shift in shifts(schedule, start, end):
            if user not in shift.users:
                continue
            # From one layer to the next without a break is one shift to whoever has it.
            if own and (own[-1].ends_at, own[-1].users, own[-1].source) == (
                shift.starts_at,
                shift.users,
                shift.source,
            ):
                own[-1] = replace(own[-1], ends_at=shift.ends_at)
            else:
                own.append(shift)
        found += [OwnShift(schedule, shift) for shift in own]
    return sorted(found, key=lambda own: own.shift.starts_at)


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


DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
UNITS = {
    Rotation.HOURLY: "hour",
    Rotation.DAILY: "day",
    Rotation.WEEKLY: "week",
    Rotation.MONTHLY: "month",
    Rotation.CUSTOM: "minute",
}


def layer_in_words(layer: Layer) -> str:
    """“Ana and Bo take turns of 1 week, handing over on Mondays at 09:00.” In the schedule's time zone."""
    if layer.calendar:
        return f"Whoever the calendar at {layer.calendar.host} names."
    places = [" with ".join(map(str, place)) or "nobody" for place in layer.places]
    if not places:
        return "Nobody takes part yet."
    if len(places) == 1:
        return f"{places[0]}, always."
    turn = f"{layer.turn_length} {UNITS[Rotation(layer.rotation)]}{'s' if layer.turn_length > 1 else ''}"
    return f"{listed(places)} take turns of {turn}, {_hand_over_in_words(layer)}."


def _hand_over_in_words(layer: Layer) -> str:
    start = layer.starts_at.astimezone(layer.tzinfo)
    at = layer.hand_over_time if layer.hand_over_time is not None else start.time()
    match layer.rotation:
        case Rotation.WEEKLY:
            return (
                f"handing over on {DAY_NAMES[(layer.hand_over_day or start.isoweekday()) - 1]}s at {at:%H:%M}"
            )
        case Rotation.MONTHLY:
            day = layer.hand_over_day or start.day
            last = " (or the last)" if day > 28 else ""
            return f"handing over on day {day}{last} of the month at {at:%H:%M}"
        case Rotation.DAILY:
            return f"handing over at {at:%H:%M}"
        case _ if layer.hand_over_time is not None:
            return f"counted from {start:%d %b %Y}, {at:%H:%M}"
        case _:
            return f"counted from {start:%d %b %Y, %H:%M}"


def windows_in_words(layer: Layer) -> list[str]:
    """“Mondays to Fridays 17:00 – 09:00 the day after”, “From Fridays 17:00 until Mondays 09:00”; empty when it always
    counts."""
    words = []
    for window in layer.restrictions:
        opens, closes = window["from"], window["to"]
        if "from_day" in window:
            first, last = DAY_NAMES[window["from_day"] - 1], DAY_NAMES[window["to_day"] - 1]
            words.append(f"From {first}s {opens} until {last}s {closes}")
        else:
            days = days_in_words(window.get("days"))
            words.append(f"{days} {opens} – {closes}{'' if closes > opens else ' the day after'}")
    if layer.on_holidays == OnHolidays.OFF:
        words.append(f"Not on public holidays of {layer.holidays_of}")
    elif layer.on_holidays == OnHolidays.ON:
        words.append(f"{'Also on' if words else 'Only on'} public holidays of {layer.holidays_of}")
    return words


def days_in_words(days: Iterable[int] | None) -> str:
    """“Every day”, “Mondays to Fridays”, “Mondays and Thursdays”."""
    numbers = sorted(set(days or range(1, 8)))
    if len(numbers) == 7:
        return "Every day"
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{DAY_NAMES[numbers[0] - 1]}s to {DAY_NAMES[numbers[-1] - 1]}s"
    return listed([f"{DAY_NAMES[number - 1]}s" for number in numbers])
