"""What the alerts app shows on an incident's page."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from incidents.actions import incident_for
from incidents.models import Incident
from teams.access import teams_to_respond_for

from . import upstream
from .activity import activity_of
from .counts import counts_of
from .edits import additions_of, labels_of, tags_of
from .enums import AlertStatus, Source
from .formats.reading import is_web_address
from .images import images_of
from .models import Alert

MOST_SHOWN = 50
# Where monitoring systems put addresses that a responder wants: (key of the metadata, what to call it).
LINKS = (
    ("runbook", "Runbook"),
    ("runbook_url", "Runbook"),
    ("dashboard", "Dashboard"),
    ("dashboardURL", "Dashboard"),
    ("dashboard_url", "Dashboard"),
    ("panelURL", "Panel"),
    ("generatorURL", "Graph"),
    ("externalURL", "Alertmanager"),
    ("link", "Link"),
    ("url", "Link"),
)
DESCRIPTIONS = ("description", "message", "details")


@login_required
@require_GET
def incident_alerts(request: HttpRequest, number: int) -> HttpResponse:
    """The alerts of an incident, firing ones first."""
    incident = incident_for(request, number)
    shown = _newest(incident)
    return render(
        request,
        "alerts/_incident_alerts.html",
        {
            "alerts": [
                (
                    alert,
                    description_of(alert),
                    links_of(alert),
                    labels_of(alert),
                    tags_shown(alert),
                    images_of(alert),
                )
                for alert in shown
            ],
            "counts": counts_of([incident.pk])[incident.pk],
            "most": MOST_SHOWN,
            "incident": incident,
            "activity": activity_of(incident),
            "downstream": _downstream(incident, shown),
        },
    )


def _newest(incident: Incident) -> list[Alert]:
    """The newest that fire, then the newest of the others: each comes from an end of the index."""
    alerts = Alert.objects.filter(incident=incident).select_related("integration__service", "additions")
    shown: list[Alert] = []
    for status in (AlertStatus.FIRING, AlertStatus.RESOLVED):
        shown += alerts.filter(status=status).order_by("-pk")[: MOST_SHOWN - len(shown)]
    return shown


def _downstream(incident: Incident, shown: Iterable[Alert]) -> set[UUID]:
    """The services downstream of the incident's, when alerts of other services are shown."""
    foreign = any(alert.integration.service_id != incident.service_id for alert in shown)
    return upstream.downstream_of(incident.service_id) if foreign else set()


@login_required
@require_GET
def incident_related(request: HttpRequest, number: int) -> HttpResponse:
    """Incidents of services up and down the dependencies, to merge with; nothing at all where there are none."""
    incident = incident_for(request, number)
    mine = set(teams_to_respond_for(request.user))
    return render(
        request,
        "alerts/_incident_related.html",
        {
            "incident": incident,
            "suggestions": [
                (other, is_upstream, {other.service.team, incident.service.team} <= mine)
                for other, is_upstream in upstream.suggestions(incident, user=request.user)
            ],
        },
    )


def _places(alert: Alert) -> list[dict[str, Any]]:
    """Where in an alert's metadata people write what responders want: the top, and Prometheus' annotations."""
    annotations = alert.metadata.get("annotations")
    return [alert.metadata, annotations] if isinstance(annotations, dict) else [alert.metadata]


def description_of(alert: Alert) -> str:
    """What the metadata says about the problem beyond the alert's title; empty when that is nothing."""
    texts = (place.get(key) for place in _places(alert) for key in DESCRIPTIONS)
    return next((text for text in texts if isinstance(text, str) and text and text != alert.title), "")


def tags_shown(alert: Alert) -> list[str]:
    """Its tags beside its labels: our own format makes labels of the tags that are sent."""
    return additions_of(alert).tags if alert.integration.source == Source.OPENALERT else tags_of(alert)


def links_of(alert: Alert) -> dict[str, str]:
    """Addresses in the metadata, by what to call them."""
    found: dict[str, str] = {}
    for place in _places(alert):
        for key, name in LINKS:
            value = place.get(key)
            if isinstance(value, str) and is_web_address(value):
                found.setdefault(name, value)
    return found
