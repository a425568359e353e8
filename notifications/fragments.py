"""What the notifications app shows on the incident's page."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from incidents.actions import incident_for

from .models import Notification

MOST_SHOWN = 30


@login_required
@require_GET
def incident_pages(request: HttpRequest, number: int) -> HttpResponse:
    """Who has been paged about an incident, how, and what became of it; newest first."""
    incident = incident_for(request, number)
    pages = Notification.objects.filter(incident=incident).select_related("user").order_by("-due_at", "-pk")
    found = list(pages[: MOST_SHOWN + 1])
    return render(
        request,
        "notifications/_incident_pages.html",
        {"pages": found[:MOST_SHOWN], "most": MOST_SHOWN if len(found) > MOST_SHOWN else None},
    )
