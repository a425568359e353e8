"""PagerDuty's Events API v2, POST /v2/enqueue (PagerDuty/api-schema: reference/events-v2/openapiv3.json).

The integration key is the event's `routing_key`. Triggers fire, acknowledgements acknowledge the incident, resolves
resolve; those without an open alert are accepted and change nothing. What PagerDuty calls permanent is 400 here as
there: its clients repeat 429 and 5xx only.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from alerts.bodies import TooLarge
from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity
from openalert.exceptions import OpenAlertError
from openalert.ids import uuid7

from .base import Answer, Request, Taken, decode_json
from .reading import read_or_fault, strings, text

MAX_BODY_BYTES = 512 * 1024
MAX_DEDUP_KEY = 255
ACTIONS = {
    "trigger": EventStatus.FIRING,
    "acknowledge": EventStatus.ACKNOWLEDGED,
    "resolve": EventStatus.RESOLVED,
}
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "error": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "info": Severity.LOW,
}
# What is only for finding the way here.
NOT_KEPT = frozenset({"routing_key", "event_action", "dedup_key", "payload"})


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON of the body. Raises TooLarge, MalformedPayload."""
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge("An event may have at most 512 KB.")
    return decode_json(body, headers)


def key(request: Request, payload: Any) -> str:
    given = payload.get("routing_key") if isinstance(payload, dict) else None
    return given.strip() if isinstance(given, str) else ""


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The one event, or what is wrong with it. Raises MalformedPayload when it is no object."""
    if not isinstance(payload, dict):
        raise MalformedPayload("Event object format is unrecognized")
    return [read_or_fault(payload, _event)]


def _event(event: dict[str, Any]) -> AlertEvent:
    action = event.get("event_action")
    status = ACTIONS.get(action) if isinstance(action, str) else None
    if status is None:
        raise InvalidEvent(
            "invalid_choice",
            "'event_action' must be one of trigger, acknowledge, resolve",
            field="event_action",
        )
    dedup_key = _dedup_key(event.get("dedup_key"), is_needed=status != EventStatus.FIRING)
    if status != EventStatus.FIRING:
        return AlertEvent(dedup_key=dedup_key, status=status, title="", severity=Severity.HIGH, name="")
    described = event.get("payload")
    if not isinstance(described, dict):
        raise InvalidEvent("required", "'payload' is missing or not an object", field="payload")
    title = _required(described, "summary", MAX_TITLE)
    source = _required(described, "source", None)
    severity = described.get("severity")
    if not isinstance(severity, str) or severity.lower() not in SEVERITIES:
        raise InvalidEvent(
            "invalid_choice",
            "'payload.severity' must be one of critical, error, warning, info",
            field="payload.severity",
        )
    details = described.get("custom_details")
    labels = {
        **strings(details),
        **{
            name: value
            for name in ("component", "group", "class")
            if (value := text(described.get(name), 255))
        },
    }
    return AlertEvent(
        dedup_key=dedup_key,
        status=status,
        title=title,
        severity=SEVERITIES[severity.lower()],
        name=labels.get("class") or title,
        source=text(source, MAX_SOURCE),
        labels=labels,
        metadata={
            **{name: value for name, value in event.items() if name not in NOT_KEPT},
            **{
                name: value
                for name, value in described.items()
                if name not in ("summary", "source", "severity")
            },
        },
    )


def _dedup_key(given: Any, *, is_needed: bool) -> str:
    if given is None or given == "":
        if is_needed:
            raise InvalidEvent("required", "'dedup_key' is missing or blank", field="dedup_key")
        return uuid7().hex
    if not isinstance(given, str) or not given.strip():
        raise InvalidEvent("invalid", "'dedup_key' must be a string", field="dedup_key")
    if len(given) > MAX_DEDUP_KEY:
        raise InvalidEvent(
            "max_length", f"'dedup_key' may have at most {MAX_DEDUP_KEY} characters", field="dedup_key"
        )
    return given


def _required(described: dict[str, Any], name: str, limit: int | None) -> str:
    value, field = described.get(name), f"payload.{name}"
    if not isinstance(value, str) or not value.strip():
        raise InvalidEvent("required", f"'{field}' is missing or blank", field=field)
    if limit and len(value) > limit:
        raise InvalidEvent("max_length", f"'{field}' may have at most {limit} characters", field=field)
    return value.strip()


def answer(request: Request, taken: Taken) -> Answer:
    if taken.faults:
        return invalid([fault.detail for fault in taken.faults])
    [result] = taken.results
    return Answer(
        HTTPStatus.ACCEPTED,
        {"status": "success", "message": "Event processed", "dedup_key": result.dedup_key},
    )


def invalid(errors: list[str]) -> Answer:
    return Answer(
        HTTPStatus.BAD_REQUEST,
        {"status": "invalid event", "message": "Event object is invalid", "errors": errors},
    )


def refuse(request: Request, failure: OpenAlertError) -> Answer:
    """Their words for a body that is no event; what a client cannot mend by sending again is 400."""
    if isinstance(failure, MalformedPayload):
        return Answer(
            HTTPStatus.BAD_REQUEST,
            {
                "status": "Unrecognized object",
                "message": "Event object format is unrecognized",
                "errors": [failure.detail],
            },
        )
    if failure.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        detail = (
            f"'routing_key': {failure.detail}" if failure.status != HTTPStatus.NOT_FOUND else failure.detail
        )
        return invalid([detail])
    status = "throttle exceeded" if failure.status == HTTPStatus.TOO_MANY_REQUESTS else failure.code
    return Answer(failure.status, {"status": status, "message": failure.detail, "errors": [failure.detail]})
