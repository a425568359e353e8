"""The pages of merging."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods

from . import merging, queries
from .actions import act, incident_for, incident_to_change, posted
from .forms import MergeForm
from .timeline import Actor

MOST_OFFERED = 8


@login_required
@require_http_methods(["GET", "POST"])
def merge(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks into which, as a page or in a dialog, and looks for what `q` says; POST merges."""
    incident = incident_to_change(request, number)
    form = MergeForm(posted(request), user=request.user)
    if form.is_valid():
        target = form.target

        def action(*, incident_id: UUID, actor: Actor) -> Any:
            return merging.merge(source_ids=[incident_id], target_id=target.pk, actor=actor)

        return act(request, number, action, done=f"#{number} merged into #{target.number}")
    text = (request.POST if form.is_bound else request.GET).get("q", "").strip()
    offered = list(queries.merge_targets(request.user, incident, text)[: MOST_OFFERED + 1])
    return render(
        request,
        "incidents/_merge.html" if request.htmx else "incidents/merge.html",
        {
            "incident": incident,
            "form": form,
            "text": text,
            "offered": offered[:MOST_OFFERED],
            "has_more": len(offered) > MOST_OFFERED,
        },
        status=422 if form.errors else 200,
    )


@login_required
@require_GET
def merged(request: HttpRequest, number: int) -> HttpResponse:
    """What was merged into an incident; nothing at all where that is nothing."""
    incident = incident_for(request, number)
    found = queries.merged_visible_to(request.user, incident)
    return render(request, "incidents/_merged.html", {"incident": incident, "merged": found})
