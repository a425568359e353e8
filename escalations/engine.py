"""The escalation engine: a run pages one step after the other until somebody answers.

All state is in PostgreSQL. A run's `due_at` says when its next step is carried out; any number of workers
may call `tick`, each claims rows that no other has. Answering an incident deletes the due time in the same
transaction as the change of its status, so no page can be decided after an answer.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity, Status, Urgency
from incidents.models import Incident
from incidents.timeline import Actor
from notifications import outbox
from notifications.enums import Purpose
from notifications.outbox import PageRequest
from openalert import figures
from openalert.wake import wake
from teams.enums import Role
from teams.models import Membership, User

from . import claims, routing, snapshot
from .ahead import look_ahead
from .enums import RunStatus
from .exceptions import NothingToEscalate, ReassignToOne
from .models import EscalationPolicy, EscalationRun
from .routing import LabelsOf
from .snapshot import Snapshot
from .steps import Outcome, Reached, Surroundings, carry_out

logger = logging.getLogger(__name__)

TICK_TASK = "escalations.tasks.tick"
BATCH = 500
# A run that cannot be carried out (a fault of ours) is put aside so long, so that it holds up no other.
FAULT_PAUSE = timedelta(seconds=30)
# What waits as all that fires has some labels is looked at so often: intake tells of no alert that has others, which
# keeps it as fast where there is no such maintenance.
LABELS_PAUSE = timedelta(seconds=10)


@dataclass(frozen=True)
class Beginning:
    """A run that is to begin: at a step, of a policy or of what a person asked for."""

    incident: Incident
    policy: EscalationPolicy | None
    snapshot: Snapshot
    loop: int = 0
    step: int = 0
    is_by_hand: bool = False

    def run(self, *, now: datetime) -> EscalationRun:
        """The run, due now and not written."""
        return EscalationRun(
            incident=self.incident,
            policy=self.policy,
            snapshot=self.snapshot,
            priority=Severity(self.incident.severity).rank,
            lane=self.incident.service.team_id,
            loop=self.loop,
            step=self.step,
            is_by_hand=self.is_by_hand,
            due_at=now,
        )


def start(incidents: Iterable[Incident], *, now: datetime, labels: LabelsOf | None = None) -> None:
    """Arm the policy in charge of each incident (rows locked); its first step is due at once.

    `labels` are those of their alerts where these are not stored yet.
    """
    incidents = list(incidents)
    policies = routing.policies_for(incidents, at=now, labels=labels)
    begin(
        [
            Beginning(i, policies[i.pk], snapshot.of_policy(policies[i.pk]))
            for i in incidents
            if i.pk in policies
        ],
        now=now,
    )
    timeline.record_all(
        timeline.entry(
            incident,
            Kind.NOBODY_TO_PAGE,
            at=now,
            reason=f"no routing rule of {incident.service.team} takes this incident, and there is no default policy",
        )
        for incident in incidents
        if incident.pk not in policies
    )


def begin(beginnings: Iterable[Beginning], *, now: datetime) -> list[EscalationRun]:
    """Write runs that are due at once, and tell of them. Their incidents (rows locked) have none that is running."""
    runs = EscalationRun.objects.bulk_create(given.run(now=now) for given in beginnings)
    if runs:
        timeline.record_all(
            timeline.entry(run.incident, Kind.ESCALATION_STARTED, at=now, policy=run.snapshot["policy"])
            for run in runs
        )
        wake(TICK_TASK)
    return runs


def stop(incidents: Iterable[Incident], *, reason: str, now: datetime) -> None:
    """End the incidents' runs (incident rows locked): no further step will be carried out, and none goes on later."""
    of_incidents = EscalationRun.objects.filter(incident__in=list(incidents))
    of_incidents.filter(status=RunStatus.RUNNING).update(
        status=RunStatus.STOPPED, due_at=None, ended_at=now, end_reason=reason, updated_at=now
    )
    of_incidents.filter(resumes_at__isnull=False).update(resumes_at=None, updated_at=now)


