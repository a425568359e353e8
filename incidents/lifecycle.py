"""Every change of an incident: lock, check, write, tell. Nothing else writes incidents, but incidents.merging."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from openalert import sql
from teams.models import Service, User

from . import mentions, signals, timeline
from .enums import Kind, Severity, Status
from .exceptions import EmptyNote, IncidentMerged, InvalidTransition, SnoozeInThePast
from .models import Incident, TimelineEntry
from .timeline import SYSTEM, Actor

WAKE_BATCH = 200

# Who did something to several incidents: one for all of them, or each one's own, by the incident's id.
Actors = Actor | Mapping[UUID, Actor]


def _of(actor: Actors, incident: Incident) -> Actor:
    return actor if isinstance(actor, Actor) else actor[incident.pk]


def lock(incident_ids: Iterable[UUID], *, skip_locked: bool = False) -> list[Incident]:
    """The incidents, locked until the transaction ends, in one order so that two callers cannot deadlock.

    The lock is FOR NO KEY UPDATE: rows that only point at the incident can be inserted meanwhile. `skip_locked`
    leaves out those that somebody else has locked.
    """
    return list(
        Incident.objects.select_for_update(of=("self",), no_key=True, skip_locked=skip_locked)
        .select_related("service__team")
        .filter(pk__in=incident_ids)
        .order_by("pk")
    )


def lock_one(incident_id: UUID) -> Incident:
    """One incident, locked until the transaction ends. Raises Incident.DoesNotExist."""
    return (
        Incident.objects.select_for_update(of=("self",), no_key=True)
        .select_related("service__team")
        .get(pk=incident_id)
    )


@transaction.atomic(savepoint=False)
def open_incidents(
    incidents: list[Incident],
    *,
    actor: Actors,
    details: dict[UUID, dict[str, object]] | None = None,
    labels: Mapping[UUID, Sequence[Mapping[str, str]]] | None = None,
) -> list[Incident]:
    """Write new incidents in one statement and tell: escalations are armed in this transaction.

    `details` adds to an incident's timeline entry, by its id; `labels` are those of the alerts that it is opened
    for, which are not stored yet. The incidents come back with their numbers.
    """
    if not incidents:
        return []
    Incident.objects.bulk_create(incidents)
    numbers = dict(Incident.objects.filter(pk__in=[i.pk for i in incidents]).values_list("pk", "number"))
    for incident in incidents:
        incident.number = numbers[incident.pk]
    timeline.record_all(
        timeline.entry(
            incident,
            Kind.OPENED,
            actor=_of(actor, incident),
            at=incident.opened_at,
            severity=incident.severity,
            **(details or {}).get(incident.pk, {}),
        )
        for incident in incidents
    )
    signals.incidents_opened.send(sender=Incident, incidents=incidents, actor=actor, labels=labels or {})
    return incidents


@transaction.atomic
def open_by_hand(
    *, service: Service, title: str, severity: Severity, actor: Actor, note: str = ""
) -> Incident:
    """A person declares an incident that no monitoring system saw; escalation starts."""
    now = timezone.now()
    incident = Incident(
        service=service, title=title, severity=severity, status=Status.OPEN, opened_at=now, last_alert_at=now
    )
    open_incidents([incident], actor=actor)
    if note.strip():
        timeline.record(incident, Kind.NOTE, actor=actor, text=note.strip())
    return incident


@transaction.atomic
def acknowledge(*, incident_id: UUID, actor: Actor) -> Incident:
    """Mark the incident as being worked on; escalation stops.

    Repeating it changes nothing, so a doubled click or reply is harmless.
    Raises InvalidTransition once the incident is resolved.
    """
    incident = lock_one(incident_id)
    acknowledge_locked([incident], actor=actor)
    return incident


def acknowledge_locked(incidents: list[Incident], *, actor: Actors) -> None:
    """Acknowledge incidents whose rows the caller has locked; those that are already stay as they are.

    Raises InvalidTransition if one is resolved.
    """
    now = timezone.now()
    changed = [incident for incident in incidents if incident.status != Status.ACKNOWLEDGED]
    for incident in changed:
        by = _of(actor, incident).user
        incident.move_to(Status.ACKNOWLEDGED, at=now, by=by)
        if incident.assigned_to_id is None:
            incident.assigned_to = by
        incident.updated_at = now
    if changed:
        fields = ["status", "snoozed_until", "acknowledged_at", "acknowledged_by", "assigned_to"]
        first = ["first_acknowledged_at", "first_acknowledged_by"]
        sql.update(changed, [*fields, *first, "updated_at"])
        timeline.record_all(
            timeline.entry(i, Kind.ACKNOWLEDGED, actor=_of(actor, i), at=now) for i in changed
        )
        signals.incidents_acknowledged.send(sender=Incident, incidents=changed, actor=actor)


@transaction.atomic
def unacknowledge(*, incident_id: UUID, actor: Actor) -> Incident:
    """Take the acknowledgement or the snooze back; escalation starts over.

    Repeating it changes nothing. Raises InvalidTransition once the incident is resolved.
    """
    incident = lock_one(incident_id)
    if incident.status == Status.OPEN:
        return incident
    if incident.status == Status.RESOLVED:
        raise InvalidTransition(number=incident.number, status=incident.status, wanted="unacknowledged")
    incident.move_to(Status.OPEN, at=timezone.now())
    incident.assigned_to = None
    incident.save()
    timeline.record(incident, Kind.UNACKNOWLEDGED, actor=actor)
    signals.incidents_unacknowledged.send(sender=Incident, incidents=[incident], actor=actor)
    return incident


def expire_acknowledgements_locked(incidents: list[Incident]) -> None:
    """Nobody has resolved these acknowledged incidents in time: they are open again. Rows locked by the caller, who
    goes on with the paging."""
    now = timezone.now()
    entries = []
    for incident in incidents:
        who = str(incident.acknowledged_by) if incident.acknowledged_by else ""
        since = incident.acknowledged_at or now
        minutes = int((now - since).total_seconds() // 60)
        entries.append(
            timeline.entry(incident, Kind.ACKNOWLEDGEMENT_EXPIRED, at=now, user=who, minutes=minutes)
        )
        incident.move_to(Status.OPEN, at=now)
        incident.updated_at = now
    sql.update(incidents, ["status", "acknowledged_at", "acknowledged_by", "updated_at"])
    timeline.record_all(entries)
    if incidents:
        signals.incidents_acknowledgements_expired.send(sender=Incident, incidents=incidents, actor=SYSTEM)


@transaction.atomic
def snooze(*, incident_id: UUID, until: datetime, actor: Actor) -> Incident:
    """Be silent until `until` (aware), then open again and page from the start.

    Raises SnoozeInThePast, and InvalidTransition once the incident is resolved.
    """
    incident = lock_one(incident_id)
    snooze_locked([incident], until=until, actor=actor)
    return incident


def snooze_locked(incidents: list[Incident], *, until: datetime, actor: Actors) -> None:
    """Snooze incidents whose rows the caller has locked, also those that are snoozed already.

    Raises SnoozeInThePast, and InvalidTransition if one is resolved.
    """
    now = timezone.now()
    if until <= now:
        raise SnoozeInThePast(field="until")
    for incident in incidents:
        incident.move_to(Status.SNOOZED, at=now)
        incident.snoozed_until, incident.updated_at = until, now
    if incidents:
        sql.update(incidents, ["status", "snoozed_until", "updated_at"])
        told = {"until": until.astimezone(UTC).isoformat()}
        timeline.record_all(
            timeline.entry(i, Kind.SNOOZED, actor=_of(actor, i), at=now, **told) for i in incidents
        )
        signals.incidents_snoozed.send(sender=Incident, incidents=incidents, actor=actor)


@transaction.atomic
def wake_snoozed(now: datetime | None = None) -> int:
    """Open a batch of incidents whose snooze has ended; paging starts again. Returns how many."""
    now = now or timezone.now()
    incidents = list(
        Incident.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
        .select_related("service__team")
        .filter(status=Status.SNOOZED, snoozed_until__lte=now)
        .order_by("pk")[:WAKE_BATCH]
    )
    for incident in incidents:
        incident.move_to(Status.OPEN, at=now)
        incident.assigned_to = None
        incident.save()
    if incidents:
        timeline.record_all(timeline.entry(incident, Kind.WOKEN, at=now) for incident in incidents)
        signals.incidents_woken.send(sender=Incident, incidents=incidents, actor=SYSTEM)
    return len(incidents)


def resolve(*, incident_id: UUID, actor: Actor) -> Incident:
    """The problem is over; escalation stops and its open alerts are closed. Repeating it changes nothing."""
    with transaction.atomic():
        incident = lock_one(incident_id)
        resolve_locked([incident], actor=actor)
        return incident


def resolve_locked(incidents: list[Incident], *, actor: Actors) -> None:
    """Resolve incidents whose rows the caller has locked; those that are resolved already stay as they are."""
    now = timezone.now()
    changed = [incident for incident in incidents if incident.status != Status.RESOLVED]
    for incident in changed:
        incident.move_to(Status.RESOLVED, at=now, by=_of(actor, incident).user)
        incident.updated_at = now
    if changed:
        sql.update(changed, ["status", "snoozed_until", "resolved_at", "resolved_by", "updated_at"])
        timeline.record_all(timeline.entry(i, Kind.RESOLVED, actor=_of(actor, i), at=now) for i in changed)
        signals.incidents_resolved.send(sender=Incident, incidents=changed, actor=actor)


@transaction.atomic
def reopen(*, incident_id: UUID, actor: Actor) -> Incident:
    """It was not over; escalation starts from the first step. Repeating it changes nothing.

    Raises InvalidTransition when the incident is acknowledged or snoozed, and IncidentMerged when it goes on in
    another.
    """
    incident = lock_one(incident_id)
    if incident.status == Status.OPEN:
        return incident
    if incident.merged_into:
        raise IncidentMerged(number=incident.number, into=incident.merged_into.number)
    if incident.status != Status.RESOLVED:
        raise InvalidTransition(number=incident.number, status=incident.status, wanted="reopened")
    incident.move_to(Status.OPEN, at=timezone.now())
    incident.assigned_to = None
    incident.save()
    timeline.record(incident, Kind.REOPENED, actor=actor)
    signals.incidents_reopened.send(sender=Incident, incidents=[incident], actor=actor)
    return incident


@transaction.atomic
def change_severity(*, incident_id: UUID, severity: Severity, actor: Actor) -> Incident:
    """Set the severity. Repeating it changes nothing."""
    incident = lock_one(incident_id)
    set_severities([(incident, severity)], actor=actor)
    return incident


def set_severities(changes: list[tuple[Incident, Severity]], *, actor: Actors) -> None:
    """Set the severities of incidents whose rows the caller has locked; the same ones change nothing."""
    now = timezone.now()
    changes = [(incident, after) for incident, after in changes if incident.severity != after]
    entries = []
    for incident, after in changes:
        before, incident.severity, incident.updated_at = incident.severity, after, now
        told = {"before": before, "after": after}
        by = _of(actor, incident)
        entries.append(timeline.entry(incident, Kind.SEVERITY_CHANGED, actor=by, at=now, **told))
    if changes:
        changed = [incident for incident, _ in changes]
        sql.update(changed, ["severity", "updated_at"])
        timeline.record_all(entries)
        signals.incidents_severity_changed.send(sender=Incident, incidents=changed, actor=actor)


def assign_locked(incident: Incident, *, user: User | None, to: str, actor: Actor) -> None:
    """Hand an incident, whose row the caller has locked, to a person or (`user` None) to whom `to` names.

    An acknowledged or snoozed incident is open again: whoever gets it is to answer for themselves. The
    caller starts the paging. Raises InvalidTransition once the incident is resolved.
    """
    if incident.status != Status.OPEN:
        if incident.is_resolved:
            raise InvalidTransition(number=incident.number, status=incident.status, wanted="reassigned")
        incident.move_to(Status.OPEN, at=timezone.now())
    incident.assigned_to = user
    incident.save()
    timeline.record(incident, Kind.REASSIGNED, actor=actor, to=to)


@transaction.atomic
def add_note(*, incident_id: UUID, text: str, actor: Actor) -> TimelineEntry:
    """Write a note (Markdown) into the timeline, whatever the status; members of the team whom it mentions are told.

    Raises EmptyNote.
    """
    text = text.strip()
    if not text:
        raise EmptyNote(field="text")
    incident = lock_one(incident_id)
    people = mentions.mentioned(text, incident.service.team)
    told: dict[str, Any] = {"mentions": [str(person) for person in people]} if people else {}
    entry = timeline.record(incident, Kind.NOTE, actor=actor, text=text, **told)
    mentions.tell(people, incident, entry)
    return entry


@transaction.atomic
def set_summary(*, incident_id: UUID, text: str, actor: Actor) -> Incident:
    """Write what is known by now (Markdown; empty: nothing) above the incident, whatever the status. Repeating it changes
    nothing."""
    text = text.strip()
    incident = lock_one(incident_id)
    if incident.summary != text:
        incident.summary = text
        incident.save(update_fields=["summary", "updated_at"])
        timeline.record(incident, Kind.SUMMARY_CHANGED, actor=actor, text=text)
    return incident
