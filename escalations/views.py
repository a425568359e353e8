"""What the escalations app shows on the incident's page, and its two actions."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from incidents.actions import Question, act, ask, incident_for, incident_to_change, posted
from teams.access import can_respond

from . import engine
from .forms import ReassignForm
from .snapshot import REASSIGNED_DELAY_SECONDS


@login_required
@require_GET
def incident_escalation(request: HttpRequest, number: int) -> HttpResponse:
    """Who will be next, and when."""
    incident = incident_for(request, number)
    upcoming = engine.upcoming(incident)
    return render(
        request,
        "escalations/_incident_escalation.html",
        {
            "incident": incident,
            "may_respond": can_respond(request.user, incident.service.team),
            "next": upcoming[0] if upcoming else None,
            "later": upcoming[1:],
            "run": incident.escalation_runs.newest_first().first(),
        },
    )


@login_required
@require_POST
def escalate(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, engine.escalate_now, done=f"#{number} escalated")


@login_required
@require_http_methods(["GET", "POST"])
def reassign(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks to whom."""
    incident = incident_to_change(request, number)
    form = ReassignForm(posted(request), incident=incident)
    if not form.is_valid():
        explanation = (
            "A person is paged at once, and the service's policy goes on if they do not answer within "
            f"{REASSIGNED_DELAY_SECONDS // 60} minutes. A policy starts with its first step."
        )
        return ask(request, incident, Question(f"Reassign #{number}", explanation, form, submit="Reassign"))
    target = form.target
    done = f"#{number} is now with {target['user'] or target['policy']}"
    return act(request, number, engine.reassign, done=done, **target)
