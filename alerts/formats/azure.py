"""Azure Monitor's common alert schema (schemaId azureMonitorCommonAlertSchema).

`alertId` stays the same from firing to resolved. Sev0 is critical, Sev1 high, Sev2 medium, Sev3 and Sev4 low.
"""

from collections.abc import Mapping
from typing import Any

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .reading import first_text, inner, key_of, read_or_fault, strings, text

SCHEMA = "azureMonitorCommonAlertSchema"
SEVERITIES = {
    "sev0": Severity.CRITICAL,
    "sev1": Severity.HIGH,
    "sev2": Severity.MEDIUM,
    "sev3": Severity.LOW,
    "sev4": Severity.LOW,
}
CONDITIONS = {"fired": EventStatus.FIRING, "resolved": EventStatus.RESOLVED}


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The one event. Raises MalformedPayload when it is not of the common schema."""
    if not isinstance(payload, dict) or payload.get("schemaId") != SCHEMA:
        raise MalformedPayload(
            "Switch “Enable the common alert schema” on in the action group.", field="schemaId"
        )
    return [read_or_fault(payload, _event)]


def _event(payload: dict[str, Any]) -> AlertEvent:
    essentials, context = inner(payload, "data", "essentials"), inner(payload, "data", "alertContext")
    alert_id = text(essentials.get("alertId"), MAX_TITLE)
    if not alert_id:
        raise InvalidEvent("required", "This field is required.", field="data.essentials.alertId")
    status = CONDITIONS.get(text(essentials.get("monitorCondition"), 32).lower())
    if status is None:
        raise InvalidEvent(
            "invalid_choice", "This must be Fired or Resolved.", field="data.essentials.monitorCondition"
        )
    rule = text(essentials.get("alertRule"), MAX_TITLE)
    targets = essentials.get("configurationItems")
    targets = targets if isinstance(targets, list) else essentials.get("alertTargetIDs")
    target = text(targets[0], MAX_SOURCE) if isinstance(targets, list) and targets else ""
    title = f"{rule} on {target}" if rule and target else rule
    return AlertEvent(
        dedup_key=key_of(alert_id),
        status=status,
        title=first_text(MAX_TITLE, title, essentials.get("description"), alert_id),
        severity=SEVERITIES.get(text(essentials.get("severity"), 16).lower(), Severity.HIGH),
        name=rule or alert_id,
        source=target,
        labels={
            **strings(inner(payload, "data", "customProperties")),
            **{
                name: value
                for name in ("alertRule", "signalType", "monitoringService")
                if (value := text(essentials.get(name), 255))
            },
        },
        metadata={
            "description": text(essentials.get("description"), 4096),
            **essentials,
            "alertContext": context,
        },
    )
