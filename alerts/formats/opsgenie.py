"""Opsgenie Alert API v2, POST /v2/alerts (opsgenie/opsgenie-oas: swagger.json; docs.opsgenie.com/docs/alert-api).

The rest of that API is `escalations.opsgenie`, which answers in the words that stand here. The alias is the
dedup key; the details are the labels; everything else that was sent is metadata. Opsgenie's limits (a message
of 130 characters and the like) are not enforced: what is longer is taken as far as ours reach.
"""

import hashlib
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from alerts import receipts
from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity
from openalert.exceptions import OpenAlertError
from openalert.ids import uuid7

from .base import Answer, Request, Taken, key_in_authorization
from .reading import first_text, severity_of, strings, text

PRIORITIES = {
    "P1": Severity.CRITICAL,
    "P2": Severity.HIGH,
    "P3": Severity.MEDIUM,
    "P4": Severity.LOW,
    "P5": Severity.LOW,
}
DEFAULT_PRIORITY = "P3"
MAX_USER = 160
SCHEME = "GenieKey"

key = key_in_authorization(SCHEME)


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The alert of a request, or what is wrong with each of its fields. Raises MalformedPayload."""
    if not isinstance(payload, dict):
        raise MalformedPayload("The body must be a JSON object.")
    faults = _faults(payload)
    if faults:
        return [EventFault(code="invalid", detail=detail, field=field) for field, detail in faults.items()]
    title = text(payload["message"], MAX_TITLE)
    details = payload.get("details") or {}
    labels = strings(details)
    metadata = {name: value for name, value in payload.items() if name not in ("message", "alias", "details")}
    if len(labels) < len(details):
        metadata["details"] = {name: value for name, value in details.items() if name not in labels}
    return [
        AlertEvent(
            dedup_key=dedup_key(payload.get("alias")) or str(uuid7()),
            status=EventStatus.FIRING,
            title=title,
            severity=severity_for(payload.get("priority")),
            source=first_text(MAX_SOURCE, payload.get("source"), payload.get("entity")),
            # Alertmanager sends the labels of its group as details.
            name=labels.get("alertname") or title,
            labels=labels,
            metadata=metadata,
            by=text(payload.get("user"), MAX_USER),
        )
    ]


def _faults(payload: dict[str, Any]) -> dict[str, str]:
    faults = {}
    if not text(payload.get("message"), MAX_TITLE):
        faults["message"] = "Message can not be empty."
    if not isinstance(payload.get("alias"), str | int | None):
        faults["alias"] = "Alias must be a string."
    if not isinstance(payload.get("details"), dict | None):
        faults["details"] = "Details must be an object of strings."
    if not isinstance(payload.get("tags"), list | None):
        faults["tags"] = "Tags must be a list of strings."
    return faults


def dedup_key(alias: Any) -> str:
    """The dedup key of an alias; "" when there is none."""
    given = "" if alias is None else str(alias).strip()
    return given if len(given) <= MAX_DEDUP_KEY else hashlib.sha256(given.encode()).hexdigest()


def severity_for(priority: Any) -> Severity:
    """Of P1 to P5; P3's when there is none. Other words are understood as everywhere."""
    word = priority.strip().upper() if isinstance(priority, str) else ""
    return PRIORITIES.get(word or DEFAULT_PRIORITY) or severity_of(priority)


def answer(request: Request, taken: Taken) -> Answer:
    """202 and a request id; 422 with what is wrong with each field."""
    if taken.faults:
        return unprocessable(
            {fault.field or "body": fault.detail for fault in taken.faults}, since=request.at
        )
    request_id = str(uuid7())
    owner = receipts.owner_of(key(request, None))
    for result in taken.results:
        receipt = receipts.Receipt(
            "Create", "Created alert", alias=result.dedup_key, incident=result.incident
        )
        receipts.keep_soon(owner, request_id, receipt)
    return accepted(request_id, since=request.at)


def refuse(request: Request, failure: OpenAlertError) -> Answer:
    return refused(failure, since=request.at)


# The words of the whole API. `since` is when the request came, by time.monotonic().


def accepted(request_id: str, *, since: float, result: str = "Request will be processed") -> Answer:
    return told(HTTPStatus.ACCEPTED, {"result": result}, since=since, request_id=request_id)


def unprocessable(errors: Mapping[str, str], *, since: float) -> Answer:
    message = "Request body is not processable. Please check the errors."
    body = {"message": message, "errors": errors}
    return told(HTTPStatus.UNPROCESSABLE_ENTITY, body, since=since)


def refused(failure: OpenAlertError, *, since: float) -> Answer:
    is_unknown = failure.status == HTTPStatus.UNAUTHORIZED
    message = "Could not authenticate" if is_unknown else failure.detail
    return told(failure.status, {"message": message}, since=since)


def told(status: int, body: Mapping[str, Any], *, since: float, request_id: str = "") -> Answer:
    """A body with Opsgenie's headers. `took` is in seconds, as theirs is."""
    request_id = request_id or str(uuid7())
    took = round(time.monotonic() - since, 3)
    is_throttled = status == HTTPStatus.TOO_MANY_REQUESTS
    headers = {
        "X-Request-ID": request_id,
        "X-Response-Time": f"{took:.3f}",
        "X-RateLimit-State": "THROTTLED" if is_throttled else "OK",
        "X-RateLimit-Reason": "ACCOUNT",
        "X-RateLimit-Period-In-Sec": "60",
    }
    return Answer(status, {**body, "took": took, "requestId": request_id}, headers)
