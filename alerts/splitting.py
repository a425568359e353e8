"""Splitting: alerts of an incident turn out to be another problem, or two that were merged are not one after all.

Both timelines keep what happened, before and now. Events with the alerts' dedup keys go where their alert is
(alerts.intake), so repeats go to the new incident for as long as it is unresolved; new alerts of the same group stay
with the old one. The new one is escalated by the rules that hold for its service, severity and labels.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import lifecycle, merging, timeline
from incidents.enums import Kind, Severity, Status
from incidents.exceptions import IncidentIsOver, IncidentMerged, NotMerged
from incidents.models import Incident
from incidents.timeline import Actor
from openalert import sql
from teams.access import require_respond

from .edits import labels_of
from .exceptions import NothingToSplit, SplitsEverything
from .models import Alert

MOST_AT_ONCE = 500
MOST_NAMED = 3

MOVE = """
WITH locked AS MATERIALIZED (
    SELECT id FROM alerts_alert WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE alerts_alert a SET incident_id = %s, updated_at = %s FROM locked WHERE a.id = locked.id
"""
# Those that came from it by a merge and have not been moved on by a split.
MOVE_BACK = """
WITH locked AS MATERIALIZED (
    SELECT a.id FROM alerts_alertmove m JOIN alerts_alert a ON a.id = m.alert_id
    WHERE m.incident_id = %s AND a.incident_id = %s
    ORDER BY a.id FOR NO KEY UPDATE OF a
)
UPDATE alerts_alert a SET incident_id = %s, updated_at = %s FROM locked WHERE a.id = locked.id
"""
FORGET = "DELETE FROM alerts_alertmove WHERE incident_id = %s"


@transaction.atomic
def split(*, incident_id: UUID, alert_ids: Iterable[UUID], actor: Actor, title: str = "") -> Incident:
    """Move alerts of an incident into a new one; returns that. Its title is the first alert's unless one is given.

    It is about the service that all of the alerts came in for, else about the old incident's. Raises IncidentMerged and
    IncidentIsOver unless the incident is unresolved, NothingToSplit when none of the alerts is its own (any more),
    SplitsEverything when no alert would stay, and PermissionMissing when a person may not act for both teams.
    """
    source = lifecycle.lock_one(incident_id)
    _require_unresolved(source)
    wanted = list(dict.fromkeys(alert_ids))[:MOST_AT_ONCE]
    alerts = list(
        Alert.objects.filter(incident=source, pk__in=wanted)
        .select_related("integration__service__team", "additions")
        .order_by("pk")
    )
    if not alerts:
        raise NothingToSplit(field="alerts")
    if not Alert.objects.filter(incident=source).exclude(pk__in=[alert.pk for alert in alerts]).exists():
        raise SplitsEverything(field="alerts")
    services = {alert.integration.service_id: alert.integration.service for alert in alerts}
    service = next(iter(services.values())) if len(services) == 1 else source.service
    if actor.user:
        for team in {source.service.team, service.team}:
            require_respond(actor.user, team)
    now = timezone.now()
    worst = min((Severity(alert.severity) for alert in alerts), key=lambda severity: severity.rank)
    new = Incident(
        service=service,
        title=title.strip()[:1024] or alerts[0].title,
        severity=worst,
        status=Status.OPEN,
        opened_at=now,
        last_alert_at=max(alert.last_fired_at for alert in alerts),
    )
    told = {
        "count": len(alerts),
        "titles": [alert.title for alert in alerts[:MOST_NAMED]],
    }
    lifecycle.open_incidents([new], actor=actor, labels={new.pk: [labels_of(alert) for alert in alerts]})
    ids = sql.as_array(str(alert.pk) for alert in alerts)
    sql.execute(MOVE, [ids, new.pk, now])
    timeline.record_all(
        [
            timeline.entry(source, Kind.SPLIT_OFF, actor=actor, at=now, numbers=[new.number], **told),
            timeline.entry(new, Kind.SPLIT_FROM, actor=actor, at=now, numbers=[source.number], **told),
        ]
    )
    return new


@transaction.atomic
def undo_merge(*, incident_id: UUID, actor: Actor) -> Incident:
    """Take an incident out of the one that it was merged into: it is open again with the alerts that it brought along,
    and its escalation starts over.

    Raises NotMerged; IncidentIsOver when the one in which it goes on is resolved; and PermissionMissing when a person
    may not act for the teams of both.
    """
    target = _end_of(incident_id)
    found = {incident.pk: incident for incident in lifecycle.lock([incident_id, target])}
    while (now_in := _end_of(incident_id)) != target:  # merged on while we waited
        target = now_in
        found = {incident.pk: incident for incident in lifecycle.lock([incident_id, target])}
    source, end = found[incident_id], found[target]
    if source is end:
        raise NotMerged(number=source.number)
    if actor.user:
        for team in {source.service.team, end.service.team}:
            require_respond(actor.user, team)
    if end.is_resolved:
        raise IncidentIsOver(number=end.number)
    # Before the incident is told to be open: escalation looks at its alerts.
    count = sql.execute(MOVE_BACK, [source.pk, end.pk, source.pk, timezone.now()])
    sql.execute(FORGET, [source.pk])
    merging.undo_locked(source, end, actor=actor, count=count)
    return source


def _require_unresolved(incident: Incident) -> None:
    if incident.merged_into:
        raise IncidentMerged(number=incident.number, into=incident.merged_into.number)
    if incident.is_resolved:
        raise IncidentIsOver(number=incident.number)


def _end_of(incident_id: UUID) -> UUID:
    """The incident in which one goes on, over however many merges; its own id when it is not merged."""
    [(end,)] = sql.fetch(
        """
        WITH RECURSIVE goes_on AS (
            SELECT id, merged_into_id, 0 AS step FROM incidents_incident WHERE id = %s
            UNION ALL
            SELECT i.id, i.merged_into_id, g.step + 1
            FROM goes_on g JOIN incidents_incident i ON i.id = g.merged_into_id WHERE g.step < 100
        )
        SELECT id FROM goes_on ORDER BY step DESC LIMIT 1
        """,
        [incident_id],
    )
    return end
