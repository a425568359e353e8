"""Live rooms: what happens reaches every open page, and pages that were away catch up.

A room is named `incident:ID`, `service:ID`, `team:ID` or `user:ID`. What is published here is written to LiveEvent
in the caller's transaction, so it is told if and only if that is committed; timeline entries are written there by a
trigger. The web processes read it from there (incidents.live); the channel layer only wakes them, so Redis is in
nobody's way. Alerts' counters (`tell_alerts`) go over the channel layer alone: they may be lost, and that is said.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from django.db import transaction

from openalert import sql

from .bulk import IncidentRow
from .live.publisher import Publisher, publisher
from .models import Incident, TimelineEntry

__all__ = ["Publisher", "publisher"]

WRITE = """
INSERT INTO incidents_liveevent (kind, incident_id, team_id, user_id, data)
SELECT * FROM json_to_recordset(%s::json)
    AS k(kind text, incident_id uuid, team_id uuid, user_id uuid, data jsonb)
"""


class _Row(msgspec.Struct):
    kind: str
    data: dict[str, Any]
    incident_id: UUID | None = None
    team_id: UUID | None = None
    user_id: UUID | None = None


def publish_entries(entries: Sequence[TimelineEntry]) -> None:
    """Wake the web processes for timeline entries when the transaction commits; their events are written already."""
    if entries:
        _wake_on_commit()


def publish_incident(incident: Incident, kind: str, **data: Any) -> None:
    """Tell the incident's, its service's and its team's rooms that something about it changed."""
    _write([_Row(kind, data, incident_id=incident.pk)])


def publish_to_user(user_id: UUID, kind: str, data: dict[str, Any]) -> None:
    """Tell one person's open pages."""
    publish_to_users([(user_id, kind, data)])


def publish_to_users(events: Iterable[tuple[UUID, str, dict[str, Any]]]) -> None:
    """Tell people's open pages: (person's id, kind, data) each. One statement."""
    _write([_Row(kind, data, user_id=user_id) for user_id, kind, data in events])


def publish_to_teams(events: Iterable[tuple[UUID, str, dict[str, Any]]]) -> None:
    """Tell teams' rooms: (team's id, kind, data) each. One statement."""
    _write([_Row(kind, data, team_id=team_id) for team_id, kind, data in events])


def publish_alerts(incidents: Sequence[IncidentRow]) -> None:
    """Tell, when the transaction commits, that alerts of the incidents fired and the timeline says nothing."""
    if incidents:
        transaction.on_commit(partial(tell_alerts, incidents), robust=True)


def tell_alerts(incidents: Iterable[IncidentRow]) -> None:
    """The same at once, for whoever has committed. Of each incident the rooms hear once in a second or so."""
    for incident in incidents:
        rooms = [f"incident:{incident.id}", f"service:{incident.service_id}", f"team:{incident.team_id}"]
        summary = {
            "incident_id": incident.id,
            "number": incident.number,
            "title": incident.title,
            "severity": incident.severity,
            "status": incident.status,
        }
        publisher.send_counter(incident.id, rooms, summary)


def _write(rows: list[_Row]) -> None:
    if rows:
        sql.execute(WRITE, [sql.as_json(rows)])
        _wake_on_commit()


def _wake_on_commit() -> None:
    transaction.on_commit(publisher.wake, robust=True)
