"""Zabbix, by the media type that our set-up page gives: every parameter is a macro, sent as it is in one JSON object.

Macros: zabbix.com/documentation, Appendixes → Macros → Supported macros. A macro that has no value in some
kind of notification arrives as its own name or as *UNKNOWN*, and counts as absent.

The event's id is the dedup key: recovery and update notifications name the problem's event. An update
acknowledges, or changes the severity; other updates (comments and the like) are left alone.
"""

import re
from collections.abc import Mapping
from typing import Any

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import decode_json
from .reading import first_text, key_of, read_or_fault, severity_of, text

# {EVENT.NSEVERITY}: not classified, information, warning, average, high, disaster.
SEVERITIES = (
    Severity.LOW,
    Severity.LOW,
    Severity.MEDIUM,
    Severity.MEDIUM,
    Severity.HIGH,
    Severity.CRITICAL,
)
# {EVENT.SOURCE} of events that have an end: triggers, internal events, services.
SOURCES = ("0", "3", "4")
UNRESOLVED = re.compile(r"\{\$?[A-Z][A-Z0-9_.]*\}|\*UNKNOWN\*")
MAX_USER = 160


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The event of a notification, if it changes anything; two when an update does both that it may do.

    Raises MalformedPayload.
    """
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not the notification of our media type: a JSON object is wanted.")
    given = {name: value for name, value in payload.items() if not _is_absent(value)}
    return [read_or_fault(status, lambda status: _event(given, status)) for status in _statuses(given)]


def _is_absent(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, str) and bool(UNRESOLVED.fullmatch(value)))


def _statuses(given: dict[str, Any]) -> list[EventStatus]:
    """What a notification says of its problem."""
    if _word(given, "event_value") == "0":
        return [EventStatus.RESOLVED]
    if _word(given, "event_update_status") != "1":
        return [EventStatus.FIRING]
    action = text(given.get("event_update_action"), 500)
    if not action:
        is_acknowledged = _word(given, "event_ack_status").lower() == "yes"
        return [EventStatus.ACKNOWLEDGED] if is_acknowledged else []
    said = []
    if "changed severity" in action:
        said.append(EventStatus.FIRING)
    if re.search(r"\backnowledged\b", action):
        said.append(EventStatus.ACKNOWLEDGED)
    return said


def _event(given: dict[str, Any], status: EventStatus) -> AlertEvent:
    if _word(given, "event_source") not in ("", *SOURCES):
        raise InvalidEvent(
            "invalid_choice",
            "Only problems of triggers, services and internal events are taken.",
            field="event_source",
        )
    number = first_text(MAX_DEDUP_KEY, given.get("event_id"), given.get("trigger_id"))
    if not number:
        raise InvalidEvent("required", "The event's id is missing.", field="event_id")
    title = first_text(MAX_TITLE, given.get("event_name"), given.get("subject")) or f"Problem {number}"
    tags, is_read = _tags(given.get("event_tags"))
    described = first_text(5_000, given.get("trigger_description"), given.get("message"))
    links = {"url": text(given.get("event_url"), 2_000), "runbook": text(given.get("trigger_url"), 2_000)}
    kept = {name: value for name, value in given.items() if name != "event_tags" or not is_read}
    return AlertEvent(
        dedup_key=key_of(number),
        status=status,
        title=title,
        severity=_severity(given),
        name=first_text(MAX_TITLE, given.get("trigger_name")) or title,
        source=first_text(MAX_SOURCE, given.get("host_name"), given.get("host_host")),
        labels={**_labels(given), **tags},
        metadata={
            **kept,
            **{name: link for name, link in links.items() if link},
            **({"description": described} if described else {}),
        },
        by=text(given.get("event_update_user"), MAX_USER),
    )


def _severity(given: dict[str, Any]) -> Severity:
    number = _word(given, "event_nseverity")
    if number in ("0", "1", "2", "3", "4", "5"):
        return SEVERITIES[int(number)]
    return severity_of(given.get("event_severity"))


def _labels(given: dict[str, Any]) -> dict[str, str]:
    names = {"host": "host_host", "host_groups": "host_groups", "trigger_id": "trigger_id"}
    return {label: found for label, name in names.items() if (found := text(given.get(name), 1_000))}


def _tags(given: Any) -> tuple[dict[str, str], bool]:
    """Of {EVENT.TAGSJSON}, a list of {"tag", "value"} as text; whether it could be read.

    A tag that comes twice has both values, with a comma between them.
    """
    try:
        tags = decode_json(given.encode(), {}) if isinstance(given, str) else given
    except MalformedPayload:
        return {}, False
    if not isinstance(tags, list):
        return {}, False
    found: dict[str, str] = {}
    for tag in tags:
        if isinstance(tag, dict) and (name := text(tag.get("tag"), 255)):
            value = text(tag.get("value"), 1_000) or "true"
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found, True


def _word(given: dict[str, Any], name: str) -> str:
    return text(given.get(name), 32)
