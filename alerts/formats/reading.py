"""What the readers of other systems' words have in common."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from alerts.events import MAX_DEDUP_KEY, AlertEvent, EventFault, InvalidEvent
from incidents.enums import Severity

# What systems and people call a severity; our own words and everybody else's.
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "emergency": Severity.CRITICAL,
    "fatal": Severity.CRITICAL,
    "disaster": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "major": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "warn": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "average": Severity.MEDIUM,
    "minor": Severity.MEDIUM,
    "info": Severity.LOW,
    "information": Severity.LOW,
    "informational": Severity.LOW,
    "low": Severity.LOW,
    "none": Severity.LOW,
}


def severity_of(word: Any, default: Severity = Severity.HIGH) -> Severity:
    """The severity that a word stands for. Unknown words are high: better awake than sorry."""
    return SEVERITIES.get(word.strip().lower(), default) if isinstance(word, str) else default


def read_each(items: Iterable[Any], read_one: Callable[[Any], AlertEvent]) -> list[AlertEvent | EventFault]:
    """Read the items of a list in their order; one that raises InvalidEvent becomes its fault."""
    return [read_or_fault(item, read_one, index) for index, item in enumerate(items)]


def read_or_fault(
    item: Any, read_one: Callable[[Any], AlertEvent], index: int | None = None
) -> AlertEvent | EventFault:
    try:
        return read_one(item)
    except InvalidEvent as error:
        fault = error.fault
        return EventFault(code=fault.code, detail=fault.detail, field=fault.field, index=index)


def strings(value: Any) -> dict[str, str]:
    """The entries of an object whose values are text, numbers or truth values, as text; {} for anything else."""
    if not isinstance(value, Mapping):
        return {}
    return {
        str(key): item if isinstance(item, str) else _plain(item)
        for key, item in value.items()
        if isinstance(item, str | int | float | bool)
    }


def _plain(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def text(value: Any, limit: int) -> str:
    """A text or a number as one line of at most so many characters; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    line = " ".join(str(value).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def first_text(limit: int, *values: Any) -> str:
    """The first of the values that says something."""
    return next((found for value in values if (found := text(value, limit))), "")


def inner(value: Any, *path: str) -> dict[str, Any]:
    """The object at a path of keys in an object; {} where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def key_of(*parts: Any) -> str:
    """A dedup key made of its parts, with “/” between them; a hash of them when it would be too long."""
    key = "/".join(str(part) for part in parts)
    return key if len(key) <= MAX_DEDUP_KEY else hashlib.sha256(key.encode()).hexdigest()


def is_web_address(address: str) -> bool:
    """Whether it may be made a link: only http and https, as a script's would be run."""
    try:
        url = urlsplit(address)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.netloc)
