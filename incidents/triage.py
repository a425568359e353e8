"""The same answer for many incidents at once: what can be done is done, and what cannot is said.

Each is one transaction and a fixed number of statements. Doing it again changes nothing more.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction

from teams.access import teams_to_respond_for

from . import lifecycle, merging
from .exceptions import InvalidTransition
from .models import Incident
from .timeline import Actor

MOST_AT_ONCE = 200


@dataclass
class Outcome:
    """The numbers of incidents: `done` are now as they were wanted, `left` are as they were, with why."""

    done: list[int] = field(default_factory=list)
    left: dict[int, str] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """Why some were left: “#3: only responders …”; empty when none was."""
        return " ".join(f"#{number}: {why}" for number, why in sorted(self.left.items()))


def acknowledge(incident_ids: Iterable[UUID], *, actor: Actor) -> Outcome:
    """What is resolved is left."""

    def answer(incidents: list[Incident]) -> None:
        lifecycle.acknowledge_locked(incidents, actor=actor)

    return _each(incident_ids, actor, answer, to="acknowledged")


def resolve(incident_ids: Iterable[UUID], *, actor: Actor) -> Outcome:
    def answer(incidents: list[Incident]) -> None:
        lifecycle.resolve_locked(incidents, actor=actor)

    return _each(incident_ids, actor, answer)


def snooze(incident_ids: Iterable[UUID], *, until: datetime, actor: Actor) -> Outcome:
    """What is resolved is left. Raises SnoozeInThePast."""

    def answer(incidents: list[Incident]) -> None:
        lifecycle.snooze_locked(incidents, until=until, actor=actor)

    return _each(incident_ids, actor, answer, to="snoozed")


def merge(incident_ids: Iterable[UUID], *, into: UUID, actor: Actor) -> Outcome:
    """All of them or none: raises what merging.merge raises. `into` may be one of them."""
    sources = set(incident_ids) - {into}
    if sources:
        merging.merge(source_ids=sources, target_id=into, actor=actor)
    numbers = Incident.objects.filter(pk__in=sources).order_by("number").values_list("number", flat=True)
    return Outcome(done=list(numbers))


@transaction.atomic
def _each(
    incident_ids: Iterable[UUID], actor: Actor, answer: Callable[[list[Incident]], None], *, to: str = ""
) -> Outcome:
    """`to`: what a resolved incident cannot become; without it, it may stay as it is."""
    mine = set(teams_to_respond_for(actor.user)) if actor.user else None
    outcome, chosen = Outcome(), []
    for incident in lifecycle.lock(incident_ids):
        if mine is not None and incident.service.team not in mine:
            outcome.left[incident.number] = (
                f"only responders and managers of {incident.service.team} may do this."
            )
        elif to and incident.is_resolved:
            failure = InvalidTransition(number=incident.number, status=incident.status, wanted=to)
            outcome.left[incident.number] = failure.detail
        else:
            chosen.append(incident)
    answer(chosen)
    outcome.done = sorted(incident.number for incident in chosen)
    return outcome
