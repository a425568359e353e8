"""Rules as sentences for people."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from openalert.words import listed, span_in_words

from .rules import (
    WEEKDAYS,
    AnyAction,
    AnyCondition,
    Delay,
    Differs,
    Drop,
    Equals,
    Exists,
    Group,
    Hours,
    In,
    Matches,
    Missing,
    SetService,
    SetSeverity,
    SetTitle,
    Stop,
    Threshold,
)

MOST_VALUES = 5
NO_LONGER = "a service that is no longer there"


def rule_in_words(
    conditions: Sequence[AnyCondition], actions: Sequence[AnyAction], services: Mapping[UUID, str]
) -> tuple[str, str]:
    """“When labels.env is “staging” and title matches “disk””, “drop it”; `services`: the names of those named."""
    when = f"When {' and '.join(map(condition_in_words, conditions))}" if conditions else "Always"
    return when, listed([action_in_words(action, services) for action in actions])


def condition_in_words(condition: AnyCondition) -> str:
    match condition:
        case Equals(field=field, value=value):
            return f"{field} is {_quoted(value)}"
        case Differs(field=field, value=value):
            return f"{field} is not {_quoted(value)}"
        case In(field=field, values=values):
            shown = [_quoted(value) for value in values[:MOST_VALUES]]
            if len(values) > MOST_VALUES:
                shown.append(f"one of {len(values) - MOST_VALUES} more")
            return f"{field} is {' or '.join([', '.join(shown[:-1]), shown[-1]] if shown[1:] else shown)}"
        case Matches(field=field, pattern=pattern):
            return f"{field} matches “{pattern}”"
        case Exists(field=field):
            return f"{field} is there"
        case Missing(field=field):
            return f"{field} is not there"
        case Hours():
            return _hours_in_words(condition)


def action_in_words(action: AnyAction, services: Mapping[UUID, str]) -> str:
    match action:
        case Drop():
            return "drop it"
        case SetSeverity(severity=severity):
            return f"make it {severity}"
        case SetTitle(title=title):
            return f"title it “{title}”"
        case Group(by=by):
            return f"group it by “{by}”"
        case SetService(service=service):
            return f"send it to {services.get(service, NO_LONGER)}"
        case Delay(minutes=minutes):
            return f"hold it until it {lasted(timedelta(minutes=minutes))}"
        case Threshold(times=times, minutes=minutes):
            return f"hold it until it {fired(times, timedelta(minutes=minutes))}"
        case Stop():
            return "try no more rules"


def hold_in_words(wait: timedelta | None, times: int | None, within: timedelta | None) -> str:
    """What has to come true before something that is held becomes an alert."""
    wanted = []
    if times is not None and within is not None:
        wanted.append(fired(times, within))
    if wait is not None:
        wanted.append(lasted(wait))
    return f"until it {listed(wanted)}"


def lasted(wait: timedelta) -> str:
    return f"has lasted {span_in_words(wait)}"


def fired(times: int, within: timedelta) -> str:
    return f"was sent {times} times in {span_in_words(within)}"


def _quoted(value: str) -> str:
    return f"“{value.strip()}”" if value.strip() else "empty"


def _hours_in_words(hours: Hours) -> str:
    words = f"it comes from {hours.from_} to {hours.until}"
    if hours.from_ >= hours.until:
        words += " of the next day"
    if hours.weekdays:
        words += f" on {listed([day.capitalize() for day in WEEKDAYS if day in hours.weekdays])}"
    return f"{words} ({hours.time_zone})" if hours.time_zone else words
