"""What becomes of running escalations when things change: an answer runs out, an incident gets worse, a wait ends early."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from incidents import lifecycle, timeline
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident
from openalert.wake import wake

from . import routing, snapshot
from .engine import TICK_TASK, Beginning, begin, stop
from .enums import RunStatus
from .models import EscalationPolicy, EscalationRun

BATCH = 200


def acknowledged(incidents: Iterable[Incident], *, now: datetime) -> None:
    """End the incidents' runs (incident rows locked); where the policy has a time-out, paging goes on after it."""
    incidents = list(incidents)
    stop(incidents, reason="acknowledged", now=now)
    runs = EscalationRun.objects.filter(incident__in=incidents).order_by("incident_id", "-created_at", "-pk")
    by_timeout: dict[int, list[UUID]] = {}
    for run in runs.distinct("incident_id"):
        if timeout := run.snapshot.get("acknowledge_timeout_seconds"):
            by_timeout.setdefault(timeout, []).append(run.pk)
    for seconds, ids in by_timeout.items():
        EscalationRun.objects.filter(pk__in=ids).update(
            resumes_at=now + timedelta(seconds=seconds), updated_at=now
        )


@transaction.atomic
def resume(now: datetime | None = None) -> int:
    """Open a batch of incidents whose acknowledgement has run out; paging goes on. Returns how many runs were looked at.

    As PagerDuty does: whoever acknowledged is paged again, and with them the step that was reached, as it is staffed
    now; the next steps follow.
    """
    now = now or timezone.now()
    due = EscalationRun.objects.filter(resumes_at__lte=now)
    candidates = set(due.order_by("resumes_at").values_list("incident_id", flat=True)[:BATCH])
    if not candidates:
        return 0
    # Incidents before runs, as everywhere; those that somebody holds are for the next time.
    incidents = {incident.pk: incident for incident in lifecycle.lock(candidates, skip_locked=True)}
    runs = list(due.filter(incident__in=incidents))
    EscalationRun.objects.filter(pk__in=[run.pk for run in runs]).update(resumes_at=None, updated_at=now)
    found = [(incidents[run.incident_id], run) for run in runs]
    resumed = [(incident, run) for incident, run in found if incident.status == Status.ACKNOWLEDGED]
    beginnings = [_where_it_stood(incident, run) for incident, run in resumed]
    lifecycle.expire_acknowledgements_locked([incident for incident, _ in resumed])
    begin(beginnings, now=now)
    return len(runs)


def _where_it_stood(incident: Incident, run: EscalationRun) -> Beginning:
    step = max(run.step - 1, 0)
    frozen = run.snapshot
    if incident.acknowledged_by:
        frozen = snapshot.with_person(frozen, incident.acknowledged_by, step=step)
    return Beginning(incident, run.policy, frozen, run.loop, step, run.is_by_hand)


def severity_changed(incidents: Iterable[Incident], *, now: datetime) -> None:
    """Let running escalations wait their turn by the severity as it is now (rows locked, set already).

    Where it is worse, the policy is chosen anew. Another one starts from its first step; whoever was paged stays
    paged. What a person asked for is left alone. An open incident that nobody was paged for gets its policy, too.
    """
    incidents = list(incidents)
    newest: dict[UUID, EscalationRun] = {}
    runs = EscalationRun.objects.filter(incident__in=incidents).order_by("incident_id", "-created_at", "-pk")
    for run in runs.distinct("incident_id"):
        newest[run.incident_id] = run
    worse = [i for i in incidents if i.status == Status.OPEN and _is_worse(i, newest.get(i.pk))]
    chosen = routing.policies_for(worse, at=now) if worse else {}
    moved = [
        (incident, newest.get(incident.pk), chosen[incident.pk])
        for incident in worse
        if incident.pk in chosen and not _is_of(newest.get(incident.pk), chosen[incident.pk])
    ]
    _reroute(moved, now)
    gone = {incident.pk for incident, *_ in moved}
    _reprioritise([incident for incident in incidents if incident.pk not in gone], now)


def _is_worse(incident: Incident, run: EscalationRun | None) -> bool:
    """Compared with what its newest run was armed for; without a run, anything is."""
    return run is None or (Severity(incident.severity).rank < run.priority and not run.is_by_hand)


def _is_of(run: EscalationRun | None, policy: EscalationPolicy) -> bool:
    return run is not None and run.policy_id == policy.pk


def _reroute(moved: list[tuple[Incident, EscalationRun | None, EscalationPolicy]], now: datetime) -> None:
    if not moved:
        return
    stop([incident for incident, *_ in moved], reason="rerouted", now=now)
    timeline.record_all(
        timeline.entry(incident, Kind.REROUTED, at=now, policy=policy.name, before=before.snapshot["policy"])
        for incident, before, policy in moved
        if before
    )
    begin([Beginning(incident, policy, snapshot.of_policy(policy)) for incident, _, policy in moved], now=now)


def _reprioritise(incidents: Iterable[Incident], now: datetime) -> None:
    of_rank: dict[int, list[Incident]] = {}
    for incident in incidents:
        of_rank.setdefault(Severity(incident.severity).rank, []).append(incident)
    for rank, same in of_rank.items():
        running = EscalationRun.objects.filter(incident__in=same, status=RunStatus.RUNNING)
        running.update(priority=rank, updated_at=now)
        # What waited as it was not urgent may be so now.
        if running.exclude(waits_for="").update(due_at=now):
            wake(TICK_TASK)


def look_again(*, team_ids: Iterable[UUID], now: datetime) -> None:
    """Let the runs of these teams that wait find out whether they still have to; what they wait for is locked.

    A run that is being carried out just now is passed by: that transaction waits for ours, and sees what has changed.
    """
    lanes = set(team_ids)
    waiting = EscalationRun.objects.filter(
        Q(lane__in=lanes) | Q(incident__service__team__in=lanes), status=RunStatus.RUNNING
    ).exclude(waits_for="")
    ids = list(waiting.select_for_update(of=("self",), skip_locked=True).values_list("pk", flat=True))
    if EscalationRun.objects.filter(pk__in=ids, due_at__gt=now).update(due_at=now, updated_at=now):
        wake(TICK_TASK)
