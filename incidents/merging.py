"""Merging: two incidents turn out to be one problem, and go on as one. It is undone by alerts.splitting, which knows the alerts.

The source is resolved and says where it goes on; its escalation and its waiting pages stop, and its alerts move.
The target keeps its status, whoever is on it, and its own story: each of the two timelines tells of the merge and
links the other.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from teams.access import require_respond

from . import lifecycle, signals, timeline
from .enums import Kind, Severity, Status
from .exceptions import IncidentIsOver, IncidentMerged, MergedIntoItself
from .models import Incident
from .timeline import Actor


@transaction.atomic
def merge(*, source_ids: Iterable[UUID], target_id: UUID, actor: Actor) -> Incident:
    """Let the sources go on in the target, which becomes as severe as the worst of them. Returns the target.

    A source that was merged into the target before stays as it is, so a doubled click is harmless.
    Raises MergedIntoItself; IncidentMerged and IncidentIsOver unless source and target are unresolved; and
    PermissionMissing when a person may not act for the teams of all of them. Then nothing is merged.
    """
    sources = set(source_ids)
    if target_id in sources:
        raise MergedIntoItself(field="into")
    found = {incident.pk: incident for incident in lifecycle.lock([*sources, target_id])}
    target = found.pop(target_id)
    if actor.user:
        for team in {incident.service.team for incident in [target, *found.values()]}:
            require_respond(actor.user, team)
    merged = [incident for incident in found.values() if incident.merged_into_id != target_id]
    if not merged:
        return target
    for incident in [target, *merged]:
        _require_unresolved(incident)
    _write(merged, target, actor)
    return target


def _require_unresolved(incident: Incident) -> None:
    if incident.merged_into:
        raise IncidentMerged(number=incident.number, into=incident.merged_into.number)
    if incident.is_resolved:
        raise IncidentIsOver(number=incident.number)


def _write(merged: list[Incident], target: Incident, actor: Actor) -> None:
    now = timezone.now()
    for incident in merged:
        incident.move_to(Status.RESOLVED, at=now, by=actor.user)
        incident.merged_into, incident.updated_at = target, now
    Incident.objects.bulk_update(
        merged, ["status", "snoozed_until", "resolved_at", "resolved_by", "merged_into", "updated_at"]
    )
    target.last_alert_at = max(incident.last_alert_at for incident in [target, *merged])
    target.save(update_fields=["last_alert_at", "updated_at"])
    entries = [
        timeline.entry(incident, Kind.MERGED_INTO, actor=actor, at=now, numbers=[target.number])
        for incident in merged
    ]
    numbers = sorted(incident.number for incident in merged)
    timeline.record_all([*entries, timeline.entry(target, Kind.MERGED, actor=actor, at=now, numbers=numbers)])
    worst = min((Severity(incident.severity) for incident in [target, *merged]), key=lambda s: s.rank)
    lifecycle.set_severities([(target, worst)], actor=actor)
    signals.incidents_merged.send(sender=Incident, incidents=merged, target=target, actor=actor)


def undo_locked(source: Incident, target: Incident, *, actor: Actor, count: int) -> None:
    """Let an incident, which goes on in `target`, be one of its own again: it is open. Rows locked by the caller, who has
    given it its `count` alerts back."""
    now = timezone.now()
    source.merged_into = None
    source.move_to(Status.OPEN, at=now)
    source.assigned_to = None
    source.save()
    timeline.record_all(
        [
            timeline.entry(source, Kind.UNMERGED, actor=actor, at=now, numbers=[target.number], count=count),
            timeline.entry(
                target, Kind.UNMERGED_FROM, actor=actor, at=now, numbers=[source.number], count=count
            ),
        ]
    )
    signals.incidents_reopened.send(sender=Incident, incidents=[source], actor=actor)
