"""Action items: what is to be done after incidents so that they do not happen again."""

from datetime import date
from uuid import UUID

from django.db import transaction
from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.utils import timezone

from teams.models import User

from . import lifecycle, timeline
from .enums import ActionItemState, Kind
from .exceptions import EmptyText
from .membership import require_member
from .models import ActionItem, Incident
from .roles import tell_to
from .timeline import Actor

LONGEST = 500
TO_DO = [ActionItemState.OPEN, ActionItemState.IN_PROGRESS]
OVER_LAST = Case(When(state__in=TO_DO, then=Value(0)), default=Value(1), output_field=IntegerField())


def items_visible_to(user: User) -> QuerySet[ActionItem]:
    """Of all incidents that `user` may see: what is to be done before what is over, what is due first in front."""
    items = ActionItem.objects.filter(incident__in=Incident.objects.visible_to(user))
    return items.select_related("incident__service__team", "assignee").order_by(
        OVER_LAST, F("due_on").asc(nulls_last=True), "created_at", "pk"
    )


def items_of(incident: Incident) -> QuerySet[ActionItem]:
    return (
        ActionItem.objects.filter(incident=incident).select_related("assignee").order_by("created_at", "pk")
    )


@transaction.atomic
def add_item(
    *,
    incident_id: UUID,
    text: str,
    actor: Actor,
    assignee: User | None = None,
    due_on: date | None = None,
) -> ActionItem:
    """Raises EmptyText and NotInTeam. Whoever has it is told."""
    text = _clean(text)
    incident = lifecycle.lock_one(incident_id)
    require_member(assignee, incident.service.team, field="assignee")
    item = ActionItem.objects.create(incident=incident, text=text, assignee=assignee, due_on=due_on)
    entry = timeline.record(incident, Kind.ACTION_ITEM_ADDED, actor=actor, item=text)
    if assignee:
        tell_to([assignee], incident, entry, subject=f"You have an action item of #{incident.number}: {text}")
    return item


@transaction.atomic
def change_item(
    *,
    item_id: UUID,
    text: str,
    assignee: User | None,
    due_on: date | None,
    state: ActionItemState,
    actor: Actor,
) -> ActionItem:
    """Repeating it changes nothing. Raises EmptyText and NotInTeam."""
    text = _clean(text)
    known = ActionItem.objects.values_list("incident_id", flat=True).get(pk=item_id)
    incident = lifecycle.lock_one(known)
    item = ActionItem.objects.select_for_update().get(pk=item_id)
    had_it, was = item.assignee_id, item.state
    before = item.text, had_it, item.due_on, was
    if before == (text, assignee.pk if assignee else None, due_on, state):
        return item
    if assignee and assignee.pk != had_it:
        require_member(assignee, incident.service.team, field="assignee")
    item.text, item.assignee, item.due_on, item.state = text, assignee, due_on, state
    if state != was:
        item.ended_at = timezone.now() if state.is_over else None
    item.save()
    entry = timeline.entry(incident, Kind.ACTION_ITEM_MOVED, actor=actor, item=text, state=state)
    if state != was:
        timeline.record_all([entry])
    if assignee and assignee.pk != had_it:
        told = (
            entry if entry.pk else timeline.record(incident, Kind.ACTION_ITEM_ADDED, actor=actor, item=text)
        )
        tell_to([assignee], incident, told, subject=f"You have an action item of #{incident.number}: {text}")
    return item


def _clean(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        raise EmptyText(field="text")
    return text[:LONGEST]
