"""Google Cloud Monitoring's webhook notifications (incident schema 1.2, and 1.1 alike).

`incident_id` stays the same from open to closed.
"""

from collections.abc import Mapping
from typing import Any

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload

from .reading import first_text, inner, key_of, read_or_fault, severity_of, strings, text

STATES = {"open": EventStatus.FIRING, "closed": EventStatus.RESOLVED}


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The one event. Raises MalformedPayload when there is no incident in it."""
    if not isinstance(payload, dict) or not isinstance(payload.get("incident"), dict):
        raise MalformedPayload("An object with an “incident” is wanted.", field="incident")
    return [read_or_fault(payload, _event)]


def _event(payload: dict[str, Any]) -> AlertEvent:
    incident = payload["incident"]
    incident_id = text(incident.get("incident_id"), MAX_TITLE)
    if not incident_id:
        raise InvalidEvent("required", "This field is required.", field="incident.incident_id")
    status = STATES.get(text(incident.get("state"), 16).lower())
    if status is None:
        raise InvalidEvent("invalid_choice", "This must be open or closed.", field="incident.state")
    policy = text(incident.get("policy_name"), MAX_TITLE)
    documentation = inner(incident, "documentation")
    return AlertEvent(
        dedup_key=key_of(incident_id),
        status=status,
        title=first_text(
            MAX_TITLE, documentation.get("subject"), incident.get("summary"), policy, incident_id
        ),
        severity=severity_of(incident.get("severity")),
        name=policy or text(incident.get("condition_name"), MAX_TITLE) or incident_id,
        source=first_text(
            MAX_SOURCE,
            incident.get("resource_display_name"),
            incident.get("resource_name"),
            incident.get("resource_id"),
        ),
        labels={
            **strings(inner(incident, "resource", "labels")),
            **strings(inner(incident, "metric", "labels")),
            **strings(inner(incident, "policy_user_labels")),
        },
        metadata={"description": text(documentation.get("content"), 8192), **incident},
    )