@transaction.atomic
def hurry(*, run_id: UUID, loop: int, step: int, now: datetime) -> bool:
    """Carry out what follows a step now, as nobody whom the step paged can be reached. Whether it does.

    Only within a round: the wait before the next one stays, or a provider's bad ten minutes would use up the policy.
    A run that has gone on or ended meanwhile is left alone, so repeating it is harmless; so is one that waits for a
    maintenance window or working hours. One that finds such a wait when it is carried out then waits, too.
    """
    run = (
        EscalationRun.objects.select_for_update()
        .filter(pk=run_id, status=RunStatus.RUNNING, loop=loop, step=step + 1, due_at__gt=now, waits_for="")
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
    previous = incident.escalation_runs.newest_first().first()
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
    run.due_at, run.is_by_hand = now, True
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
        policy = routing.policies_for([incident], at=now).get(incident.pk)
        frozen = snapshot.of_person(user, then=policy)
    elif policy:
        frozen = snapshot.of_policy(policy)
    return begin([Beginning(incident, policy, frozen, is_by_hand=True)], now=now)[0]


def running(incident: Incident) -> EscalationRun | None:
    return incident.escalation_runs.filter(status=RunStatus.RUNNING).first()


def upcoming(incident: Incident, *, limit: int = 5) -> list[Reached]:
    """Who will be next unless somebody answers, and when; empty when nothing is running."""
    run = (
        incident.escalation_runs.filter(status=RunStatus.RUNNING)
        .select_related("incident__service__team")
        .first()
    )
    return look_ahead(run, most=limit).steps if run else []


def tick(now: datetime | None = None) -> int:
    """Carry out every step that is due. Safe to run anywhere, any number at once. Returns how many."""
    total = 0
    while carried_out := _carry_out_batch(now or timezone.now()):
        total += carried_out
    return total


@transaction.atomic
def _carry_out_batch(now: datetime) -> int:
    runs = claims.claim(now, limit=BATCH)
    if not runs:
        return 0
    around = Surroundings.of(runs, at=now, is_writing=True)
    outcome = Outcome()
    due_at = [run.due_at for run in runs if run.due_at]
    for run in runs:
        before = run.loop, run.step
        try:
            done = carry_out(run, around, now=now)
            if run.due_at and any(wait.is_by_labels for wait in done.waits):
                run.due_at = min(run.due_at, now + LABELS_PAUSE)
            outcome.add(done)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("escalation run %s cannot be carried out; trying again later", run.pk)
            run.loop, run.step = before
            run.due_at = now + FAULT_PAUSE
    claims.write(runs, now=now)
    around.targets.save_turns()
    _tell(outcome, around, now)
    transaction.on_commit(partial(_count, due_at), robust=True)
    return len(runs)


def _count(due_at: Iterable[datetime]) -> None:
    now = timezone.now()
    for instant in due_at:
        figures.count(figures.STEPS)
        figures.observe(figures.STEP_LATENESS, (now - instant).total_seconds())


def _tell(outcome: Outcome, around: Surroundings, now: datetime) -> None:
    """Write the pages and the entries that steps ask for; where a policy has ended, its team's managers hear of it."""
    managers = managers_of({run.incident.service.team_id for run in outcome.ended})
    notices: list[PageRequest] = []
    for run in outcome.ended:
        told = managers.get(run.incident.service.team_id, [])
        outcome.entries.append(
            timeline.entry(
                run.incident,
                Kind.ESCALATION_EXHAUSTED,
                at=now,
                policy=run.snapshot["policy"],
                told=[str(person) for person in told],
            )
        )
        # No page has the place behind the last step, so that there is one notice for each run.
        place = len(run.snapshot["steps"])
        notices += [
            PageRequest(
                person,
                run.incident,
                run.pk,
                run.loop,
                place,
                Purpose.NOTICE,
                Urgency.LOW if around.waits.quiet_window(run.incident, at=now) else None,
            )
            for person in told
        ]
    for request in outbox.page([*outcome.pages, *notices], now=now):
        reason = f"{request.user} has switched all contact methods off"
        outcome.entries.append(timeline.entry(request.incident, Kind.NOBODY_TO_PAGE, at=now, reason=reason))
    timeline.record_all(outcome.entries)


def managers_of(team_ids: set[UUID]) -> dict[UUID, list[User]]:
    """The active managers of each team that has any."""
    found: dict[UUID, list[User]] = {}
    if team_ids:
        memberships = Membership.objects.filter(
            team__in=team_ids, role=Role.MANAGER, user__is_active=True
        ).select_related("user")
        for membership in memberships:
            found.setdefault(membership.team_id, []).append(membership.user)
    return found
