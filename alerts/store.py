"""The alerts table's bulk statements: one JSON parameter for each, whatever the size of the batch."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection

Key = tuple[UUID, str]


class Changed(Exception):
    """Another transaction has changed what this one has read: start over."""


class CurrentAlert(msgspec.Struct, frozen=True):
    """The current alert of a key as it was when read."""

    id: UUID
    status: str
    incident_id: UUID


class NewAlert(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    integration_id: UUID
    incident_id: UUID
    dedup_key: str
    title: str
    severity: str
    source: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    count: int


class FiredAgain(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is what the alert must still have; `count` is added to its own."""

    id: UUID
    status: str
    title: str
    severity: str
    source: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    count: int


CURRENT = """
SELECT k.integration_id, k.dedup_key, a.id, a.status, a.incident_id
FROM json_to_recordset(%s::json) AS k(integration_id uuid, dedup_key text)
JOIN alerts_alert a
  ON a.integration_id = k.integration_id AND a.dedup_key = k.dedup_key AND a.is_current
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

# The rows are locked in the order of their ids before they are updated: two batches cannot deadlock.
FIRE_AGAIN = """
WITH k AS (
    SELECT * FROM json_to_recordset(%s::json) AS k(id uuid, status text, title text, severity text,
        source text, labels jsonb, metadata jsonb, count bigint)
), locked AS MATERIALIZED (
    SELECT a.id FROM alerts_alert a JOIN k ON k.id = a.id
    WHERE a.is_current AND a.status = k.status
    ORDER BY a.id FOR NO KEY UPDATE OF a
)
UPDATE alerts_alert a
SET status = 'firing', resolved_at = NULL, title = k.title, severity = k.severity, source = k.source,
    labels = k.labels, metadata = k.metadata, count = a.count + k.count, last_fired_at = %s,
    updated_at = now()
FROM k JOIN locked USING (id)
WHERE a.id = k.id
"""

RESOLVE = """
WITH locked AS MATERIALIZED (
    SELECT id FROM alerts_alert
    WHERE id = ANY(%s) AND is_current AND status = 'firing'
    ORDER BY id FOR NO KEY UPDATE
)
UPDATE alerts_alert a SET status = 'resolved', resolved_at = %s, updated_at = now()
FROM locked WHERE a.id = locked.id
"""


def current(keys: Iterable[Key]) -> dict[Key, CurrentAlert]:
    """The current alerts of the keys, without a lock."""
    wanted = [{"integration_id": integration, "dedup_key": dedup_key} for integration, dedup_key in keys]
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(CURRENT, [_json(wanted)])
        return {(row[0], row[1]): CurrentAlert(*row[2:]) for row in cursor.fetchall()}


def insert(alerts: Sequence[NewAlert], *, now: datetime) -> None:
    """Write new alerts. Raises Changed when another transaction has stored one of them."""
    if alerts:
        _execute(INSERT, [now, now, _json(alerts)], expected=len(alerts))


def fire_again(alerts: Sequence[FiredAgain], *, now: datetime) -> None:
    """Count alerts that fire again. Raises Changed when one is no longer as it was."""
    if alerts:
        _execute(FIRE_AGAIN, [_json(alerts), now], expected=len(alerts))


def resolve(ids: Sequence[UUID], *, now: datetime) -> None:
    """Close firing alerts. Raises Changed when one is no longer firing."""
    if ids:
        _execute(RESOLVE, [list(ids), now], expected=len(ids))


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _execute(statement: str, parameters: list[Any], *, expected: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        if cursor.rowcount != expected:
            raise Changed(f"{cursor.rowcount} of {expected} alerts were as expected")
