"""What every format is translated into, and what may be wrong with a single alert."""

from typing import Any

import msgspec

from incidents.enums import Severity

from .enums import EventStatus

MAX_DEDUP_KEY = 512
MAX_TITLE = 1024
MAX_SOURCE = 255


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that a monitoring system says about one of its problems.

    `name` is the alert's kind (Prometheus: alertname), for grouping; `labels` are its dimensions; `metadata`
    is all else that was sent, to be shown. `by` is who says so, where the system tells (who acknowledged).
    Title and severity of a resolve and of an acknowledgement are not used.
    """

    dedup_key: str
    status: EventStatus
    title: str
    severity: Severity
    name: str
    source: str = ""
    labels: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    by: str = ""


class EventFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why one alert of a payload cannot be taken; `index` is its place in the list, from 0."""

    code: str
    detail: str
    field: str | None = None
    index: int | None = None


class InvalidEvent(Exception):
    """Raised while one alert is being read; holds its fault."""

    def __init__(self, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.fault = EventFault(code=code, detail=detail, field=field)


def find_nul(value: Any) -> bool:
    """Whether any text in a JSON value holds U+0000, which PostgreSQL cannot store."""
    waiting = [value]  # not by recursion, as there is no telling how deep it goes
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if "\0" in value:
                return True
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
    return False


def without_nul(value: Any) -> Any:
    """A JSON value with U+FFFD for every U+0000: for systems that could not mend what they send.

    Raises RecursionError when it is nested some hundreds deep.
    """
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, dict):
        return {without_nul(key): without_nul(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nul(item) for item in value]
    return value
