"""Tasks of an incident: what is to be done while it lasts, and who does it."""

import re
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from teams.models import Team, User

from . import lifecycle, mentions, timeline
from .enums import Kind
from .exceptions import EmptyText
from .membership import require_member
from .models import Incident, IncidentTask
from .roles import tell_to
from .timeline import Actor

LONGEST = 500
DUE = re.compile(
    r"\s+due\s+(?:(?P<count>\d{1,4})\s?(?P<unit>m|min|h|d)|(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d))\s*$",
    re.IGNORECASE,
)
UNITS = {
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


class Quick(NamedTuple):
    text: str
    assignee: User | None
    due_at: datetime | None


def read_quickly(text: str, team: Team) -> Quick:
    """A line as it is typed: “Check the replicas @ana due 30m”, or “due 15:30” in the active time zone (tomorrow's once
    it has passed). The first member of the team who is named has it."""
    found = DUE.search(text)
    people = mentions.mentioned(text, team)
    if not found:
        return Quick(text.strip(), people[0] if people else None, None)
    now = timezone.localtime()
    if found["count"]:
        due_at = now + int(found["count"]) * UNITS[found["unit"].lower()]
    else:
        due_at = now.replace(hour=int(found["hour"]), minute=int(found["minute"]), second=0, microsecond=0)
        due_at += timedelta(days=1) if due_at <= now else timedelta()
    return Quick(text[: found.start()].strip(), people[0] if people else None, due_at)


def tasks_of(incident: Incident) -> QuerySet[IncidentTask]:
    """What is to be done before what is done; what is due first stands first."""
    tasks = IncidentTask.objects.filter(incident=incident).select_related("assignee", "done_by")
    return tasks.order_by(
        F("done_at").asc(nulls_first=True), F("due_at").asc(nulls_last=True), "created_at", "pk"
    )


@transaction.atomic
def add_task(
    *,
    incident_id: UUID,
    text: str,
    actor: Actor,
    assignee: User | None = None,
    due_at: datetime | None = None,
) -> IncidentTask:
    """Raises EmptyText and NotInTeam. Whoever has it is told."""
    text = _clean(text)
    incident = lifecycle.lock_one(incident_id)
    require_member(assignee, incident.service.team, field="assignee")
    task = IncidentTask.objects.create(incident=incident, text=text, assignee=assignee, due_at=due_at)
    _tell(Kind.TASK_ADDED, task, actor, to=assignee)
    return task


@transaction.atomic
def change_task(
    *, task_id: UUID, text: str, assignee: User | None, due_at: datetime | None, actor: Actor
) -> IncidentTask:
    """Repeating it changes nothing. Raises EmptyText and NotInTeam."""
    text = _clean(text)
    task = _lock(task_id)
    before = task.text, task.assignee_id, task.due_at
    had_it = task.assignee_id
    if before != (text, assignee.pk if assignee else None, due_at):
        require_member(assignee, task.incident.service.team, field="assignee")
        task.text, task.assignee, task.due_at = text, assignee, due_at
        task.save()
        _tell(Kind.TASK_CHANGED, task, actor, to=assignee, is_news=task.assignee_id != had_it)
    return task


@transaction.atomic
def set_done(*, task_id: UUID, is_done: bool, actor: Actor) -> IncidentTask:
    """Repeating it changes nothing."""
    task = _lock(task_id)
    if (task.done_at is not None) != is_done:
        task.done_at, task.done_by = (timezone.now(), actor.user) if is_done else (None, None)
        task.save()
        timeline.record(
            task.incident, Kind.TASK_DONE if is_done else Kind.TASK_REOPENED, actor=actor, task=task.text
        )
    return task


@transaction.atomic
def remove_task(*, task_id: UUID, actor: Actor) -> None:
    """Repeating it changes nothing; the timeline keeps what it was."""
    task = _lock(task_id, missing_ok=True)
    if task:
        task.delete()
        timeline.record(task.incident, Kind.TASK_REMOVED, actor=actor, task=task.text)


def _clean(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise EmptyText(field="text")
    return text[:LONGEST]


def _lock(task_id: UUID, *, missing_ok: bool = False) -> Any:
    """The task with its incident, both locked, the incident first as everybody does. Raises IncidentTask.DoesNotExist."""
    known = IncidentTask.objects.filter(pk=task_id).values_list("incident_id", flat=True).first()
    incident = lifecycle.lock_one(known) if known else None
    task = (
        IncidentTask.objects.filter(pk=task_id)
        .select_related("assignee")
        .select_for_update(of=("self",))
        .first()
    )
    if task is None or incident is None:
        if missing_ok:
            return None
        raise IncidentTask.DoesNotExist
    task.incident = incident
    return task


def _tell(kind: Kind, task: IncidentTask, actor: Actor, *, to: User | None, is_news: bool = True) -> None:
    entry = timeline.record(task.incident, kind, actor=actor, task=task.text, to=str(to) if to else "")
    if to and is_news:
        subject = f"You have a task in #{task.incident.number}: {task.text}"
        tell_to([to], task.incident, entry, subject=subject)
