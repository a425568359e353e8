"""The pages of postmortems and action items."""

from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.exceptions import OpenAlertError
from teams.access import can_manage, can_respond, require_manage, teams_to_manage
from teams.models import Team

from . import action_items, markdown, once, postmortems, timeline
from .actions import Question, act, ask, incident_for, incident_to_change, posted, refuse, wrong
from .enums import ActionItemState, PostmortemState
from .exceptions import PostmortemChanged
from .models import ActionItem, Incident, Postmortem, ResponseSettings
from .postmortem_forms import (
    ActionItemChangeForm,
    ActionItemForm,
    ImportForm,
    ItemsFilterForm,
    PostmortemForm,
    StateForm,
)
from .response_forms import ResponseSettingsForm
from .response_settings import settings_for
from .timeline import Actor

PAGE_SIZE = 50


def _postmortem(incident: Incident) -> Postmortem:
    postmortem = get_object_or_404(Postmortem.objects.select_related("edited_by"), incident=incident)
    postmortem.incident = incident
    return postmortem


@login_required
@require_GET
def postmortem_page(request: HttpRequest, number: int) -> HttpResponse:
    """To be read; whoever may respond edits it in place until it is published."""
    incident = incident_for(request, number)
    there = Postmortem.objects.filter(incident=incident).exists()
    if not there:
        return render(
            request,
            "incidents/postmortem_none.html",
            {"incident": incident, "may_respond": can_respond(request.user, incident.service.team)},
        )
    return _show(request, _postmortem(incident))


def _show(
    request: HttpRequest,
    postmortem: Postmortem,
    *,
    body: str | None = None,
    conflict: str = "",
    status: int = 200,
) -> HttpResponse:
    incident = postmortem.incident
    may_respond = can_respond(request.user, incident.service.team)
    is_open = postmortem.state != PostmortemState.PUBLISHED
    text = postmortem.body if body is None else body
    return render(
        request,
        "incidents/postmortem.html",
        {
            "incident": incident,
            "postmortem": postmortem,
            "may_respond": may_respond,
            "may_edit": may_respond and is_open,
            "form": PostmortemForm(initial={"body": text, "version": postmortem.version}),
            "html": markdown.as_document(text),
            "conflict": conflict,
            "states": PostmortemState,
            "items": list(action_items.items_of(incident)),
            "today": timezone.localdate(),
            "item_form": ActionItemForm(None, team=incident.service.team) if may_respond else None,
        },
        status=status,
    )


