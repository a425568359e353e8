"""The escalation engine: a run pages one step after the other until somebody answers.

All state is in PostgreSQL. A run's `due_at` says when its next step is carried out; any number of workers
may call `tick`, each claims rows that no other has. Answering an incident deletes the due time in the same
transaction as the change of its status, so no page can be decided after an answer.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident, TimelineEntry
from incidents.timeline import Actor
from notifications import outbox
from notifications.outbox import PageRequest
from openalert.wake import wake
from teams.models import User

from . import routing, snapshot
from .enums import RunStatus
from .exceptions import NothingToEscalate, ReassignToOne
from .models import EscalationPolicy, EscalationRun
from .snapshot import Snapshot
from .targets import Targets

logger = logging.getLogger(__name__)

TICK_TASK = "escalations.tasks.tick"
BATCH = 200
# A run that cannot be carried out (a fault of ours) is put aside so long, so that it holds up no other.
FAULT_PAUSE = timedelta(seconds=30)


def start(incidents: Iterable[Incident], *, now: datetime) -> None:
    """Arm the policy in charge of each incident (rows locked); its first step is due at once."""
    incidents = list(incidents)
    policies = routing.policies_for(incidents)
    _arm(
        [(i, policies[i.pk], snapshot.of_policy(policies[i.pk])) for i in incidents if i.pk in policies],
        now=now,
    )
    timeline.record_all(
        timeline.entry(
            incident,
            Kind.NOBODY_TO_PAGE,
            at=now,
            reason=f"no routing rule of {incident.service.team} takes this incident",
        )
        for incident in incidents
        if incident.pk not in policies
    )


def _arm(
    what: list[tuple[Incident, EscalationPolicy | None, Snapshot]], *, now: datetime
) -> list[EscalationRun]:
    runs = EscalationRun.objects.bulk_create(
        EscalationRun(
            incident=incident,
            policy=policy,
            snapshot=frozen,
            priority=Severity(incident.severity).rank,
            due_at=now,
        )
        for incident, policy, frozen in what
    )
    if runs:
        timeline.record_all(
            timeline.entry(run.incident, Kind.ESCALATION_STARTED, at=now, policy=run.snapshot["policy"])
            for run in runs
        )
        wake(TICK_TASK)
    return runs


def stop(incidents: Iterable[Incident], *, reason: str, now: datetime) -> None:
    """End the incidents' runs (incident rows locked): no further step will be carried out."""
    EscalationRun.objects.filter(incident__in=list(incidents), status=RunStatus.RUNNING).update(
        status=RunStatus.STOPPED, due_at=None, ended_at=now, end_reason=reason, updated_at=now
    )


def reprioritise(incidents: Iterable[Incident]) -> None:
    """Let running escalations wait their turn by the incidents' severity as it is now."""
    of_rank: dict[int, list[Incident]] = {}
    for incident in incidents:
        of_rank.setdefault(Severity(incident.severity).rank, []).append(incident)
    for rank, same in of_rank.items():
        EscalationRun.objects.filter(incident__in=same, status=RunStatus.RUNNING).update(
            priority=rank, updated_at=timezone.now()
        )


@transaction.atomic
def hurry(*, run_id: UUID, loop: int, step: int, now: datetime) -> bool:
    """Carry out what follows a step now, as nobody whom the step paged can be reached. Whether it does.

    Only within a round: the wait before the next one stays, or a provider's bad ten minutes would use up the policy.
    A run that has gone on or ended meanwhile is left alone, so repeating it is harmless.
    """
    run = (
        EscalationRun.objects.select_for_update()
        .filter(pk=run_id, status=RunStatus.RUNNING, loop=loop, step=step + 1, due_at__gt=now)
        .first()
    )
    if run is None or run.step >= len(run.snapshot["steps"]):
        return False
    run.due_at = now
    run.save(update_fields=["due_at", "updated_at"])
    wake(TICK_TASK)
    return True


@transaction.atomic
def escalate_now(*, incident_id: UUID, actor: Actor) -> EscalationRun:
    """Page the next step without waiting. An acknowledged or snoozed incident is open again.

    When the policy has ended, it starts over. Raises NothingToEscalate.
    """
    now = timezone.now()
    incident = lifecycle.lock_one(incident_id)
    if incident.is_resolved:
        raise NothingToEscalate(f"Incident {incident.number} is resolved.")
    previous = incident.escalation_runs.order_by("-created_at").first()
    answered = incident.status != Status.OPEN
    if answered:
        incident = lifecycle.unacknowledge(incident_id=incident_id, actor=actor)
    run = running(incident)
    if run is None:
        start([incident], now=now)
        run = running(incident)
    if run is None:
        raise NothingToEscalate(f"No escalation policy is in charge of incident {incident.number}.")
    if answered and previous and previous.step < len(run.snapshot["steps"]):
        run.step = previous.step  # whoever was paged has answered: go on with those who come next
    run.due_at = now
    run.save()
    timeline.record(incident, Kind.ESCALATED, actor=actor)
    wake(TICK_TASK)
    return run


