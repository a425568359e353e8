"""What outgoing webhooks say: JSON for programs, and a line for a chat."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from django.conf import settings

from incidents.enums import Kind
from incidents.models import Incident
from incidents.timeline import Actor, entry, sentence

from .enums import WebhookEvent, WebhookFormat
from .models import Webhook
from .plain import one_line
from .transports import slack, teams

KINDS: dict[WebhookEvent, Kind] = {
    WebhookEvent.OPENED: Kind.OPENED,
    WebhookEvent.ACKNOWLEDGED: Kind.ACKNOWLEDGED,
    WebhookEvent.UNACKNOWLEDGED: Kind.UNACKNOWLEDGED,
    WebhookEvent.WOKEN: Kind.WOKEN,
    WebhookEvent.RESOLVED: Kind.RESOLVED,
    WebhookEvent.REOPENED: Kind.REOPENED,
}


def of_incident(
    event: WebhookEvent, incident: Incident, *, actor: Actor, at: datetime, target: Incident | None = None
) -> dict[str, Any]:
    """The event as programs get it; docs/paging.md describes it."""
    return {
        "type": event.value,
        "timestamp": _instant(at),
        "data": {
            "incident": {
                "id": str(incident.pk),
                "number": incident.number,
                "title": incident.title,
                "status": incident.status,
                "severity": incident.severity,
                "service": {"id": str(incident.service_id), "name": incident.service.name},
                "team": {"id": str(incident.service.team_id), "name": incident.service.team.name},
                "opened_at": _instant(incident.opened_at),
                "acknowledged_at": _instant(incident.acknowledged_at),
                "snoozed_until": _instant(incident.snoozed_until),
                "resolved_at": _instant(incident.resolved_at),
                "merged_into": target.number if target else None,
                "url": urljoin(settings.SITE_URL, incident.get_absolute_url()),
            },
            "actor": {"kind": actor.kind, "name": actor.name, "via": actor.via},
            "summary": _summary(event, incident, actor, target),
        },
    }


def of_test(webhook: Webhook, *, at: datetime) -> dict[str, Any]:
    summary = f"A test of the webhook “{webhook.name}”"
    return {"type": WebhookEvent.TEST.value, "timestamp": _instant(at), "data": {"summary": summary}}


def in_format(format: str, body: dict[str, Any]) -> dict[str, Any]:
    """The event as it is posted."""
    if format == WebhookFormat.OPENALERT:
        return body
    data = body["data"]
    incident = data.get("incident")
    summary = one_line(data["summary"])
    title = one_line(f"#{incident['number']} {incident['title']}") if incident else ""
    if format == WebhookFormat.SLACK:
        text = slack.escaped(summary)
        link = f"\n<{incident['url']}|{slack.escaped(title)[:1000].replace('|', '¦')}>" if incident else ""
        return {"text": text + link}
    lines = [teams.text(summary, weight="Bolder")]
    if incident:
        lines.append(teams.text(f"{title} ({incident['service']['name']}, {incident['severity']})"))
    return teams.envelope(lines, [("Open", incident["url"])] if incident else [])


def _summary(event: WebhookEvent, incident: Incident, actor: Actor, target: Incident | None) -> str:
    """“Ana Ruiz acknowledged”."""
    if event in KINDS:
        return sentence(entry(incident, KINDS[event], actor=actor))
    who = actor.name or "Somebody"
    if event == WebhookEvent.SNOOZED and incident.snoozed_until:
        return f"{who} snoozed it until {incident.snoozed_until.astimezone(UTC):%-d %b %H:%M} UTC"
    if event == WebhookEvent.SEVERITY_CHANGED:
        return f"{who} changed the severity to {incident.get_severity_display().lower()}"
    return f"{who} merged it into #{target.number}" if target else f"{who}: {event.label}"


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
