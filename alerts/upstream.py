"""Correlation along service dependencies: the problem of one service is a symptom of another's.

A service is downstream of what it depends on, over however many others. The setting of such a path is that of its
least willing dependency (off, suggest, join), its window the shortest. An upstream incident counts as long as it is
unresolved and its last alert has come within the window.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from incidents import timeline
from incidents.enums import Kind
from incidents.models import Incident
from openalert import sql
from teams.models import User

FARTHEST = 10  # dependencies; longer paths are not followed
MOST_TOLD = 3  # upstream incidents in one timeline entry


def _paths(name: str, begin: str, end: str) -> str:
    """A table of the paths from some services, by their ids; `begin` and `end` say in which direction.

    One of two paths between the same services with the same length, setting and window is enough.
    """
    return f"""{name} AS (
    SELECT d.{begin} AS start, d.{end} AS service, d.window_minutes AS minutes, 1 AS length,
        d.correlation = 'join' AS joins
    FROM teams_servicedependency d
    WHERE d.{begin} = ANY(%s::uuid[]) AND d.correlation <> 'off'
    UNION
    SELECT p.start, d.{end}, least(p.minutes, d.window_minutes), p.length + 1, p.joins AND d.correlation = 'join'
    FROM {name} p JOIN teams_servicedependency d ON d.{begin} = p.service
    WHERE d.correlation <> 'off' AND p.length < {FARTHEST}
)"""  # noqa: S608 - of our own constants


UP = _paths("up", "service_id", "upstream_id")
DOWN = _paths("down", "upstream_id", "service_id")

# After the length of the path: the farthest upstream is nearest to the cause.
AMONG_EQUALS = (
    "array_position(ARRAY['critical', 'high', 'medium', 'low'], i.severity::text), i.opened_at, i.id"
)
UPSTREAM_NOW = """
FROM up p
JOIN incidents_incident i ON i.service_id = p.service AND i.status <> 'resolved'
    AND i.last_alert_at >= %s - p.minutes * interval '1 minute'
"""
TO_JOIN = f"""WITH RECURSIVE {UP}
SELECT DISTINCT ON (p.start) p.start, i.id {UPSTREAM_NOW} AND p.joins
ORDER BY p.start, p.length DESC, {AMONG_EQUALS}
"""
TO_TELL = f"""WITH RECURSIVE {UP}
SELECT p.start, i.number, s.name {UPSTREAM_NOW}
JOIN teams_service s ON s.id = p.service
GROUP BY p.start, i.id, s.id
ORDER BY p.start, max(p.length) DESC, {AMONG_EQUALS}
"""
TO_SUGGEST = f"""WITH RECURSIVE {UP}, {DOWN}
SELECT DISTINCT i.id, p.is_upstream
FROM (
    SELECT service, minutes, true AS is_upstream FROM up UNION ALL SELECT service, minutes, false FROM down
) AS p
JOIN incidents_incident i ON i.service_id = p.service AND i.status <> 'resolved'
    AND i.last_alert_at >= %s - p.minutes * interval '1 minute'
    AND i.opened_at <= %s + p.minutes * interval '1 minute'
"""  # noqa: S608
DOWNSTREAM = f"WITH RECURSIVE {DOWN} SELECT DISTINCT service FROM down"  # noqa: S608


def upstream_to_join(service_ids: Iterable[UUID], *, now: datetime) -> dict[UUID, UUID]:
    """For each service the upstream incident that its new alerts join; no entry where there is none.

    Every dependency on the way says `join`. Of several incidents it is the farthest upstream, then the most
    severe, then the oldest. One query, without a lock: whoever joins has to lock the incident and check that it
    is not resolved.
    """
    rows = sql.fetch(TO_JOIN, [sql.as_array(map(str, service_ids)), now])
    return dict(rows)


def tell_of_upstream(incidents: Sequence[Incident]) -> None:
    """Write into the timelines of new incidents which upstream incidents they may come from. One query, if none."""
    found: dict[UUID, list[tuple[int, str]]] = {}
    services = {str(incident.service_id) for incident in incidents}
    for service, number, name in sql.fetch(TO_TELL, [sql.as_array(services), timezone.now()]):
        found.setdefault(service, []).append((number, name))
    timeline.record_all(
        timeline.entry(
            incident,
            Kind.UPSTREAM_OPEN,
            at=incident.opened_at,
            dependent=incident.service.name,
            numbers=[number for number, _ in upstream[:MOST_TOLD]],
            services=list(dict.fromkeys(name for _, name in upstream[:MOST_TOLD])),
        )
        for incident in incidents
        if (upstream := found.get(incident.service_id))
    )


class Suggestion(NamedTuple):
    """An incident that may be the same problem, service and team loaded; upstream, or else downstream."""

    incident: Incident
    is_upstream: bool


def suggestions(incident: Incident, *, user: User) -> list[Suggestion]:
    """Unresolved incidents up and down the dependencies that `user` may see; those upstream first, then the oldest.

    Of each, the time between its first alert and its last comes within the window of the incident's own. Nothing
    is suggested for an incident that is resolved.
    """
    if incident.is_resolved:
        return []
    service = sql.as_array([str(incident.service_id)])
    is_upstream: dict[UUID, bool] = dict(
        sql.fetch(TO_SUGGEST, [service, service, incident.opened_at, incident.last_alert_at])
    )
    found = Incident.objects.visible_to(user).filter(pk__in=is_upstream).select_related("service__team")
    return sorted(
        (Suggestion(other, is_upstream[other.pk]) for other in found),
        key=lambda suggestion: (not suggestion.is_upstream, suggestion.incident.opened_at),
    )


def downstream_of(service_id: UUID) -> set[UUID]:
    """The services that depend on the service, over however many others."""
    return {service for (service,) in sql.fetch(DOWNSTREAM, [sql.as_array([str(service_id)])])}
