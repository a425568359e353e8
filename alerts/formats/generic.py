"""Any JSON: the fields of an alert are picked by expressions of the integration's, or by the names that they usually have.

A payload is one alert; a list, or what the integration's `each` picks, is one for each element. Whatever an
expression cannot pick is found as if there were none, and said in the alert's metadata under `field_errors`: a
mistake in a setting loses no alert. The metadata has the `payload` as it came, and `description` and `link`.
"""

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault
from alerts.exceptions import InvalidExpression
from alerts.fields import NO_FIELDS, Fields, read_fields
from incidents.enums import Severity

from .base import Reader
from .reading import SEVERITIES, key_of, strings, text

if TYPE_CHECKING:
    from alerts.models import Integration

logger = logging.getLogger(__name__)

MAX_LABEL = 500
MAX_DESCRIPTION = 10_000
MAX_LINK = 2_000
MOST_ALERTS = 2_000
MOST_LABELS = 50
MOST_ERRORS = 10
MOST_LOOKED_AT = 200  # values, for a text that may be a title

# Names of keys, in small letters and without other signs, the best first.
USUAL: dict[str, list[str]] = {
    "title": [
        "title",
        "summary",
        "subject",
        "headline",
        "message",
        "alertname",
        "name",
        "eventname",
        "event",
        "description",
        "text",
        "msg",
        "problem",
        "error",
        "reason",
    ],
    "dedup_key": [
        "dedupkey",
        "deduplicationkey",
        "externalid",
        "alias",
        "alertid",
        "incidentid",
        "incidentkey",
        "problemid",
        "fingerprint",
        "checkid",
        "monitorid",
        "id",
        "uid",
        "uuid",
        "guid",
        "key",
    ],
    "status": [
        "status",
        "state",
        "alertstatus",
        "alertstate",
        "currentstate",
        "eventstatus",
        "action",
        "eventaction",
        "eventtype",
        "type",
        "resolved",
    ],
    "severity": ["severity", "priority", "level", "urgency", "criticality", "loglevel", "importance"],
    "name": [
        "alertname",
        "rulename",
        "rule",
        "checkname",
        "check",
        "monitorname",
        "monitor",
        "metricname",
        "metric",
    ],
    "source": [
        "source",
        "host",
        "hostname",
        "instance",
        "node",
        "server",
        "device",
        "resource",
        "service",
        "origin",
    ],
    "labels": ["labels", "tags", "dimensions", "attributes"],
    "description": ["description", "details", "body", "text", "message", "output", "longmessage"],
    "link": ["link", "url", "href", "permalink", "alerturl", "eventurl", "htmlurl", "dashboardurl", "weburl"],
}
# Objects that hold what an alert is about, when the top has nothing.
INSIDE = (
    "alert",
    "event",
    "incident",
    "problem",
    "check",
    "monitor",
    "notification",
    "data",
    "payload",
    "detail",
)

RESOLVED = frozenset(
    [
        "resolved",
        "resolve",
        "ok",
        "okay",
        "closed",
        "close",
        "recovered",
        "recovery",
        "up",
        "normal",
        "cleared",
        "clear",
        "clears",
        "inactive",
        "healthy",
        "success",
        "succeeded",
        "passed",
        "pass",
        "fixed",
        "green",
        "online",
        "back",
        "resolution",
    ]
)
ACKNOWLEDGED = frozenset(["acknowledged", "acknowledge", "acked", "ack"])
NUMBERED = {
    **{f"{prefix}{n}": Severity.CRITICAL for prefix in ("p", "sev", "s") for n in (0, 1)},
    **{f"{prefix}2": Severity.HIGH for prefix in ("p", "sev", "s")},
    **{f"{prefix}3": Severity.MEDIUM for prefix in ("p", "sev", "s")},
    **{f"{prefix}{n}": Severity.LOW for prefix in ("p", "sev", "s") for n in (4, 5)},
}


def reader_for(integration: "Integration") -> Reader:
    fields, fallback = fields_of(integration), fallback_of(integration)
    return lambda payload, headers: list(read_payload(payload, fields, fallback=fallback))


def fields_of(integration: "Integration") -> Fields:
    """Its own; those that can no longer be understood are as if they were not."""
    try:
        return read_fields(integration.settings.get("fields", {}))
    except InvalidExpression as fault:
        logger.error("the fields of integration %s: %s: %s", integration.pk, fault.field, fault)
        return NO_FIELDS


def fallback_of(integration: "Integration") -> str:
    """The title of an alert whose payload has no text at all."""
    return f"Alert from {integration.name}"


def read_payload(payload: Any, fields: Fields, *, fallback: str = "Alert") -> list[AlertEvent | EventFault]:
    """The alerts of a payload; `fallback` is the title of one that has no text at all. Raises nothing."""
    errors: dict[str, str] = {}
    parts = _parts(payload, fields, errors)
    if len(parts) > MOST_ALERTS:
        return [EventFault(code="max_length", detail=f"A payload may have {MOST_ALERTS:,} alerts.")]
    return [_Picker(part, payload, fields, dict(errors)).event(fallback) for part in parts]


def _parts(payload: Any, fields: Fields, errors: dict[str, str]) -> list[Any]:
    each = fields.compiled.get("each")
    if each:
        try:
            found = each(payload, payload)
        except InvalidExpression as fault:
            errors["each"] = fault.detail
        else:
            if isinstance(found, list):
                return found
            if found is not None:
                return [found]
            errors["each"] = "It picks nothing from this payload."
    if isinstance(payload, list) and payload and all(isinstance(part, dict) for part in payload):
        return payload
    return [payload]


