"""What the escalations app shows on the incident's page, and its two actions."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from incidents.actions import act, incident_for, wrong

from . import engine
from .forms import ReassignForm


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
            "next": upcoming[0] if upcoming else None,
            "later": upcoming[1:],
            "run": incident.escalation_runs.order_by("-created_at").first(),
        },
    )


@login_required
@require_POST
def escalate(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, engine.escalate_now, done=f"#{number} escalated")


@login_required
@require_http_methods(["GET", "POST"])
def reassign(request: HttpRequest, number: int) -> HttpResponse:
    """GET gives the form, as a page or for a dialog; POST reassigns."""
    incident = incident_for(request, number)
    if request.method == "GET":
        template = "escalations/_reassign.html" if request.htmx else "escalations/reassign.html"
        return render(request, template, {"incident": incident, "form": ReassignForm(incident=incident)})
    form = ReassignForm(request.POST, incident=incident)
    if not form.is_valid():
        return wrong(request, number, form)
    given = form.cleaned_data
    done = f"#{number} is {given['user'] or given['policy']}'s now"
    return act(request, number, engine.reassign, done=done, user=given["user"], policy=given["policy"])
