"""Roles on an incident: who commands it, who talks, who writes. Each has one person at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from teams import notices
from teams.models import User

from . import lifecycle, timeline
from .enums import Kind
from .exceptions import UnknownRole
from .membership import require_member
from .models import Incident, RoleAssignment, TimelineEntry
from .response_settings import HowToRespond, settings_for
from .timeline import Actor


@dataclass(frozen=True)
class Held:
    """A role on an incident: who has it, if anybody does, and what it is for."""

    role: str
    duty: str
    user: User | None


def roles_of(incident: Incident, how: HowToRespond | None = None) -> list[Held]:
    """The roles that the team has, then those that are held although they are no longer among them. Two queries, one
    with `how`."""
    offered = (how or settings_for(incident.service.team)).roles
    assigned = RoleAssignment.objects.filter(incident=incident).select_related("user")
    holders = {assignment.role: assignment.user for assignment in assigned}
    held = [Held(role.name, role.duty, holders.pop(role.name, None)) for role in offered]
    return held + [Held(role, "", user) for role, user in holders.items()]


@transaction.atomic
def assign(*, incident_id: UUID, role: str, user: User | None, actor: Actor) -> Incident:
    """Give a role to a person, who takes it over from whoever has it; None frees it. Repeating it changes nothing.

    The person is told, unless they did it themselves. Raises UnknownRole and NotInTeam.
    """
    incident = lifecycle.lock_one(incident_id)
    team = incident.service.team
    there = RoleAssignment.objects.filter(incident=incident, role=role).select_related("user").first()
    if there is None and role not in {offered.name for offered in settings_for(team).roles}:
        raise UnknownRole(role)
    before = there.user if there else None
    if user == before:
        return incident
    require_member(user, team, field="user")
    told: dict[str, Any] = {"role": role, "before": str(before) if before else ""}
    if user is None:
        RoleAssignment.objects.filter(incident=incident, role=role).delete()
        timeline.record(incident, Kind.ROLE_FREED, actor=actor, **told)
        return incident
    RoleAssignment.objects.update_or_create(incident=incident, role=role, defaults={"user": user})
    entry = timeline.record(incident, Kind.ROLE_ASSIGNED, actor=actor, to=str(user), **told)
    tell_to([user], incident, entry, subject=f"You are {role} of #{incident.number} {incident.title}")
    return incident


def tell_to(people: Iterable[User], incident: Incident, entry: TimelineEntry, *, subject: str) -> None:
    """Write down that people are to be told of an entry, by email and on their open pages; not whoever made it."""
    notices.give(
        notices.notice(
            person,
            key=f"entry:{entry.pk}",
            subject=subject,
            text=timeline.sentence(entry) + ".",
            path=incident.get_absolute_url(),
        )
        for person in people
        if person.pk != entry.actor_id
    )
