"""The alerts table's bulk statements. Ids are text here: see openalert.sql."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from openalert import sql

from .problems import Key


class Changed(Exception):
    """Another transaction has changed what this one has read: start over."""


class CurrentAlert(NamedTuple):
    """The current alert of a key as it was when read."""

    id: str
    status: str
    incident_id: str


class NewAlert(msgspec.Struct, frozen=True, gc=False):
    id: str
    integration_id: str
    incident_id: str
    dedup_key: str
    title: str
    severity: str
    source: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    count: int


class FiredAgain(msgspec.Struct, frozen=True, gc=False):
    """`status` is what the alert must still have; `count` is added to its own."""

    id: str
    status: str
    title: str
    severity: str
    source: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    count: int


CURRENT = """
SELECT k.n, a.id::text, a.status, a.incident_id::text
FROM json_to_recordset(%s::json) AS k(n int, i uuid, k text)
JOIN alerts_alert a ON a.integration_id = k.i AND a.dedup_key = k.k AND a.is_current
"""

INSERT = """
INSERT INTO alerts_alert (id, created_at, updated_at, integration_id, incident_id, dedup_key, is_current,
    status, title, severity, source, labels, metadata, count, first_fired_at, last_fired_at)
SELECT id, now(), now(), integration_id, incident_id, dedup_key, true,
    'firing', title, severity, source, labels, metadata, count, %s, %s
FROM json_to_recordset(%s::json) AS k(id uuid, integration_id uuid, incident_id uuid, dedup_key text,
    title text, severity text, source text, labels jsonb, metadata jsonb, count bigint)
ORDER BY integration_id, dedup_key
ON CONFLICT (integration_id, dedup_key) WHERE is_current DO NOTHING
"""

# The rows are locked in the order of their ids before they are updated: two batches cannot deadlock. Whether they
# are as expected is asked afterwards, so that no partial index looks like another way to them.
FIRE_AGAIN = """
WITH locked AS MATERIALIZED (
    SELECT k.*, a.is_current AND a.status = k.status AS is_expected
    FROM json_to_recordset(%s::json) AS k(id uuid, status text, title text, severity text,
        source text, labels jsonb, metadata jsonb, count bigint)
    JOIN alerts_alert a ON a.id = k.id
    ORDER BY a.id FOR NO KEY UPDATE OF a
)
UPDATE alerts_alert a
SET status = 'firing', resolved_at = NULL, title = k.title, severity = k.severity, source = k.source,
    labels = k.labels, metadata = k.metadata, count = a.count + k.count, last_fired_at = %s,
    updated_at = now()
FROM locked k
WHERE a.id = k.id AND k.is_expected
"""

RESOLVE = """
WITH locked AS MATERIALIZED (
    SELECT id, is_current AND status = 'firing' AS is_expected FROM alerts_alert
    WHERE id = ANY(%s::uuid[])
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE alerts_alert a SET status = 'resolved', resolved_at = %s, updated_at = now()
FROM locked WHERE a.id = locked.id AND locked.is_expected
"""

STILL_FIRING = """
SELECT DISTINCT incident_id::text FROM alerts_alert WHERE incident_id = ANY(%s::uuid[]) AND status = 'firing'
"""


def current(keys: Sequence[Key]) -> list[tuple[int, CurrentAlert]]:
    """The current alerts of the keys, without a lock, each with its key's place in the list."""
    if not keys:
        return []
    wanted = [{"n": place, "i": integration, "k": key} for place, (integration, key) in enumerate(keys)]
    return [(row[0], CurrentAlert(*row[1:])) for row in sql.fetch(CURRENT, [sql.as_json(wanted)])]


def insert(alerts: Sequence[NewAlert], *, now: datetime) -> bool:
    """Write new alerts. False when another transaction was faster with some of them: those are not written."""
    return not alerts or sql.execute(INSERT, [now, now, sql.as_json(alerts)]) == len(alerts)


def fire_again(alerts: Sequence[FiredAgain], *, now: datetime) -> None:
    """Count alerts that fire again. Raises Changed when one is no longer as it was."""
    if alerts:
        _write(FIRE_AGAIN, [sql.as_json(alerts), now], expected=len(alerts))


def resolve(ids: Sequence[str], *, now: datetime) -> None:
    """Close firing alerts. Raises Changed when one is no longer firing."""
    if ids:
        _write(RESOLVE, [sql.as_array(ids), now], expected=len(ids))


def still_firing(incident_ids: Iterable[str]) -> set[str]:
    """Which of the incidents have a firing alert."""
    return {row[0] for row in sql.fetch(STILL_FIRING, [sql.as_array(incident_ids)])}


def _write(statement: str, parameters: list[Any], *, expected: int) -> None:
    written = sql.execute(statement, parameters)
    if written != expected:
        raise Changed(f"{written} of {expected} alerts were as expected")
