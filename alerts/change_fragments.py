"""What the alerts app shows of changes: on their service's page, and on the page of an incident that came after them."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.decorators.http import require_GET

from incidents.actions import incident_for
from incidents.models import Incident
from openalert.words import span_in_words
from teams.models import Service

from .changes import changes_around, changes_of
from .formats.reading import strings
from .models import Change

MOST_SHOWN = 10
MOST_DETAILS = 8
MOST_LINKS = 5


class Shown(NamedTuple):
    """A change in a list; `when` is where it stands beside an incident's beginning, in words."""

    change: Change
    links: list[dict[str, str]]
    details: dict[str, str]
    when: str = ""


@login_required
@require_GET
def service_changes(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The last changes of a service; a hidden section where there are none."""
    service = get_object_or_404(Service.objects.visible_to(request.user), pk=pk)
    found = changes_of(service).select_related("integration")[: MOST_SHOWN + 1]
    return render(request, "alerts/_service_changes.html", {"service": service, **_shown(found)})


@login_required
@require_GET
def incident_changes(request: HttpRequest, number: int) -> HttpResponse:
    """What was done to an incident's service lately; a hidden section when that is nothing."""
    incident = incident_for(request, number)
    found = changes_around(incident).select_related("integration")[: MOST_SHOWN + 1]
    return render(
        request, "alerts/_incident_changes.html", {"incident": incident, **_shown(found, incident=incident)}
    )


def _shown(found: Iterable[Change], *, incident: Incident | None = None) -> dict[str, object]:
    changes = list(found)
    rows = [
        Shown(
            change,
            change.links[:MOST_LINKS],
            dict(list(strings(change.custom_details).items())[:MOST_DETAILS]),
            _when(change, incident) if incident else "",
        )
        for change in changes[:MOST_SHOWN]
    ]
    return {"changes": rows, "most": MOST_SHOWN, "has_more": len(changes) > MOST_SHOWN}


def _when(change: Change, incident: Incident) -> str:
    span = incident.opened_at - change.at
    return f"{span_in_words(abs(span))} {'before' if span.total_seconds() >= 0 else 'after'} it opened"


urlpatterns = [
    path("services/<uuid:pk>/changes/", service_changes, name="service-changes"),
    path("incidents/<int:number>/changes/", incident_changes, name="incident-changes"),
]
