"""Nagios Core, Icinga 2 and their kin (Naemon, Icinga 1), by our notification command.

static/integrations/openalert-notify sends a form; its fields are those that the object definitions of our
set-up page give it from the macros ($NOTIFICATIONTYPE$, $HOSTNAME$ … of Nagios; $notification.type$, $host.name$ …
of Icinga 2). More fields are kept as they are.

A host, or a service on a host, is one problem. Flapping and downtimes are the sender's own reasons to say less
or more; they change nothing here.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent, without_nul
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import decode_json
from .reading import first_text, key_of, read_or_fault, text

TYPES = {
    "PROBLEM": EventStatus.FIRING,
    "RECOVERY": EventStatus.RESOLVED,
    "ACKNOWLEDGEMENT": EventStatus.ACKNOWLEDGED,
}
# FLAPPINGSTART, -STOP, -END, -DISABLED; DOWNTIMESTART, -END, -CANCELLED, -REMOVED.
SILENT = ("FLAPPING", "DOWNTIME")
HEALTHY = ("UP", "OK")
SEVERITIES = {
    "DOWN": Severity.CRITICAL,
    "UNREACHABLE": Severity.HIGH,
    "CRITICAL": Severity.CRITICAL,
    "WARNING": Severity.MEDIUM,
}
MAX_FIELDS = 100
MAX_NAME = 200
MAX_USER = 160


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """The fields of a form, or a JSON object of the same. Raises MalformedPayload."""
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return decode_json(body, headers)
    try:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as cause:
        raise MalformedPayload(f"The form may have {MAX_FIELDS} fields.") from cause
    return without_nul(dict(fields))


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """At most one event: none for flapping and downtimes. Raises MalformedPayload."""
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not the notification of openalert-notify: a form is wanted.")
    if text(payload.get("notification"), 64).upper().startswith(SILENT):
        return []
    # A notification by hand says nothing new of what is well.
    if _word(payload, "notification") == "CUSTOM" and _word(payload, "state") in HEALTHY:
        return []
    return [read_or_fault(payload, _event)]


def _event(given: dict[str, Any]) -> AlertEvent:
    kind, state = _word(given, "notification"), _word(given, "state")
    status = EventStatus.FIRING if kind == "CUSTOM" else TYPES.get(kind)
    if status is None:
        raise InvalidEvent(
            "invalid_choice", "This must be one of PROBLEM, RECOVERY, ACKNOWLEDGEMENT.", field="notification"
        )
    host, service = text(given.get("host"), MAX_NAME), text(given.get("service"), MAX_NAME)
    if not host:
        raise InvalidEvent("required", "The host is missing.", field="host")
    shown = text(given.get("alias"), MAX_NAME) or host
    subject = f"{service} on {shown}" if service else shown
    output = text(given.get("output"), MAX_TITLE)
    title = f"{subject} is {state or 'not well'}" + (f": {output}" if output else "")
    labels = {"host": host, "service": service, "groups": text(given.get("groups"), 1_000)}
    return AlertEvent(
        dedup_key=key_of("service", host, service) if service else key_of("host", host),
        status=status,
        title=text(title, MAX_TITLE),
        severity=SEVERITIES.get(state, Severity.HIGH),
        name=service or "Host",
        source=first_text(MAX_SOURCE, host),
        labels={label: value for label, value in labels.items() if value},
        metadata={
            **given,
            "url": first_text(2_000, given.get("action_url"), given.get("url")),
            "runbook": text(given.get("notes_url"), 2_000),
            "description": first_text(5_000, given.get("long_output"), given.get("output")),
        },
        by=text(given.get("author"), MAX_USER),
    )


def _word(given: dict[str, Any], name: str) -> str:
    return text(given.get(name), 32).upper()
