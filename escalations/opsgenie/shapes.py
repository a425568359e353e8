"""Alerts and their stories as Opsgenie tells them (swagger.json: BaseAlert, Alert, AlertNote, AlertLog)."""

from datetime import UTC, datetime
from typing import Any

from alerts.edits import labels_of, tags_of
from alerts.enums import AlertStatus
from alerts.formats.opsgenie import PRIORITIES
from alerts.models import Alert
from incidents import timeline
from incidents.enums import Severity, Status
from incidents.models import Incident, TimelineEntry
from teams.models import User

# What stands for a severity that was not given as a priority.
OF_SEVERITY = {severity: priority for priority, severity in reversed(PRIORITIES.items())}


def instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def priority_of(alert: Alert) -> str:
    """The priority as it was given, as long as it fits the severity: P4 and P5 are one of ours."""
    given = alert.metadata.get("priority")
    is_known = isinstance(given, str) and PRIORITIES.get(given) == alert.severity
    return given if is_known else OF_SEVERITY[Severity(alert.severity)]


def base_alert(alert: Alert) -> dict[str, Any]:
    """What lists tell of an alert."""
    incident = alert.incident
    told = {
        "id": alert.id_text,
        "tinyId": str(incident.number),
        "alias": alert.dedup_key,
        "message": alert.title,
        "status": "closed" if alert.status == AlertStatus.RESOLVED else "open",
        "acknowledged": incident.acknowledged_at is not None,
        "isSeen": incident.acknowledged_at is not None or incident.status != Status.OPEN,
        "tags": tags_of(alert),
        "snoozed": incident.status == Status.SNOOZED,
        "count": alert.count,
        "lastOccurredAt": instant(alert.last_fired_at),
        "createdAt": instant(alert.first_fired_at),
        "updatedAt": instant(max(alert.updated_at, incident.updated_at)),
        "source": alert.source,
        "owner": incident.assigned_to.email if incident.assigned_to else "",
        "priority": priority_of(alert),
        "responders": _responders(incident),
        "integration": {
            "id": alert.integration.id_text,
            "name": alert.integration.name,
            "type": alert.integration.get_source_display(),
        },
    }
    if incident.snoozed_until:
        told["snoozedUntil"] = instant(incident.snoozed_until)
    if report := _report(alert):
        told["report"] = report
    return told


def full_alert(alert: Alert) -> dict[str, Any]:
    actions = alert.metadata.get("actions")
    return {
        **base_alert(alert),
        "actions": [action for action in actions if isinstance(action, str)]
        if isinstance(actions, list)
        else [],
        "entity": _text(alert, "entity"),
        "description": _text(alert, "description"),
        "details": labels_of(alert),
    }


def _text(alert: Alert, key: str) -> str:
    value = alert.metadata.get(key)
    return value if isinstance(value, str) else ""


def _responders(incident: Incident) -> list[dict[str, str]]:
    """Who deals with it here, whomever the request named."""
    found = [{"type": "team", "id": incident.service.team.id_text}]
    if incident.assigned_to:
        found.append({"type": "user", "id": incident.assigned_to.id_text})
    return found


def _report(alert: Alert) -> dict[str, Any]:
    """Times are milliseconds since the alert came."""
    incident = alert.incident
    report: dict[str, Any] = {}
    if incident.acknowledged_at:
        report["ackTime"] = _milliseconds(alert, incident.acknowledged_at)
        report |= _person("acknowledgedBy", incident.acknowledged_by)
    if alert.resolved_at:
        report["closeTime"] = _milliseconds(alert, alert.resolved_at)
        report |= _person("closedBy", incident.resolved_by)
    return report


def _milliseconds(alert: Alert, at: datetime) -> int:
    return max(0, round((at - alert.first_fired_at).total_seconds() * 1000))


def _person(key: str, user: User | None) -> dict[str, str]:
    return {key: user.email} if user else {}


def note(entry: TimelineEntry) -> dict[str, str]:
    return {
        "note": entry.data.get("text", ""),
        "owner": _owner(entry),
        "createdAt": instant(entry.at),
        "offset": str(entry.pk),
    }


def log(entry: TimelineEntry) -> dict[str, str]:
    return {
        "log": timeline.sentence(entry),
        "type": entry.kind,
        "owner": _owner(entry),
        "createdAt": instant(entry.at),
        "offset": str(entry.pk),
    }


def _owner(entry: TimelineEntry) -> str:
    return entry.actor.email if entry.actor else entry.actor_name
