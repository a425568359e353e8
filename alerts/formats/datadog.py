"""Datadog's webhooks integration, whose payload is a template; the set-up page gives ours, and its default is read too.

A monitor's aggregation key (or its id) is the dedup key, so that its recovery finds the alert.
"""

from collections.abc import Mapping
from typing import Any

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .reading import first_text, key_of, read_or_fault, severity_of, text

TRANSITIONS = {
    "triggered": EventStatus.FIRING,
    "re-triggered": EventStatus.FIRING,
    "no data": EventStatus.FIRING,
    "re-no data": EventStatus.FIRING,
    "warn": EventStatus.FIRING,
    "re-warn": EventStatus.FIRING,
    "renotify": EventStatus.FIRING,
    "recovered": EventStatus.RESOLVED,
    "warn recovered": EventStatus.RESOLVED,
    "no data recovered": EventStatus.RESOLVED,
}
TYPES = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "success": Severity.LOW, "info": Severity.LOW}
PRIORITIES = {
    "p1": Severity.CRITICAL,
    "p2": Severity.HIGH,
    "p3": Severity.MEDIUM,
    "p4": Severity.LOW,
    "p5": Severity.LOW,
}


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The one event. Raises MalformedPayload when it is no object."""
    if not isinstance(payload, dict):
        raise MalformedPayload("A JSON object is wanted.")
    return [read_or_fault(payload, _event)]


def _event(payload: dict[str, Any]) -> AlertEvent:
    title = first_text(
        MAX_TITLE, payload.get("title"), payload.get("alert_title"), payload.get("event_title")
    )
    kind = text(payload.get("alert_type"), 32).lower()
    transition = text(payload.get("alert_transition") or payload.get("transition"), 64).lower()
    status = TRANSITIONS.get(transition)
    if status is None:
        status = EventStatus.RESOLVED if kind == "success" else EventStatus.FIRING
    identity = first_text(
        MAX_TITLE, payload.get("aggreg_key"), payload.get("alert_id"), payload.get("id"), title
    )
    if not identity:
        raise InvalidEvent("required", "A title, or what tells the problem apart, is needed.", field="title")
    tags = payload.get("tags")
    return AlertEvent(
        dedup_key=key_of(identity),
        status=status,
        title=title or identity,
        severity=_severity(payload, kind, transition),
        name=first_text(MAX_TITLE, payload.get("alert_metric"), title) or identity,
        source=first_text(MAX_SOURCE, payload.get("hostname"), payload.get("host"), payload.get("org_name")),
        labels=_labels(tags),
        metadata=payload,
    )


def _severity(payload: dict[str, Any], kind: str, transition: str) -> Severity:
    """The monitor's own word or priority; else what the transition and the type mean."""
    if given := text(payload.get("severity"), 32):
        return severity_of(given)
    if priority := PRIORITIES.get(text(payload.get("alert_priority") or payload.get("priority"), 8).lower()):
        return priority
    if "warn" in transition:
        return Severity.MEDIUM
    return TYPES.get(kind, Severity.HIGH)


def _labels(tags: Any) -> dict[str, str]:
    """“env:prod, team:shop” or a list of such; a tag without a value is true."""
    if isinstance(tags, str):
        tags = tags.split(",")
    if not isinstance(tags, list):
        return {}
    labels = {}
    for tag in tags:
        if isinstance(tag, str) and tag.strip():
            name, colon, value = tag.strip().partition(":")
            labels[name] = value if colon else "true"
    return labels
