"""Prometheus Alertmanager's webhook, version 4 (prometheus/alertmanager: template/template.go, type Data).

Each alert of the notification is one event; its fingerprint is the dedup key. Unknown keys are kept in the
metadata: newer versions add some.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload

from .reading import read_each, severity_of


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The alerts of a notification in their order, each as an event or as what is wrong with it.

    Raises MalformedPayload when it is not a notification of version 4.
    """
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not an Alertmanager notification: a JSON object is wanted.")
    if payload.get("version") != "4":
        raise MalformedPayload("Only version “4” of the Alertmanager webhook is known.", field="version")
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise MalformedPayload("A list of alerts is wanted.", field="alerts")
    shared = {
        key: value
        for key, value in payload.items()
        if key not in ("alerts", "version", "status", "commonLabels", "commonAnnotations")
    }
    return read_each(alerts, lambda alert: event(alert, shared))


def event(alert: Any, shared: dict[str, Any]) -> AlertEvent:
    """One alert of a notification, with what all of them share. Raises InvalidEvent."""
    if not isinstance(alert, dict):
        raise InvalidEvent("invalid", "An alert must be a JSON object.")
    if alert.get("status") not in ("firing", "resolved"):
        raise InvalidEvent("invalid_choice", "This must be one of firing, resolved.", field="status")
    labels = _strings(alert, "labels")
    annotations = _strings(alert, "annotations")
    name = labels.get("alertname", "")
    title = annotations.get("summary") or annotations.get("title") or name or "Unnamed alert"
    return AlertEvent(
        dedup_key=_fingerprint(alert, labels),
        status=EventStatus(alert["status"]),
        title=title[:MAX_TITLE],
        severity=severity_of(labels.get("severity")),
        source=(labels.get("instance") or labels.get("job") or "")[:MAX_SOURCE],
        name=name or title,
        labels=labels,
        metadata={
            **shared,
            **{key: value for key, value in alert.items() if key not in ("labels", "status", "fingerprint")},
        },
    )


def _strings(alert: dict[str, Any], field: str) -> dict[str, str]:
    value = alert.get(field) or {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidEvent("invalid", "This must be a JSON object of strings.", field=field)
    return value


def _fingerprint(alert: dict[str, Any], labels: dict[str, str]) -> str:
    given = alert.get("fingerprint")
    if isinstance(given, str) and 0 < len(given) <= MAX_DEDUP_KEY:
        return given
    # Versions before 0.19 send none; like theirs, ours depends on the labels alone.
    return hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()
