"""What the list of incidents does beyond showing: answers for many at once, and filters that are kept."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods, require_POST

from openalert.answers import failure_as_json
from openalert.exceptions import OpenAlertError
from teams.access import teams_to_respond_for

from . import once, triage
from .actions import told
from .forms import BulkForm, BulkMergeForm, FilterForm, SavedFilterForm, query_of
from .models import Incident, SavedFilter
from .timeline import Actor
from .triage import Outcome

ACTIONS: dict[str, Callable[..., Outcome]] = {"acknowledge": triage.acknowledge, "resolve": triage.resolve}


@login_required
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Acknowledge, resolve or snooze those that are chosen. What cannot be done is told; the rest is done."""
    form = BulkForm(request.POST)
    if not form.is_valid():
        return _refuse(request, _words(form))
    chosen = _chosen(request, form)
    if until := form.snoozed_until:
        return _do(request, chosen, triage.snooze, "snoozed", until=until)
    action = form.cleaned_data["action"]
    return _do(request, chosen, ACTIONS[action], f"{action}d")


@login_required
@require_http_methods(["GET", "POST"])
def bulk_merge(request: HttpRequest) -> HttpResponse:
    """GET asks which of the chosen ones the others go on in; POST merges."""
    chosen = BulkForm(request.POST or request.GET, is_merge=True)
    if not chosen.is_valid():
        return _refuse(request, _words(chosen))
    mine = teams_to_respond_for(request.user)
    incidents = list(
        Incident.objects.unresolved()
        .filter(number__in=chosen.cleaned_data["number"], service__team__in=mine)
        .select_related("service__team")
        .with_severity_rank()
        .order_by("severity_rank", "opened_at")
    )
    if len(incidents) < 2:
        return _refuse(request, "Choose at least two unresolved incidents of your teams.")
    form = BulkMergeForm(request.POST if request.method == "POST" else None, incidents=incidents)
    if form.is_valid():
        into = form.target
        ids = [incident.pk for incident in incidents]
        return _do(request, ids, triage.merge, f"merged into #{into.number}", into=into.pk)
    return render(
        request,
        "incidents/_bulk_merge.html" if request.htmx else "incidents/bulk_merge.html",
        {
            "incidents": incidents,
            "form": form,
            "next": request.POST.get("next") or request.GET.get("next", ""),
        },
        status=HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK,
    )


def _chosen(request: HttpRequest, form: BulkForm) -> list[UUID]:
    """Of those that the person sees; triage says which of them they may not change."""
    incidents = Incident.objects.visible_to(request.user).filter(number__in=form.cleaned_data["number"])
    return list(incidents.values_list("pk", flat=True))


def _do(
    request: HttpRequest, ids: list[UUID], action: Callable[..., Outcome], said: str, **arguments: Any
) -> HttpResponse:
    actor = Actor.person(request.user, via="web")
    outcomes: list[Outcome] = []
    try:
        once.do_once(
            request.user,
            once.key_of(request),
            lambda: outcomes.append(action(ids, actor=actor, **arguments)),
        )
    except OpenAlertError as failure:
        return _refuse(request, failure.detail, failure)
    # Without an outcome it was done before, by a request whose answer was lost.
    outcome = outcomes[0] if outcomes else Outcome()
    count = len(outcome.done) if outcomes else len(ids)
    title = f"{count} {'incident' if count == 1 else 'incidents'} {said}"
    tone = "warning" if outcome.left else "success"
    if request.htmx:
        return told(
            HttpResponse(status=HTTPStatus.NO_CONTENT),
            toast={"title": title, "body": outcome.words, "tone": tone},
            **{"choice-done": {}},
        )
    messages.add_message(
        request, messages.WARNING if outcome.left else messages.SUCCESS, f"{title}. {outcome.words}".strip()
    )
    return redirect(_back(request))


def _refuse(request: HttpRequest, words: str, failure: OpenAlertError | None = None) -> HttpResponse:
    if failure is None:
        failure = OpenAlertError(words)
        failure.code = "invalid"
    if request.htmx:
        return told(failure_as_json(request, failure))
    messages.error(request, words)
    return redirect(_back(request))


def _back(request: HttpRequest) -> str:
    target = request.POST.get("next") or request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if is_ours else reverse("incidents")


def _words(form: Any) -> str:
    return " ".join(message for found in form.errors.values() for message in found)


# Filters


@login_required
@require_http_methods(["GET", "POST"])
def save_filter(request: HttpRequest) -> HttpResponse:
    """GET asks for a name; POST keeps the filter, in the place of the person's own of that name."""
    wanted = FilterForm((request.POST or request.GET), user=request.user)
    wanted.full_clean()
    query = query_of(wanted)
    form = SavedFilterForm(request.POST if request.method == "POST" else None, user=request.user)
    if form.is_valid():
        given = form.cleaned_data
        SavedFilter.objects.filter(user=request.user, name__iexact=given["name"]).delete()
        SavedFilter.objects.create(user=request.user, query=query, name=given["name"], team=given["team"])
        if request.htmx:
            toast = {"title": f"“{given['name']}” is kept", "tone": "success"}
            return told(HttpResponse(status=HTTPStatus.NO_CONTENT), toast=toast)
        return redirect(f"{reverse('incidents')}?{query}")
    return render(
        request,
        "incidents/_save_filter.html" if request.htmx else "incidents/save_filter.html",
        {"form": form, "query": query, "fields": wanted.kept()},
        status=HTTPStatus.UNPROCESSABLE_ENTITY if form.errors else HTTPStatus.OK,
    )


@login_required
@require_POST
def remove_filter(request: HttpRequest, pk: UUID) -> HttpResponse:
    """One's own; what others share is theirs to remove."""
    saved = get_object_or_404(SavedFilter.objects.visible_to(request.user), pk=pk)
    if saved.user_id != request.user.pk:
        raise PermissionDenied(f"“{saved}” is {saved.user}’s: only they can remove it.")
    saved.delete()
    if request.htmx:
        toast = {"title": f"“{saved}” is removed", "tone": "success"}
        return told(HttpResponse(status=HTTPStatus.NO_CONTENT), toast=toast)
    return redirect("incidents")