class _Picker:
    """One alert of a payload."""

    def __init__(self, part: Any, whole: Any, fields: Fields, errors: dict[str, str]) -> None:
        self.part, self.whole, self.fields, self.errors = part, whole, fields, errors
        self.usual = _by_usual_names(part)

    def event(self, fallback: str) -> AlertEvent:
        title = self.text("title", MAX_TITLE) or _any_text(self.part) or text(fallback, MAX_TITLE) or "Alert"
        name = self.text("name", MAX_TITLE) or title
        source = self.text("source", MAX_SOURCE)
        severity = self.severity()
        return AlertEvent(
            dedup_key=key_of(self.text("dedup_key", 10 * MAX_DEDUP_KEY) or key_of(name, source)),
            status=self.status(),
            title=title,
            severity=severity,
            name=name,
            source=source,
            labels=self.labels(),
            metadata=self.metadata(title),
        )

    def pick(self, field: str, accept: Callable[[Any], Any]) -> Any:
        """What the field's expression gives, else what its usual names have; None when neither is acceptable."""
        expression = self.fields.compiled.get(field)
        if expression:
            try:
                found = accept(expression(self.part, self.whole))
            except InvalidExpression as fault:
                self.fault(field, fault.detail)
            else:
                if found:
                    return found
                self.fault(field, "It picks nothing from this payload.")
        return next((found for value in self.usual.get(field, ()) if (found := accept(value))), None)

    def fault(self, field: str, detail: str) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors[field] = detail

    def text(self, field: str, limit: int) -> str:
        return self.pick(field, lambda value: text(_scalar(value), limit)) or ""

    def status(self) -> EventStatus:
        word = (self.pick("status", _status_word) or "").lower()
        if word in (_small(self.fields.resolved) if self.fields.resolved else RESOLVED):
            return EventStatus.RESOLVED
        if word in (_small(self.fields.acknowledged) if self.fields.acknowledged else ACKNOWLEDGED):
            return EventStatus.ACKNOWLEDGED
        return EventStatus.FIRING

    def severity(self) -> Severity:
        word = (self.text("severity", MAX_LABEL)).lower()
        ours = {value.strip().lower(): severity for value, severity in self.fields.severities.items()}
        return ours.get(word) or SEVERITIES.get(word) or NUMBERED.get(word.replace("-", "")) or Severity.HIGH

    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = {}
        for found in self.usual.get("labels", ()):
            labels = {**_labels(found), **labels}
        for name in self.fields.labels:
            value = self.text(f"labels.{name}", MAX_LABEL)
            if value:
                labels[name] = value
        return dict(list(labels.items())[:MOST_LABELS])

    def metadata(self, title: str) -> dict[str, Any]:
        metadata: dict[str, Any] = {"payload": self.part}
        description = self.pick("description", lambda value: value if isinstance(value, str) else "")
        if description and description.strip() != title:
            metadata["description"] = description.strip()[:MAX_DESCRIPTION]
        link = self.text("link", MAX_LINK)
        if link:
            metadata["link"] = link
        if self.errors:
            metadata["field_errors"] = self.errors
        return metadata


def _by_usual_names(part: Any) -> dict[str, list[Any]]:
    """For each field the values under its usual names, the best first: those at the top, then those inside."""
    if not isinstance(part, dict):
        return {}
    top = {_plain(key): value for key, value in part.items()}
    if "resolved" in top:
        top["resolved"] = "resolved" if str(top["resolved"]).lower() == "true" else None
    places = [top] + [
        {_plain(key): value for key, value in inner.items()}
        for name in INSIDE
        if isinstance(inner := top.get(name), dict)
    ]
    return {
        field: [place[name] for place in places for name in names if place.get(name) not in (None, "")]
        for field, names in USUAL.items()
    }


def _plain(key: Any) -> str:
    return re.sub(r"[^a-z0-9]", "", str(key)[:100].lower())


def _small(words: list[str]) -> set[str]:
    return {word.strip().lower() for word in words}


def _scalar(value: Any) -> Any:
    """Of a list the first; truth values as their words."""
    if isinstance(value, list):
        value = value[0] if value else None
    return str(value).lower() if isinstance(value, bool) else value


def _status_word(value: Any) -> str:
    return text(_scalar(value), MAX_LABEL)


def _labels(value: Any) -> dict[str, str]:
    """{"host": "db1"}, ["host:db1", "prod"] or [{"key": "host", "value": "db1"}]."""
    if isinstance(value, dict):
        return {key: found[:MAX_LABEL] for key, found in strings(value).items()}
    labels: dict[str, str] = {}
    for item in value[:MOST_LABELS] if isinstance(value, list) else ():
        if isinstance(item, str):
            name, colon, rest = item.partition(":")
            labels[name[:MAX_LABEL]] = rest[:MAX_LABEL] if colon else "true"
        elif isinstance(item, dict):
            found = {_plain(key): given for key, given in strings(item).items()}
            name = found.get("key") or found.get("name") or ""
            if name:
                labels[name[:MAX_LABEL]] = found.get("value", "")[:MAX_LABEL]
    return labels


def _any_text(part: Any) -> str:
    """The first text of a payload that has a blank in it, else the first text."""
    first, waiting = "", [part]
    for _ in range(MOST_LOOKED_AT):
        if not waiting:
            break
        value = waiting.pop(0)
        if isinstance(value, dict):
            waiting += list(value.values())[:MOST_LOOKED_AT]
        elif isinstance(value, list):
            waiting += value[:MOST_LOOKED_AT]
        elif isinstance(value, str) and (found := text(value, MAX_TITLE)):
            if " " in found:
                return found
            first = first or found
    return first
