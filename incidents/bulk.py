"""Incidents as intake needs them: many at once, without making a model of each. Ids are text (openalert.sql)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from openalert import sql


class IncidentRow(NamedTuple):
    """What intake has to know of an incident, without making a model of each."""

    id: str
    number: int
    title: str
    status: str
    severity: str
    service_id: str
    team_id: str
    last_alert_at: datetime
    alert_entries: int


class Joinable(msgspec.Struct, frozen=True, gc=False):
    """A group whose incident is looked for; its last alert must have come at `since` or later."""

    service: str
    key: str
    since: datetime


JOINABLE = """
SELECT DISTINCT ON (k.service, k.key) k.service::text, k.key, i.id::text
FROM json_to_recordset(%s::json) AS k(service uuid, key text, since timestamptz)
JOIN incidents_incident i
  ON i.service_id = k.service AND i.grouping_key = k.key AND i.status <> 'resolved'
 AND i.last_alert_at >= k.since
ORDER BY k.service, k.key, i.last_alert_at DESC
"""

INCIDENTS = """
SELECT i.id::text, i.number, i.title, i.status, i.severity, i.service_id::text, s.team_id::text,
    i.last_alert_at, i.alert_entries
FROM incidents_incident i JOIN teams_service s ON s.id = i.service_id
WHERE i.id = ANY(%s::uuid[]) ORDER BY i.id
"""

TOLD = """
UPDATE incidents_incident SET last_alert_at = %s, alert_entries = alert_entries + 1, updated_at = %s
WHERE id = ANY(%s::uuid[])
"""


def to_join(groups: Sequence[Joinable]) -> dict[tuple[str, str], str]:
    """The id of each group's newest unresolved incident, by service and key; no entry where there is none."""
    if not groups:
        return {}
    return {(service, key): incident for service, key, incident in sql.fetch(JOINABLE, [sql.as_json(groups)])}


def read(ids: Iterable[str], *, share: bool = False) -> dict[str, IncidentRow]:
    """Incidents by id. With `share` none of them can be resolved before the transaction ends.

    Rows that are locked are locked in the order of their ids.
    """
    ids = list(ids)
    if not ids:
        return {}
    statement = f"{INCIDENTS} FOR SHARE OF i" if share else INCIDENTS
    return {row[0]: IncidentRow(*row) for row in sql.fetch(statement, [sql.as_array(ids)])}


def told(incident_ids: Iterable[str], *, now: datetime) -> None:
    """The timeline has told of alerts that fire now; the rows are locked."""
    sql.execute(TOLD, [now, now, sql.as_array(incident_ids)])
