"""What the alerts app shows on the pages of others."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.decorators import login_required
from django.db.models import Case, Value, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from incidents.actions import incident_for

from .enums import AlertStatus
from .models import Alert

MOST_SHOWN = 50
# Where monitoring systems put addresses that a responder wants: (key of the metadata, what to call it).
LINKS = (
    ("runbook", "Runbook"),
    ("runbook_url", "Runbook"),
    ("dashboard", "Dashboard"),
    ("dashboardURL", "Dashboard"),
    ("panelURL", "Panel"),
    ("generatorURL", "Graph"),
    ("externalURL", "Alertmanager"),
    ("link", "Link"),
    ("url", "Link"),
)


@login_required
@require_GET
def incident_alerts(request: HttpRequest, number: int) -> HttpResponse:
    """The alerts of an incident, firing ones first."""
    incident = incident_for(request, number)
    firing_first = Case(When(status=AlertStatus.FIRING, then=Value(0)), default=Value(1))
    alerts = list(
        Alert.objects.filter(incident=incident)
        .select_related("integration")
        .order_by(firing_first, "-last_fired_at")[: MOST_SHOWN + 1]
    )
    shown = alerts[:MOST_SHOWN]
    return render(
        request,
        "alerts/_incident_alerts.html",
        {
            "alerts": [(alert, links_of(alert)) for alert in shown],
            "is_cut": len(alerts) > MOST_SHOWN,
            "most": MOST_SHOWN,
        },
    )


def links_of(alert: Alert) -> dict[str, str]:
    """Addresses in the alert's metadata and annotations, by what to call them; only http and https."""
    annotations = alert.metadata.get("annotations")
    places: list[dict[str, Any]] = [alert.metadata, annotations if isinstance(annotations, dict) else {}]
    found: dict[str, str] = {}
    for place in places:
        for key, name in LINKS:
            value = place.get(key)
            if isinstance(value, str) and is_web_address(value):
                found.setdefault(name, value)
    return found


def is_web_address(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.netloc)
