"""What the notifications app shows on the incident's page."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from incidents.actions import incident_for
from teams.models import User

from .models import Notification

MOST_SHOWN = 100


@dataclass
class PagedStep:
    """The pages of one escalation step, by the people who were to get them."""

    loop: int
    step: int
    at: datetime
    people: dict[User, list[Notification]] = field(default_factory=dict)


@login_required
@require_GET
def incident_pages(request: HttpRequest, number: int) -> HttpResponse:
    """Who has been paged about an incident, how, and what became of it; the newest step first."""
    incident = incident_for(request, number)
    newest = Notification.objects.filter(incident=incident).order_by("-created_at", "-pk")
    pages = list(newest.select_related("user").prefetch_related("attempts")[: MOST_SHOWN + 1])
    return render(
        request,
        "notifications/_incident_pages.html",
        {"steps": by_step(pages[:MOST_SHOWN]), "is_cut": len(pages) > MOST_SHOWN},
    )


def by_step(pages: Iterable[Notification]) -> list[PagedStep]:
    """The pages by step and person; the newest step first, people by name."""
    steps: dict[tuple[object, int, int], PagedStep] = {}
    for page in sorted(pages, key=lambda page: (str(page.user), page.channel)):
        key = (page.run_id, page.loop, page.step)
        step = steps.setdefault(key, PagedStep(page.loop, page.step, page.created_at))
        step.people.setdefault(page.user, []).append(page)
    return sorted(steps.values(), key=lambda step: step.at, reverse=True)
