"""Small pieces of English that several pages need."""

from collections.abc import Sequence
from datetime import timedelta


def listed(names: Sequence[str]) -> str:
    """“Ana”, “Ana and Bo”, “Ana, Bo and Carla”."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def span_in_words(span: timedelta) -> str:
    """“45 min”, “1 h 30 min”, “36 h”, “7 days”, “2 days 4 h”: in whole minutes."""
    hours, minutes = divmod(round(span.total_seconds() / 60), 60)
    days, hours = divmod(hours, 24) if hours >= 48 else (0, hours)
    parts = ((days, "days"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 min"


def delay_in_words(span: timedelta) -> str:
    """“0 s”, “30 s”, “1 min 30 s”, “5 min”, “2 h”: to the second."""
    minutes, seconds = divmod(round(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (seconds, "s"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 s"


def ago(span: timedelta) -> str:
    """“just now”, “1 minute ago”, “3 hours ago”, “2 days ago”."""
    seconds = max(span.total_seconds(), 0)
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if count := int(seconds // length):
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
