"""What the alerts app shows of changes: on their service's page, and on the page of an incident that came after them."""

from typing import NamedTuple
from urllib.parse import urlsplit
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
from .models.change import ChangeQuerySet

MOST_OF_SERVICE = 10
MOST_OF_INCIDENT = 5
MOST_DETAILS = 8
MOST_LINKS = 5


class Shown(NamedTuple):
    """A change in a list: its links by what to call them, and where it stands beside an incident's beginning."""

    change: Change
    links: list[tuple[str, str]]
    details: dict[str, str]
    when: str = ""


@login_required
@require_GET
def service_changes(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The last changes of a service; a hidden section where there are none."""
    service = get_object_or_404(Service.objects.visible_to(request.user), pk=pk)
    shown = _shown(changes_of(service), most=MOST_OF_SERVICE)
    return render(request, "alerts/_service_changes.html", {"service": service, **shown})


@login_required
@require_GET
def incident_changes(request: HttpRequest, number: int) -> HttpResponse:
    """What was done to an incident's service lately; a hidden section when that is nothing."""
    incident = incident_for(request, number)
    shown = _shown(changes_around(incident), most=MOST_OF_INCIDENT, incident=incident)
    return render(request, "alerts/_incident_changes.html", {"incident": incident, **shown})


def _shown(found: ChangeQuerySet, *, most: int, incident: Incident | None = None) -> dict[str, object]:
    changes = list(found.select_related("integration")[: most + 1])
    rows = [
        Shown(
            change,
            [(_name(link), link["href"]) for link in change.links[:MOST_LINKS]],
            dict(list(strings(change.custom_details).items())[:MOST_DETAILS]),
            _when(change, incident) if incident else "",
        )
        for change in changes[:most]
    ]
    return {"changes": rows, "most": most, "has_more": len(changes) > most}


def _name(link: dict[str, str]) -> str:
    """What a link is called: without a text, by its host."""
    return link["text"] or urlsplit(link["href"]).hostname or link["href"]


def _when(change: Change, incident: Incident) -> str:
    span = incident.opened_at - change.at
    return f"{span_in_words(abs(span))} {'before' if span.total_seconds() >= 0 else 'after'} it opened"


urlpatterns = [
    path("services/<uuid:pk>/changes/", service_changes, name="service-changes"),
    path("incidents/<int:number>/changes/", incident_changes, name="incident-changes"),
]