@login_required
@require_POST
def start(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_to_change(request, number)
    postmortems.start(incident_id=incident.pk, actor=Actor.person(request.user, via="web"))
    return redirect("postmortem", number)


@login_required
@require_POST
def save(request: HttpRequest, number: int) -> HttpResponse:
    """The editor asks for JSON, and is told the version; 409 with the other text when somebody else has saved meanwhile."""
    incident = incident_to_change(request, number)
    form = PostmortemForm(request.POST)
    wants_json = "application/json" in request.headers.get("Accept", "")
    if not form.is_valid():
        words = " ".join(message for messages in form.errors.values() for message in messages)
        if wants_json:
            return JsonResponse({"detail": words}, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        return wrong(request, number, form)
    body, version = form.cleaned_data["body"], form.cleaned_data["version"]
    actor = Actor.person(request.user, via="web")
    try:
        saved = postmortems.save(incident_id=incident.pk, body=body, base_version=version, actor=actor)
    except Postmortem.DoesNotExist:
        return redirect("postmortem", number)
    except OpenAlertError as failure:
        now = _postmortem(incident)
        if wants_json:
            said = {"detail": failure.detail, "code": failure.code, "version": now.version, "body": now.body}
            return JsonResponse(said, status=failure.status)
        if isinstance(failure, PostmortemChanged):
            return _show(request, now, body=body, conflict=failure.detail, status=failure.status)
        return refuse(request, incident, failure)
    if wants_json:
        return JsonResponse({"version": saved.version})
    return redirect("postmortem", number)


@login_required
@require_POST
def preview(request: HttpRequest, number: int) -> HttpResponse:
    incident_for(request, number)
    form = PostmortemForm({"body": request.POST.get("body", ""), "version": 0})
    text = form.cleaned_data["body"] if form.is_valid() else ""
    return HttpResponse(markdown.as_document(text))


@login_required
@require_http_methods(["GET", "POST"])
def import_timeline(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks which entries; POST saves the editor's text with them in it."""
    incident = incident_to_change(request, number)
    postmortem = _postmortem(incident)
    entries = list(incident.timeline.order_by("at", "pk")[: postmortems.MOST_ENTRIES])
    if request.method == "GET":
        shown = [
            (entry, timeline.sentence(entry), entry.kind not in postmortems.TECHNICAL) for entry in entries
        ]
        context = {"incident": incident, "postmortem": postmortem, "entries": shown}
        return render(request, "incidents/postmortem_import.html", context)
    form = ImportForm(request.POST, entry_ids=[entry.pk for entry in entries])
    if not form.is_valid():
        return wrong(request, number, form)
    given = form.cleaned_data
    try:
        postmortems.import_entries(
            incident_id=incident.pk,
            body=given["body"],
            base_version=given["version"],
            entry_ids=given["entry"],
            actor=Actor.person(request.user, via="web"),
        )
    except PostmortemChanged as failure:
        return _show(request, _postmortem(incident), body=given["body"], conflict=failure.detail, status=409)
    except OpenAlertError as failure:
        return refuse(request, incident, failure)
    return redirect("postmortem", number)


@login_required
@require_POST
def move(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_to_change(request, number)
    _postmortem(incident)
    form = StateForm(request.POST)
    if not form.is_valid():
        return wrong(request, number, form)
    state = PostmortemState(form.cleaned_data["state"])
    postmortems.move(incident_id=incident.pk, state=state, actor=Actor.person(request.user, via="web"))
    return redirect("postmortem", number)


@login_required
@require_GET
def export(request: HttpRequest, number: int) -> HttpResponse:
    postmortem = _postmortem(incident_for(request, number))
    answer = HttpResponse(postmortems.as_document(postmortem), content_type="text/markdown; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="postmortem-{number}.md"'
    return answer


@login_required
@require_GET
def history(request: HttpRequest, number: int) -> HttpResponse:
    """The versions that were, the newest first; `version` shows one."""
    incident = incident_for(request, number)
    postmortem = _postmortem(incident)
    revisions = postmortem.revisions.defer("body")
    asked = request.GET.get("version", "")
    shown = None
    if asked.isdecimal() and len(asked) < 10:
        shown = get_object_or_404(postmortem.revisions.all(), version=int(asked))
    context = {"incident": incident, "postmortem": postmortem, "revisions": revisions[:200], "shown": shown}
    return render(request, "incidents/postmortem_history.html", context)


# Action items


@login_required
@require_POST
def add_item(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_to_change(request, number)
    form = ActionItemForm(request.POST, team=incident.service.team)
    if not form.is_valid():
        return wrong(request, number, form)
    actor = Actor.person(request.user, via="web")
    add = partial(action_items.add_item, incident_id=incident.pk, actor=actor, **form.cleaned_data)
    try:
        once.do_once(request.user, once.key_of(request), add)
    except OpenAlertError as failure:
        return refuse(request, incident, failure)
    if request.htmx:
        return _items(request, incident)
    return redirect("postmortem", number)


def _items(request: HttpRequest, incident: Incident) -> HttpResponse:
    return render(
        request,
        "incidents/_action_items.html",
        {
            "incident": incident,
            "items": list(action_items.items_of(incident)),
            "may_respond": True,
            "item_form": ActionItemForm(None, team=incident.service.team),
            "today": timezone.localdate(),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def change_item(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = ActionItem.objects.select_related("incident").filter(
        incident__in=Incident.objects.visible_to(request.user)
    )
    item = get_object_or_404(found, pk=pk)
    number = item.incident.number
    incident = incident_to_change(request, number)
    initial = {"text": item.text, "assignee": item.assignee_id, "due_on": item.due_on, "state": item.state}
    form = ActionItemChangeForm(posted(request), team=incident.service.team, initial=initial)
    if not form.is_valid():
        return ask(
            request, incident, Question(f"Action item of #{number}", incident.title, form, submit="Save")
        )
    given = {**form.cleaned_data, "state": ActionItemState(form.cleaned_data["state"])}

    def action(*, incident_id: UUID, actor: Actor) -> Any:
        return action_items.change_item(item_id=item.pk, actor=actor, **given)

    return act(request, number, action, done="Action item changed")


@login_required
@require_GET
def item_list(request: HttpRequest) -> HttpResponse:
    """The action items of all incidents."""
    form = ItemsFilterForm(request.GET, user=request.user)
    form.full_clean()
    given = form.cleaned_data
    items = action_items.items_visible_to(request.user)
    state = given.get("state") or ""
    today = timezone.localdate()
    if state in ("", "late"):
        items = items.filter(state__in=action_items.TO_DO)
    if state == "late":
        items = items.filter(due_on__lt=today)
    elif state not in ("", "all"):
        items = items.filter(state=state)
    if given.get("team"):
        items = items.filter(incident__service__team=given["team"])
    if given.get("mine"):
        items = items.filter(assignee=request.user)
    page = Paginator(items, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "today": today, "query": request.GET}
    template = "incidents/action_items.html"
    return render(request, template, context)


# How a team works on incidents


@login_required
@require_http_methods(["GET", "POST"])
def response_settings(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The roles and the template of a team; its members see them, its managers change them."""
    team = get_object_or_404(Team.objects.visible_to(request.user), pk=pk)
    if request.method == "POST":
        try:
            require_manage(request.user, team)
        except OpenAlertError as failure:
            raise PermissionDenied(failure.detail) from failure
    row = ResponseSettings.objects.filter(team=team).first() or ResponseSettings(team=team)
    form = ResponseSettingsForm(posted(request), instance=row)
    if form.is_valid():
        form.save()
        return redirect("response-settings", pk)
    context = {
        "team": team,
        "form": form,
        "how": settings_for(team),
        "may_manage": can_manage(request.user, team),
        "teams": teams_to_manage(request.user).exclude(pk=team.pk).order_by("name"),
    }
    return render(request, "incidents/response_settings.html", context, status=422 if form.errors else 200)
