"""New Relic's webhooks: a workflow's template (the set-up page gives ours; the default one is read too), and the
classic alert channel's payload.

The issue's (or the incident's) id stays the same from its activation to its end.
"""

from collections.abc import Mapping
from typing import Any

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload

from .reading import first_text, key_of, read_or_fault, severity_of, strings

STATES = {
    "created": EventStatus.FIRING,
    "activated": EventStatus.FIRING,
    "open": EventStatus.FIRING,
    "acknowledged": EventStatus.ACKNOWLEDGED,
    "closed": EventStatus.RESOLVED,
}


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The one event. Raises MalformedPayload when it is no object."""
    if not isinstance(payload, dict):
        raise MalformedPayload("A JSON object is wanted.")
    return [read_or_fault(payload, _event)]


def _event(payload: dict[str, Any]) -> AlertEvent:
    identity = first_text(MAX_TITLE, payload.get("issueId"), payload.get("id"), payload.get("incident_id"))
    if not identity:
        raise InvalidEvent("required", "This field is required.", field="id")
    status = STATES.get(first_text(32, payload.get("state"), payload.get("current_state")).lower())
    if status is None:
        raise InvalidEvent(
            "invalid_choice", "This must be one of created, activated, acknowledged, closed.", field="state"
        )
    condition = first_text(
        MAX_TITLE, _first(payload.get("alertConditionNames")), payload.get("condition_name")
    )
    return AlertEvent(
        dedup_key=key_of(identity),
        status=status,
        title=first_text(MAX_TITLE, payload.get("title"), payload.get("details"), condition, identity),
        severity=severity_of(payload.get("priority") or payload.get("severity")),
        name=condition or identity,
        source=first_text(
            MAX_SOURCE, _first(payload.get("impactedEntities")), _first(payload.get("targets"))
        ),
        labels={
            **strings(payload.get("labels")),
            **{
                name: value
                for name, given in (
                    ("policy", payload.get("alertPolicyNames") or payload.get("policy_name")),
                    ("condition", condition),
                )
                if (value := first_text(255, _first(given), given))
            },
        },
        metadata=payload,
    )


def _first(value: Any) -> Any:
    """The first of a list; the name of it when it is an object."""
    item = value[0] if isinstance(value, list) and value else None
    return item.get("name") if isinstance(item, dict) else item
