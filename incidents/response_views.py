"""Who does what in an incident: roles, tasks, links with others, and the services around it."""

from functools import partial
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from openalert.exceptions import OpenAlertError
from teams import dependencies
from teams.access import can_respond

from . import links, once, roles, task_list
from .actions import Question, act, ask, incident_for, incident_to_change, posted, refuse, told
from .enums import LinkKind
from .health import health_of
from .models import Incident, IncidentLink, IncidentTask
from .response_forms import WHEN, LinkForm, QuickTaskForm, RoleForm, TaskForm
from .timeline import Actor

MOST_DONE = 10


@login_required
@require_http_methods(["GET", "POST"])
def role(request: HttpRequest, number: int) -> HttpResponse:
    """GET asks who has the role that `role` names."""
    incident = incident_to_change(request, number)
    team = incident.service.team
    name = (request.POST if request.method == "POST" else request.GET).get("role", "")
    held = next((held for held in roles.roles_of(incident) if held.role == name), None)
    if held is None:
        raise Http404
    initial = {"role": name, "user": held.user or request.user}
    form = RoleForm(posted(request), team=team, initial=initial)
    if not form.is_valid():
        return ask(request, incident, Question(f"{name} of #{number}", held.duty, form, submit="Assign"))
    person = form.cleaned_data["user"]
    done = f"{person} is {name} of #{number}" if person else f"Nobody is {name} of #{number}"
    return act(request, number, roles.assign, done=done, role=name, user=person)


# Tasks


def tasks_context(request: HttpRequest, incident: Incident, may_respond: bool) -> dict[str, Any]:
    """What `_tasks.html` shows. One query."""
    tasks = list(task_list.tasks_of(incident))
    done = [task for task in tasks if task.done_at]
    return {
        "incident": incident,
        "may_respond": may_respond,
        "to_do": [task for task in tasks if not task.done_at],
        "done": done[:MOST_DONE],
        "done_count": len(done),
        "now": timezone.now(),
        "task_form": QuickTaskForm(auto_id="task_%s"),
    }


@login_required
@require_GET
def tasks(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_for(request, number)
    may_respond = can_respond(request.user, incident.service.team)
    return render(request, "incidents/_tasks.html", tasks_context(request, incident, may_respond))


@login_required
@require_POST
def add_task(request: HttpRequest, number: int) -> HttpResponse:
    """Answers htmx with the form, empty again for the next one, or with what is wrong."""
    incident = incident_to_change(request, number)
    form = QuickTaskForm(request.POST, auto_id="task_%s")
    if form.is_valid():
        text, assignee, due_at = task_list.read_quickly(form.cleaned_data["text"], incident.service.team)
        add = partial(
            task_list.add_task,
            incident_id=incident.pk,
            text=text,
            assignee=assignee,
            due_at=due_at,
            actor=Actor.person(request.user, via="web"),
        )
        try:
            once.do_once(request.user, once.key_of(request), add)
        except OpenAlertError as failure:
            return refuse(request, incident, failure)
        if not request.htmx:
            return redirect(incident)
        empty = QuickTaskForm(auto_id="task_%s")
        return told(render(request, "incidents/_task_add.html", {"incident": incident, "task_form": empty}))
    if not request.htmx:
        return redirect(incident)
    context = {"incident": incident, "task_form": form}
    return render(request, "incidents/_task_add.html", context, status=422)


def _task(incident: Incident, pk: UUID) -> IncidentTask:
    return get_object_or_404(IncidentTask.objects.select_related("assignee"), incident=incident, pk=pk)


@login_required
@require_POST
def finish_task(request: HttpRequest, number: int, pk: UUID) -> HttpResponse:
    """`done` says whether it is done."""
    task = _task(incident_to_change(request, number), pk)
    is_done = request.POST.get("done", "1") == "1"

    def action(*, incident_id: UUID, actor: Actor) -> Any:
        return task_list.set_done(task_id=task.pk, is_done=is_done, actor=actor)

    return act(request, number, action, done="Task done" if is_done else "Task is to be done again")


@login_required
@require_http_methods(["GET", "POST"])
def change_task(request: HttpRequest, number: int, pk: UUID) -> HttpResponse:
    incident = incident_to_change(request, number)
    task = _task(incident, pk)
    due = timezone.localtime(task.due_at).strftime(WHEN) if task.due_at else None
    initial = {"text": task.text, "assignee": task.assignee_id, "due_at": due}
    form = TaskForm(posted(request), team=incident.service.team, initial=initial)
    if not form.is_valid():
        return ask(
            request, incident, Question("Change a task", "Whoever has it is told.", form, submit="Save")
        )
    given: dict[str, Any] = form.cleaned_data

    def action(*, incident_id: UUID, actor: Actor) -> Any:
        return task_list.change_task(task_id=task.pk, actor=actor, **given)

    return act(request, number, action, done="Task changed")


@login_required
@require_POST
def remove_task(request: HttpRequest, number: int, pk: UUID) -> HttpResponse:
    incident_to_change(request, number)
    if IncidentTask.objects.filter(pk=pk).exclude(incident__number=number).exists():
        raise Http404

    def action(*, incident_id: UUID, actor: Actor) -> Any:
        return task_list.remove_task(task_id=pk, actor=actor)

    return act(request, number, action, done="Task removed")


# Links


def links_context(request: HttpRequest, incident: Incident, may_respond: bool) -> dict[str, Any]:
    found = links.links_of(incident, user=request.user)
    return {"incident": incident, "may_respond": may_respond, "links": found}


@login_required
@require_GET
def linked(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_for(request, number)
    may_respond = can_respond(request.user, incident.service.team)
    return render(request, "incidents/_links.html", links_context(request, incident, may_respond))


@login_required
@require_http_methods(["GET", "POST"])
def add_link(request: HttpRequest, number: int) -> HttpResponse:
    incident = incident_to_change(request, number)
    form = LinkForm(posted(request), user=request.user)
    if not form.is_valid():
        explanation = "Both incidents show it. Nothing else about them changes."
        return ask(request, incident, Question(f"Link #{number}", explanation, form, submit="Link"))
    other = form.cleaned_data["other"]
    return act(
        request,
        number,
        links.link,
        done=f"#{number} linked with #{other.number}",
        other_id=other.pk,
        kind=LinkKind(form.cleaned_data["kind"]),
    )


@login_required
@require_POST
def remove_link(request: HttpRequest, number: int, pk: UUID) -> HttpResponse:
    """From either end."""
    incident = incident_to_change(request, number)
    link = IncidentLink.objects.filter(pk=pk).first()
    if link and incident.pk not in (link.incident_id, link.other_id):
        raise Http404

    def action(*, incident_id: UUID, actor: Actor) -> Any:
        return links.unlink(link_id=pk, actor=actor)

    return act(request, number, action, done="Link taken away")


# Services


@login_required
@require_GET
def services(request: HttpRequest, number: int) -> HttpResponse:
    """What the incident's service needs and what is likely affected, through others too, with their health; or nothing."""
    incident = incident_for(request, number)
    up, hidden_up = dependencies.upstream_of(incident.service_id, user=request.user)
    down, hidden_down = dependencies.affected_by(incident.service_id, user=request.user)
    health = health_of(one.service for one in [*up, *down]) if up or down else {}
    affected = "Needed by" if incident.is_resolved else "Likely affected"
    sides = [
        (words, [(one, health.get(one.service.pk)) for one in found])
        for words, found in ((affected, down), ("Depends on", up))
        if found
    ]
    return render(
        request,
        "incidents/_services.html",
        {"incident": incident, "sides": sides, "hidden": hidden_up + hidden_down},
    )
