"""What a request does to an alert.

An action reads the request first, raising Unprocessable, and returns what it will do to the alert. That raises
an OpenAlertError when it cannot be done; the words go into the status of the request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from alerts import edits, intake
from alerts.enums import AlertStatus, EventStatus
from alerts.events import MAX_TITLE, AlertEvent
from alerts.formats.opsgenie import PRIORITIES
from alerts.formats.reading import strings, text
from alerts.models import Alert
from escalations import engine
from escalations.models import EscalationPolicy
from incidents import lifecycle
from incidents.enums import Severity
from openalert.exceptions import OpenAlertError
from teams import oncall
from teams.models import Schedule, User
from teams.queries import responders_of, with_rotation

from .calls import MAX_NOTE, Call, Unprocessable
from .lookup import kind_of, uuid_of

MAX_DESCRIPTION = 15_000
MAX_TAG = 255
NOT_GIVEN = "id or {name} should be provided"

Doing = Callable[[Alert], object]


class Impossible(OpenAlertError):
    """It cannot be done to this alert, or what the request names is not there."""

    code = "impossible"
    status = 409


@dataclass(frozen=True)
class Action:
    """`name` and `done` are the words of a request's status. `needs_open`: a closed alert is let alone."""

    name: str
    done: str
    read: Callable[[Call], Doing]
    needs_open: bool = False

    def prepare(self, call: Call) -> Doing:
        """What to do to the alert; the request's note is written too. Raises Unprocessable."""
        do = self.read(call)
        note = call.text("note", MAX_NOTE, required=False) if self.read is not add_note else ""

        def carry_out(alert: Alert) -> None:
            if self.needs_open and alert.status != AlertStatus.FIRING:
                raise Impossible("Alert is closed")
            do(alert)
            if note:
                lifecycle.add_note(incident_id=alert.incident_id, text=note, actor=call.actor)

        return carry_out


# Answers


def close(call: Call) -> Doing:
    is_incidents = kind_of(call) == "tiny"

    def do(alert: Alert) -> None:
        if is_incidents:
            lifecycle.resolve(incident_id=alert.incident_id, actor=call.actor)
            return
        event = AlertEvent(
            dedup_key=alert.dedup_key,
            status=EventStatus.RESOLVED,
            title=alert.title,
            severity=Severity(alert.severity),
            name=alert.title,
            by=call.user,
        )
        # An alias may have a newer alert by now, which is not the one that was meant.
        if alert.is_current:
            intake.take(alert.integration, [event])
        if call.user:
            _resolve_if_over(alert.incident_id, call)

    return do


@transaction.atomic
def _resolve_if_over(incident_id: UUID, call: Call) -> None:
    incident = lifecycle.lock_one(incident_id)
    if not Alert.objects.filter(incident=incident, status=AlertStatus.FIRING).exists():
        lifecycle.resolve_locked([incident], actor=call.actor)


def acknowledge(call: Call) -> Doing:
    return lambda alert: lifecycle.acknowledge(incident_id=alert.incident_id, actor=call.actor)


def unacknowledge(call: Call) -> Doing:
    return lambda alert: lifecycle.unacknowledge(incident_id=alert.incident_id, actor=call.actor)


def snooze(call: Call) -> Doing:
    until = call.instant("endTime")
    return lambda alert: lifecycle.snooze(incident_id=alert.incident_id, until=until, actor=call.actor)


def add_note(call: Call) -> Doing:
    note = call.text("note", MAX_NOTE)
    return lambda alert: lifecycle.add_note(incident_id=alert.incident_id, text=note, actor=call.actor)


# Who is paged


def escalate(call: Call) -> Doing:
    """To the next step, or to the escalation that is named."""
    named = call.body.get("escalation")
    if not named:
        return lambda alert: engine.escalate_now(incident_id=alert.incident_id, actor=call.actor)
    pk, name = _named(named, "escalation", "name")

    def do(alert: Alert) -> None:
        engine.reassign(incident_id=alert.incident_id, actor=call.actor, policy=_policy(call, pk, name))

    return do


def assign(call: Call) -> Doing:
    pk, username = _named(call.body.get("owner"), "owner", "username")

    def do(alert: Alert) -> None:
        engine.reassign(incident_id=alert.incident_id, actor=call.actor, user=_person(call, pk, username))

    return do


def add_responder(call: Call) -> Doing:
    """A person, an escalation, or whoever is on call in a schedule: they are paged in the others' place."""
    responder = call.body.get("responder")
    kind = responder.get("type") if isinstance(responder, dict) else None
    if kind not in ("user", "escalation", "schedule", "team"):
        raise Unprocessable(responder="type must be one of user, escalation, schedule, team.")
    pk, name = _named(responder, "responder", "username" if kind == "user" else "name")

    def do(alert: Alert) -> None:
        to: dict[str, Any]
        match kind:
            case "user":
                to = {"user": _person(call, pk, name)}
            case "escalation":
                to = {"policy": _policy(call, pk, name)}
            case "schedule":
                to = {"user": _on_call(call, pk, name)}
            case _:
                raise Impossible("A team is not paged as a whole: name a user, an escalation or a schedule")
        engine.reassign(incident_id=alert.incident_id, actor=call.actor, **to)

    return do


