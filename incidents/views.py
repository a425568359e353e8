"""The pages of incidents."""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.exceptions import OpenAlertError
from teams.access import can_respond, teams_to_respond_for

from . import lifecycle, once, parts, queries, roles, search, similar, timeline
from .actions import Question, act, ask, incident_for, incident_to_change, posted, refuse, told, wrong
from .enums import Severity, Status
from .forms import SNOOZES, FilterForm, NoteForm, OpenForm, SeverityForm, SnoozeForm, SummaryForm, query_of
from .models import Incident, Postmortem, SavedFilter
from .response_views import links_context, tasks_context
from .timeline import Actor
from .update_views import updates_context

PAGE_SIZE = 50
# How much of a long timeline is shown, and shown more of at a time.
TIMELINE_SIZE = 100
MOST_ENTRIES = 5000
FIRST_ALERT = f"""curl -X POST {settings.SITE_URL}/api/v1/alerts \\
  -H 'Authorization: Bearer INTEGRATION_KEY' \\
  -d '{{"title": "Checkout is down", "severity": "critical"}}'"""


@login_required
@require_GET
def incident_list(request: HttpRequest) -> HttpResponse:
    form = FilterForm(request.GET, user=request.user)
    wanted = form.filter()
    found = queries.incidents_for_list(request.user, wanted)
    counts = queries.counts_of(request.user, wanted)
    paginator = Paginator(found.values_list("pk", flat=True), PAGE_SIZE)
    if (count := counts.of_state(wanted.state)) is not None:
        paginator.count = count  # counted already
    page = paginator.get_page(request.GET.get("page"))
    page.object_list = queries.rows_of(list(page))
    notes = parts.notes_for(page)
    my_teams = set(teams_to_respond_for(request.user))
    tabs = [
        (queries.UNRESOLVED, "Unresolved", counts.unresolved),
        *((status, status.label, counts.by_status[status]) for status in queries.UNRESOLVED_STATUSES),
        (Status.RESOLVED, "Resolved", None),
        (queries.ALL, "All", None),
    ]
    query = query_of(form)
    return render(
        request,
        "incidents/list.html",
        {
            "form": form,
            # By their iterators: of the choices themselves, a list or a loop first asks the database how many they are.
            "teams": list(iter(form.fields["team"].choices)),
            "services": list(iter(form.fields["service"].choices)),
            "wanted": wanted,
            "page": page,
            "rows": [
                (incident, notes[incident.pk], not incident.is_resolved and incident.service.team in my_teams)
                for incident in page
            ],
            "tabs": tabs,
            "by_severity": [
                (severity, count, severity in wanted.severities)
                for severity, count in counts.by_severity.items()
                if count or severity in wanted.severities
            ],
            "saved": [
                (saved, saved.query == query)
                for saved in SavedFilter.objects.visible_to(request.user).select_related("user", "team")
            ],
            "query": query,
            "is_cut": bool(wanted.text) and len(wanted.found) == search.MOST_FOUND,
            "most_found": search.MOST_FOUND,
            "snoozes": SNOOZES,
            "severities": Severity,
            "my_teams": my_teams,
            "first_alert": FIRST_ALERT,
            "is_filtered": any(request.GET.get(name) for name in form.fields if name != "state"),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def open_incident(request: HttpRequest) -> HttpResponse:
    if not teams_to_respond_for(request.user).exists():
        raise PermissionDenied
    form = OpenForm(posted(request), user=request.user, initial=request.GET.dict())
    if form.is_valid():
        given = form.cleaned_data
        incident = lifecycle.open_by_hand(
            service=given["service"],
            title=given["title"],
            severity=Severity(given["severity"]),
            actor=Actor.person(request.user, via="web"),
            note=given["note"],
        )
        return redirect(incident)
    return render(request, "incidents/new.html", {"form": form}, status=422 if form.errors else 200)


@login_required
@require_GET
def incident_page(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_for(request, number)
    return render(request, "incidents/incident.html", _page(request, incident))


@login_required
@require_GET
def header(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "incidents/_header.html", _header(request, incident_for(request, number)))


@login_required
@require_GET
def timeline_entries(request: HttpRequest, number: int) -> HttpResponse:
    return render(request, "incidents/_timeline.html", _story(request, incident_for(request, number)))


@login_required
@require_GET
def similar_incidents(request: HttpRequest, number: int) -> HttpResponse:
    """Past incidents like this one; nothing at all where there are none."""
    incident = incident_for(request, number)
    found = similar.similar_to(incident, user=request.user)
    return render(request, "incidents/_similar.html", {"incident": incident, "similar": found})


def _header(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    return {
        "incident": incident,
        "may_respond": can_respond(request.user, incident.service.team),
        "severities": Severity,
        "snoozes": SNOOZES,
        "roles": roles.roles_of(incident),
        "postmortem": Postmortem.objects.filter(incident=incident).only("state").first(),
    }


def _story(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    """The newest entries of the timeline, as many as the address asks for."""
    asked = request.GET.get("entries", "")
    size = min(int(asked), MOST_ENTRIES) if asked.isdecimal() and len(asked) < 6 else TIMELINE_SIZE
    entries = list(incident.timeline.order_by("-pk")[: size + 1])
    more = size + TIMELINE_SIZE if len(entries) > size and size < MOST_ENTRIES else None
    return {"incident": incident, "lines": timeline.lines(entries[:size]), "size": size, "more": more}


def _page(request: HttpRequest, incident: Incident) -> dict[str, Any]:
    merged = queries.merged_visible_to(request.user, incident)
    header = _header(request, incident)
    may_respond = header["may_respond"]
    return {
        **tasks_context(request, incident, may_respond),
        **links_context(request, incident, may_respond),
        **updates_context(request, incident, may_respond),
        **_story(request, incident),
        **header,
        "merged": merged,
        "note_form": NoteForm(),
    }


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
@require_http_methods(["GET", "POST"])
def snooze(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks until when."""
    incident = incident_to_change(request, number)
    form = SnoozeForm(posted(request))
    if not form.is_valid():
        question = Question(
            f"Snooze #{number}",
            "Nobody is paged until then. After that, paging starts over.",
            form,
            submit="Snooze",
        )
        return ask(request, incident, question)
    return act(request, number, lifecycle.snooze, done=f"#{number} snoozed", until=form.end)


@login_required
@require_http_methods(["GET", "POST"])
def summary(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks for it, with what it is now."""
    incident = incident_to_change(request, number)
    form = SummaryForm(posted(request), initial={"text": incident.summary})
    if not form.is_valid():
        explanation = "It stands above the incident, for everybody who looks at it."
        return ask(request, incident, Question(f"Summary of #{number}", explanation, form, submit="Pin"))
    return act(
        request,
        number,
        lifecycle.set_summary,
        done=f"#{number} has its summary",
        text=form.cleaned_data["text"],
    )


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
    """Answers htmx with the form: empty again, or with what is wrong."""
    incident = incident_to_change(request, number)
    form = NoteForm(request.POST)
    if form.is_valid():
        actor = Actor.person(request.user, via="web")
        note = partial(
            lifecycle.add_note, incident_id=incident.pk, text=form.cleaned_data["text"], actor=actor
        )
        try:
            once.do_once(request.user, once.key_of(request), note)
        except OpenAlertError as failure:
            return refuse(request, incident, failure)
        if not request.htmx:
            return redirect(incident)
        return told(render(request, "incidents/_note.html", {"incident": incident, "note_form": NoteForm()}))
    template = "incidents/_note.html" if request.htmx else "incidents/incident.html"
    return render(request, template, {**_page(request, incident), "note_form": form}, status=422)
