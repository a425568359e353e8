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
    alert_entries: int
    was_quiet: bool  # since an instant that the reader named


class Joinable(msgspec.Struct, frozen=True, gc=False):
    """A group whose incident is looked for; its last alert must have come at `since` or later."""

    service: str
    key: str
    since: datetime


# A group whose incident was merged goes on in the one it was merged into.
JOINABLE = """
WITH RECURSIVE wanted AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s::json) AS k(service uuid, key text, since timestamptz)
), goes_on AS (
    SELECT k.service, k.key, k.since, i.merged_into_id AS id
    FROM wanted k
    JOIN incidents_incident i
      ON i.service_id = k.service AND i.grouping_key = k.key AND i.merged_into_id IS NOT NULL
    UNION
    SELECT g.service, g.key, g.since, i.merged_into_id
    FROM goes_on g JOIN incidents_incident i ON i.id = g.id
    WHERE i.merged_into_id IS NOT NULL
), found AS (
    SELECT k.service, k.key, i.id, i.last_alert_at
    FROM wanted k
    JOIN incidents_incident i
      ON i.service_id = k.service AND i.grouping_key = k.key AND i.status <> 'resolved'
     AND i.last_alert_at >= k.since
    UNION ALL
    SELECT g.service, g.key, i.id, i.last_alert_at
    FROM goes_on g JOIN incidents_incident i ON i.id = g.id
    WHERE i.status <> 'resolved' AND i.last_alert_at >= g.since
)
SELECT DISTINCT ON (service, key) service::text, key, id::text
FROM found ORDER BY service, key, last_alert_at DESC
"""

INCIDENTS = """
SELECT i.id::text, i.number, i.title, i.status, i.severity, i.service_id::text, s.team_id::text,
    i.alert_entries, i.last_alert_at < %s
FROM incidents_incident i JOIN teams_service s ON s.id = i.service_id
WHERE i.id = ANY(%s::uuid[])
"""

SHARED = """
WITH locked AS MATERIALIZED (
    SELECT id, status FROM incidents_incident WHERE id = ANY(%s::uuid[]) ORDER BY id FOR SHARE
)
SELECT id::text FROM locked WHERE status = 'resolved'
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


def read(ids: Iterable[str], *, quiet_since: datetime) -> dict[str, IncidentRow]:
    """Incidents by id, without a lock."""
    ids = list(ids)
    if not ids:
        return {}
    return {row[0]: IncidentRow(*row) for row in sql.fetch(INCIDENTS, [quiet_since, sql.as_array(ids)])}


def keep_unresolved(ids: Iterable[str]) -> bool:
    """Lock incidents so that none is resolved before the transaction ends; False if one is resolved already.

    Any number of transactions may hold them so at once.
    """
    ids = list(ids)
    return not ids or not sql.fetch(SHARED, [sql.as_array(ids)])


def told(incident_ids: Iterable[str], *, now: datetime) -> None:
    """The timeline has told of alerts that fire now; the rows are locked."""
    sql.execute(TOLD, [now, now, sql.as_array(incident_ids)])