def _named(value: Any, field: str, name: str) -> tuple[UUID | None, str]:
    """The id or the name in an object such as {"username": "ana@example.org"}. Raises Unprocessable."""
    if isinstance(value, dict):
        pk = uuid_of(text(value.get("id"), 64))
        given = text(value.get(name), 255)
        if pk or given:
            return pk, given
        if value.get("id"):
            return None, ""  # an id of Opsgenie's own, which nothing here has
    raise Unprocessable(**{field: NOT_GIVEN.format(name=name)})


def _person(call: Call, pk: UUID | None, username: str) -> User:
    people = responders_of(call.team)
    found = (people.filter(pk=pk) if pk else people.filter(email__iexact=username)).first()
    if found is None:
        raise Impossible("User does not exist, or is not one of the team's responders")
    return found


def _policy(call: Call, pk: UUID | None, name: str) -> EscalationPolicy:
    policies = EscalationPolicy.objects.filter(team=call.team)
    found = (policies.filter(pk=pk) if pk else policies.filter(name__iexact=name)).first()
    if found is None:
        raise Impossible("Escalation does not exist")
    return found


def _on_call(call: Call, pk: UUID | None, name: str) -> User:
    schedules = Schedule.objects.filter(team=call.team)
    found = with_rotation(schedules.filter(pk=pk) if pk else schedules.filter(name__iexact=name)).first()
    if found is None:
        raise Impossible("Schedule does not exist")
    people = oncall.on_call(found, timezone.now())
    if not people:
        raise Impossible(f"Nobody is on call in {found}")
    return people[0]


# What the alert says


def add_tags(call: Call) -> Doing:
    tags = _texts(call.body.get("tags"), "tags")
    return lambda alert: edits.add_tags(alert.pk, tags)


def remove_tags(call: Call) -> Doing:
    tags = _listed(call, "tags")
    return lambda alert: edits.remove_tags(alert.pk, tags)


def add_details(call: Call) -> Doing:
    details = call.body.get("details")
    labels = strings(details)
    if not isinstance(details, dict) or not details or len(labels) < len(details):
        raise Unprocessable(details="Details must be an object of strings that is not empty.")
    return lambda alert: edits.add_labels(alert.pk, labels)


def remove_details(call: Call) -> Doing:
    names = _listed(call, "keys")
    return lambda alert: edits.remove_labels(alert.pk, names)


def set_message(call: Call) -> Doing:
    message = text(call.text("message", MAX_TITLE), MAX_TITLE)
    return lambda alert: edits.set_title(alert.pk, message)


def set_description(call: Call) -> Doing:
    # Alertmanager leaves out a description that is empty.
    description = call.text("description", MAX_DESCRIPTION, required=False)
    return lambda alert: edits.set_description(alert.pk, description)


def set_priority(call: Call) -> Doing:
    priority = call.text("priority", 2).upper()
    if priority not in PRIORITIES:
        raise Unprocessable(priority=f"Priority must be one of {', '.join(PRIORITIES)}.")
    severity = PRIORITIES[priority]
    return lambda alert: edits.set_severity(alert.pk, severity, priority=priority, actor=call.actor)


def _texts(value: Any, field: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unprocessable(**{field: f"{field.capitalize()} must be a list of strings."})
    found = [line for item in value if (line := text(item, MAX_TAG))]
    if not found:
        raise Unprocessable(**{field: f"{field.capitalize()} can not be empty."})
    return found


def _listed(call: Call, name: str) -> list[str]:
    """What the address's query lists with commas between."""
    return _texts(call.query.get(name, "").split(","), name)


CLOSE = Action("Close", "Alert is closed", close)
DELETE = Action("Delete", "Alert is closed: alerts are not deleted", close)
ACKNOWLEDGE = Action("Acknowledge", "Alert is acknowledged", acknowledge, needs_open=True)
UNACKNOWLEDGE = Action("UnAcknowledge", "Alert is unacknowledged", unacknowledge, needs_open=True)
SNOOZE = Action("Snooze", "Alert is snoozed", snooze, needs_open=True)
ESCALATE = Action("EscalateToNext", "Alert is escalated", escalate, needs_open=True)
ASSIGN = Action("Assign", "Alert is assigned", assign, needs_open=True)
ADD_RESPONDER = Action("AddResponder", "Responder is added", add_responder, needs_open=True)
ADD_NOTE = Action("AddNote", "Note is added", add_note)
ADD_TAGS = Action("AddTags", "Tags are added", add_tags)
REMOVE_TAGS = Action("RemoveTags", "Tags are removed", remove_tags)
ADD_DETAILS = Action("AddDetails", "Details are added", add_details)
REMOVE_DETAILS = Action("RemoveDetails", "Details are removed", remove_details)
SET_MESSAGE = Action("UpdateMessage", "Message is updated", set_message)
SET_DESCRIPTION = Action("UpdateDescription", "Description is updated", set_description)
SET_PRIORITY = Action("UpdatePriority", "Priority is updated", set_priority)
