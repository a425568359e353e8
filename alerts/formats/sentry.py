"""Sentry: the webhooks of its integration platform, and those of the older “WebHooks” plugin.

docs.sentry.io, Integration Platform → Webhooks (issues, issue alerts, metric alerts); the plugin:
getsentry/sentry, src/sentry/plugins/sentry_webhooks/plugin.py.

An issue is one problem, whichever of its webhooks tells of it, so that its resolution finds the alert that an
alert rule opened. Archiving an issue resolves it too: Sentry has been told not to speak of it.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import Answer, Request
from .reading import first_text, inner, key_of, read_or_fault, severity_of, strings, text
from .signing import demand, hmac_sha256

if TYPE_CHECKING:
    from alerts.models import Integration

ISSUE_STATUSES = {
    "created": EventStatus.FIRING,
    "unresolved": EventStatus.FIRING,
    "resolved": EventStatus.RESOLVED,
    "archived": EventStatus.RESOLVED,
    "ignored": EventStatus.RESOLVED,  # what “archived” was called
}
LEVELS = {"debug": Severity.LOW, "sample": Severity.LOW}
METRIC_SEVERITIES = {"critical": Severity.CRITICAL, "warning": Severity.MEDIUM}
# Parts of an event that run to hundreds of kilobytes or hold what users sent; Sentry shows them, a click away.
BULKY = frozenset(
    {
        "_meta",
        "_metrics",
        "breadcrumbs",
        "debug_meta",
        "exception",
        "grouping_config",
        "modules",
        "request",
        "sdk",
        "sentry.interfaces.Http",
        "stacktrace",
        "threads",
    }
)
PROJECT_IN_ADDRESS = re.compile(r"/projects/[^/]+/([^/]+)/")


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """With a secret, the signature must be the integration platform's; its notes of being installed end here."""
    if integration.secret:
        expected = hmac_sha256(integration.secret, request.body)
        demand(request.headers.get("sentry-hook-signature", ""), expected)
    return Answer(200, {}) if request.headers.get("sentry-hook-resource") == "installation" else None


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """At most one event; none for webhooks that tell of no problem. Raises MalformedPayload."""
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not a webhook of Sentry: a JSON object is wanted.")
    data = inner(payload, "data")
    if "metric_alert" in data:
        return [read_or_fault(payload, _metric_alert)]
    if "issue" in data:
        status = ISSUE_STATUSES.get(text(payload.get("action"), 32))
        return [read_or_fault(payload, lambda whole: _issue(whole, status))] if status else []
    if "event" in data or "error" in data:
        return [read_or_fault(payload, _event)]
    if "data" not in payload and "event" in payload:
        return [read_or_fault(payload, _plugin)]
    return []


def _issue(payload: dict[str, Any], status: EventStatus) -> AlertEvent:
    issue = inner(payload, "data", "issue")
    project = first_text(MAX_SOURCE, inner(issue, "project").get("slug"))
    return AlertEvent(
        dedup_key=_issue_key(issue.get("id")),
        status=status,
        title=_title(issue),
        severity=_severity(issue),
        name=_title(issue),
        source=project,
        labels=_told(project=project, level=issue.get("level")),
        metadata=_metadata(
            payload, url=issue.get("web_url") or issue.get("permalink"), description=issue.get("culprit")
        ),
    )


def _event(payload: dict[str, Any]) -> AlertEvent:
    """An alert rule was triggered by an event (event_alert), or an error came in (error)."""
    event = inner(payload, "data", "event") or inner(payload, "data", "error")
    found = PROJECT_IN_ADDRESS.search(text(event.get("url"), 2_000))
    project = found[1][:MAX_SOURCE] if found else ""
    return AlertEvent(
        dedup_key=_issue_key(event.get("issue_id")),
        status=EventStatus.FIRING,
        title=_title(event),
        severity=_severity(event),
        name=_title(event),
        source=project,
        labels=_labels(event, project),
        metadata=_metadata(payload, url=event.get("web_url"), description=event.get("culprit")),
    )


def _plugin(payload: dict[str, Any]) -> AlertEvent:
    event = inner(payload, "event")
    project = first_text(MAX_SOURCE, payload.get("project_slug"), payload.get("project"))
    title = first_text(MAX_TITLE, event.get("title"), payload.get("message"), payload.get("culprit"))
    return AlertEvent(
        dedup_key=_issue_key(payload.get("id")),
        status=EventStatus.FIRING,
        title=title or "Sentry issue",
        severity=_severity(payload),
        name=title or "Sentry issue",
        source=project,
        labels=_labels(event, project),
        metadata={**payload, "event": _slim(event), "description": text(payload.get("culprit"), MAX_TITLE)},
    )


def _metric_alert(payload: dict[str, Any]) -> AlertEvent:
    data = inner(payload, "data")
    alert = inner(data, "metric_alert")
    rule = inner(alert, "alert_rule")
    action = text(payload.get("action"), 32)
    projects = alert.get("projects")
    project = ", ".join(map(str, projects)) if isinstance(projects, list) else ""
    number = first_text(MAX_DEDUP_KEY, alert.get("id"), rule.get("id"))
    if not number:
        raise InvalidEvent("required", "A metric alert has an id.", field="data.metric_alert.id")
    title = first_text(MAX_TITLE, data.get("description_title"), rule.get("name"), alert.get("title"))
    return AlertEvent(
        dedup_key=key_of("metric", number),
        status=EventStatus.RESOLVED if action == "resolved" else EventStatus.FIRING,
        title=title or "Sentry metric alert",
        severity=METRIC_SEVERITIES.get(action, Severity.HIGH),
        name=first_text(MAX_TITLE, rule.get("name"), title) or "Sentry metric alert",
        source=text(project, MAX_SOURCE),
        labels=_told(project=project, environment=rule.get("environment")),
        metadata=_metadata(payload, url=data.get("web_url"), description=data.get("description_text")),
    )


def _issue_key(number: Any) -> str:
    given = text(number, MAX_DEDUP_KEY)
    if not given:
        raise InvalidEvent("required", "The id of the issue is missing.", field="id")
    return key_of("issue", given)


def _title(thing: dict[str, Any]) -> str:
    return (
        first_text(MAX_TITLE, thing.get("title"), thing.get("message"), thing.get("culprit"))
        or "Sentry issue"
    )


def _severity(thing: dict[str, Any]) -> Severity:
    level = text(thing.get("level"), 32).lower()
    return LEVELS.get(level) or severity_of(level)


def _labels(event: dict[str, Any], project: str) -> dict[str, str]:
    """The event's tags, which are pairs, and its project."""
    tags = event.get("tags")
    pairs = [tag for tag in tags if isinstance(tag, list) and len(tag) == 2] if isinstance(tags, list) else []
    found = strings({key: value for key, value in pairs if isinstance(key, str)})
    return {**_told(project=project), **found}


def _told(**labels: Any) -> dict[str, str]:
    return {name: value for name, value in strings(labels).items() if value}


def _metadata(payload: dict[str, Any], *, url: Any, description: Any) -> dict[str, Any]:
    """All that was sent, without what is bulky; where to look and what it says at its top."""
    data = {
        key: _slim(value) if key in ("event", "error") and isinstance(value, dict) else value
        for key, value in payload["data"].items()
    }
    told = {"url": text(url, 2_000), "description": text(description, 5_000)}
    return {**{key: value for key, value in payload.items() if key != "data"}, **data, **told}


def _slim(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in BULKY}
