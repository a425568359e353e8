"""Small pieces of English that several pages need."""

from collections.abc import Sequence
from datetime import timedelta


def listed(names: Sequence[str]) -> str:
    """“Ana”, “Ana and Bo”, “Ana, Bo and Carla”."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def span_in_words(span: timedelta) -> str:
    """“45 min”, “1 h 30 min”, “36 h”, “7 days”, “2 days 4 h”: whole minutes, rounded."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48 or minutes:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(hours, 24)
    return f"{days} days" + (f" {hours} h" if hours else "")
