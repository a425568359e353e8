"""The pages of incidents."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from teams.access import can_respond, require_respond

from . import lifecycle, queries
from .actions import act, incident_for, wrong
from .enums import Severity, Status
from .forms import FilterForm, NoteForm, OpenForm, SeverityForm, SnoozeForm
from .models import Incident
from .timeline import Actor

PAGE_SIZE = 50
TIMELINE_SIZE = 200


@login_required
@require_GET
def incident_list(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET, user=request.user)
    wanted = form.filter()
    page = Paginator(queries.incidents_for_list(request.user, wanted), PAGE_SIZE).get_page(request.GET.get("page"))
    counts = queries.counts_by_status(request.user)
    return render(
        request,
        "incidents/list.html",
        {
            "form": form,
            "wanted": wanted,
            "page": page,
            "counts": counts,
            "tabs": [
                ("unresolved", "Unresolved", counts["unresolved"]),
                (Status.OPEN, "Open", counts[Status.OPEN]),
                (Status.ACKNOWLEDGED, "Acknowledged", counts[Status.ACKNOWLEDGED]),
                (Status.SNOOZED, "Snoozed", counts[Status.SNOOZED]),
                (Status.RESOLVED, "Resolved", None),
                ("all", "All", None),
            ],
            "severities": Severity,
            "is_filtered": any(request.GET.get(name) for name in form.fields if name != "state"),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def open_incident(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        form = OpenForm(request.POST, user=request.user)
        if form.is_valid():
            given = form.cleaned_data
            require_respond(request.user, given["service"].team)
            incident = lifecycle.open_by_hand(
                service=given["service"],
                title=given["title"],
                severity=Severity(given["severity"]),
                actor=Actor.person(request.user, via="web"),
                note=given["note"],
            )
            return redirect(Incident.objects.get(pk=incident.pk))
    else:
        form = OpenForm(user=request.user, initial=request.GET.dict())
    return render(request, "incidents/new.html", {"form": form}, status=422 if form.errors else 200)


def _shown(request: HttpRequest, number: int) -> dict[str, Any]:
    incident = incident_for(request, number)
    return {
        "incident": incident,
        "may_respond": can_respond(request.user, incident.service.team),
        "severities": Severity,
        "snoozes": [(15, "15 minutes"), (60, "1 hour"), (240, "4 hours")],
    }


def _told(request: HttpRequest, number: int) -> dict[str, Any]:
    shown = _shown(request, number)
    entries = list(shown["incident"].timeline.order_by("-pk")[: TIMELINE_SIZE + 1])
    is_cut = len(entries) > TIMELINE_SIZE
    return {**shown, "entries": entries[:TIMELINE_SIZE], "is_cut": is_cut, "note_form": NoteForm()}


@login_required
@require_GET
def incident_page(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "incidents/incident.html", _told(request, number))


@login_required
@require_GET
def header(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "incidents/_header.html", _shown(request, number))


@login_required
@require_GET
def timeline_entries(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "incidents/_timeline.html", _told(request, number))


@login_required
@require_POST
def acknowledge(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, lifecycle.acknowledge, done=f"#{number} acknowledged")


@login_required
@require_POST
def unacknowledge(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, lifecycle.unacknowledge, done=f"#{number} is open again")


@login_required
@require_POST
def resolve(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, lifecycle.resolve, done=f"#{number} resolved")


@login_required
@require_POST
def reopen(request: HttpRequest, number: int) -> HttpResponse:
    return act(request, number, lifecycle.reopen, done=f"#{number} reopened")


@login_required
@require_POST
def snooze(request: HttpRequest, number: int) -> HttpResponse:
    form = SnoozeForm(request.POST)
    if not form.is_valid():
        return wrong(request, number, form)
    return act(request, number, lifecycle.snooze, done=f"#{number} snoozed", until=form.end)


@login_required
@require_POST
def change_severity(request: HttpRequest, number: int) -> HttpResponse:
    form = SeverityForm(request.POST)
    if not form.is_valid():
        return wrong(request, number, form)
    severity = Severity(form.cleaned_data["severity"])
    done = f"#{number} is {severity.label.lower()} now"
    return act(request, number, lifecycle.change_severity, done=done, severity=severity)


@login_required
@require_POST
def add_note(request: HttpRequest, number: int) -> HttpResponse:
    form = NoteForm(request.POST)
    if not form.is_valid():
        return wrong(request, number, form)
    return act(request, number, lifecycle.add_note, done="Note added", text=form.cleaned_data["text"])