@transaction.atomic
def reassign(
    *,
    incident_id: UUID,
    actor: Actor,
    user: User | None = None,
    policy: EscalationPolicy | None = None,
) -> EscalationRun:
    """Hand the incident to a person (paged at once; the policy goes on if they do not answer) or a policy.

    Raises ReassignToOne, and InvalidTransition once the incident is resolved.
    """
    if (user is None) == (policy is None):
        raise ReassignToOne
    frozen: Snapshot
    now = timezone.now()
    incident = lifecycle.lock_one(incident_id)
    lifecycle.assign_locked(incident, user=user, to=str(user or policy), actor=actor)
    stop([incident], reason="reassigned", now=now)
    outbox.cancel_pages([incident])
    if user:
        policy = routing.policies_for([incident]).get(incident.pk)
        frozen = snapshot.of_person(user, then=policy)
    elif policy:
        frozen = snapshot.of_policy(policy)
    return _arm([(incident, policy, frozen)], now=now)[0]


def running(incident: Incident) -> EscalationRun | None:
    return incident.escalation_runs.filter(status=RunStatus.RUNNING).first()


def tick(now: datetime | None = None) -> int:
    """Carry out every step that is due. Safe to run anywhere, any number at once. Returns how many."""
    total = 0
    while carried_out := _carry_out_batch(now or timezone.now()):
        total += carried_out
        if carried_out < BATCH:
            break
    return total


@dataclass
class Outcome:
    """What the steps of one batch ask to be written."""

    pages: list[PageRequest] = field(default_factory=list)
    entries: list[TimelineEntry] = field(default_factory=list)


@transaction.atomic
def _carry_out_batch(now: datetime) -> int:
    runs = list(
        EscalationRun.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("incident__service__team")
        .filter(due_at__lte=now)
        .order_by("priority", "due_at")[:BATCH]
    )
    if not runs:
        return 0
    targets = Targets(run.snapshot for run in runs)
    outcome = Outcome()
    for run in runs:
        try:
            _advance(run, targets, now, outcome)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("escalation run %s cannot be carried out; trying again later", run.pk)
            run.due_at = now + FAULT_PAUSE
    for run in runs:
        run.updated_at = now
    EscalationRun.objects.bulk_update(
        runs, ["loop", "step", "due_at", "status", "ended_at", "end_reason", "updated_at"]
    )
    for request in outbox.page(outcome.pages, now=now):
        reason = f"{request.user} has switched all contact methods off"
        outcome.entries.append(timeline.entry(request.incident, Kind.NOBODY_TO_PAGE, at=now, reason=reason))
    timeline.record_all(outcome.entries)
    return len(runs)


def _advance(run: EscalationRun, targets: Targets, now: datetime, outcome: Outcome) -> None:
    """Carry out the due step; steps that reach nobody are told and passed over at once."""
    incident, steps = run.incident, run.snapshot["steps"]
    while True:
        if run.step >= len(steps):
            # Count the loop even when it paged nobody, or it never ends.
            if run.loop >= run.snapshot["repeat"] or not steps:
                run.status, run.due_at = RunStatus.EXHAUSTED, None
                run.ended_at, run.end_reason = now, "exhausted"
                outcome.entries.append(
                    timeline.entry(incident, Kind.ESCALATION_EXHAUSTED, at=now, policy=run.snapshot["policy"])
                )
                return
            run.loop, run.step = run.loop + 1, 0
        step = steps[run.step]
        people = targets.people(step, at=now)
        loop, number = run.loop, run.step
        names = [target["name"] for target in step["targets"]]
        run.step += 1
        if people:
            outcome.entries.append(
                timeline.entry(
                    incident,
                    Kind.STEP_REACHED,
                    at=now,
                    people=[str(person) for person in people],
                    targets=names,
                    loop=loop,
                    step=number,
                )
            )
            outcome.pages += [PageRequest(person, incident, run.pk, loop, number) for person in people]
            run.due_at = now + timedelta(seconds=step["delay_seconds"])
            return
        reason = f"step {number + 1} reaches nobody ({', '.join(names) or 'it has no targets'})"
        outcome.entries.append(timeline.entry(incident, Kind.NOBODY_TO_PAGE, at=now, reason=reason))


@dataclass(frozen=True)
class UpcomingStep:
    """A step that will be carried out at `at` unless somebody answers, and whom it would reach then."""

    at: datetime
    loop: int
    step: int
    people: list[User]
    targets: list[str]


def upcoming(incident: Incident, *, limit: int = 5) -> list[UpcomingStep]:
    """Who will be next, and when; empty when nothing is running."""
    run = running(incident)
    if run is None or run.due_at is None:
        return []
    result: list[UpcomingStep] = []
    targets = Targets([run.snapshot])
    at, loop, number = run.due_at, run.loop, run.step
    steps = run.snapshot["steps"]
    while len(result) < limit and steps:
        if number >= len(steps):
            if loop >= run.snapshot["repeat"]:
                break
            loop, number = loop + 1, 0
        step = steps[number]
        people = targets.people(step, at=at)
        names = [target["name"] for target in step["targets"]]
        result.append(UpcomingStep(at, loop, number, people, names))
        if people:
            at += timedelta(seconds=step["delay_seconds"])
        number += 1
    return result
