"""What rules hold back: it was answered 2xx, so it is stored, and becomes an alert when it has lasted or come often.

Intake calls this in its own transaction, before it locks incidents; `alerts.release` makes alerts of what is due.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from openalert import sql
from openalert.ids import uuid7_texts

from . import store
from .events import AlertEvent
from .problems import Hold, Key, Problem


class Before(NamedTuple):
    """What there is of a key already."""

    id: str
    count: int
    fired_at: list[datetime]
    firing_since: datetime | None
    due_at: datetime | None
    expires_at: datetime | None


class Row(msgspec.Struct, frozen=True, gc=False):
    id: str
    integration: str
    key: str
    event: AlertEvent
    service: str | None
    grouping: str | None
    wait: timedelta | None
    times: int | None
    within: timedelta | None
    count: int
    fired_at: list[datetime]
    firing_since: datetime
    due_at: datetime | None
    expires_at: datetime | None


# By id, so that two batches with the same keys wait for each other and do not deadlock.
READ = """
SELECT k.n, h.id::text, h.count, h.fired_at, h.firing_since, h.due_at, h.expires_at
FROM json_to_recordset(%s::json) AS k(n int, i uuid, k text)
JOIN alerts_heldalert h ON h.integration_id = k.i AND h.dedup_key = k.k
ORDER BY h.id FOR UPDATE OF h
"""

WRITE = """
INSERT INTO alerts_heldalert AS h (id, created_at, updated_at, integration_id, dedup_key, event, to_service_id,
    grouping, wait, times, within, count, fired_at, firing_since, last_fired_at, due_at, expires_at)
SELECT k.id, now(), now(), k.integration, k.key, k.event, k.service,
    k.grouping, k.wait, k.times, k.within, k.count, k.fired_at, k.firing_since, %s, k.due_at, k.expires_at
FROM json_to_recordset(%s::json) AS k(id uuid, integration uuid, key text, event jsonb, service uuid,
    grouping text, wait interval, times smallint, within interval, count bigint, fired_at timestamptz[],
    firing_since timestamptz, due_at timestamptz, expires_at timestamptz)
ORDER BY k.integration, k.key
ON CONFLICT (integration_id, dedup_key) DO UPDATE
SET updated_at = now(), event = excluded.event, to_service_id = excluded.to_service_id,
    grouping = excluded.grouping, wait = excluded.wait, times = excluded.times, within = excluded.within,
    count = excluded.count, fired_at = excluded.fired_at, firing_since = excluded.firing_since,
    last_fired_at = excluded.last_fired_at, due_at = excluded.due_at, expires_at = excluded.expires_at
WHERE h.id = excluded.id
"""

REMOVE = "DELETE FROM alerts_heldalert WHERE id = ANY(%s::uuid[])"

# What is counted stays for its count; what only had to last is gone.
END = """
WITH locked AS MATERIALIZED (
    SELECT h.id, h.times IS NULL AS is_over
    FROM json_to_recordset(%s::json) AS k(n int, i uuid, k text)
    JOIN alerts_heldalert h ON h.integration_id = k.i AND h.dedup_key = k.k
    ORDER BY h.id FOR UPDATE OF h
), removed AS (
    DELETE FROM alerts_heldalert h USING locked WHERE h.id = locked.id AND locked.is_over
)
UPDATE alerts_heldalert h
SET firing_since = NULL, due_at = NULL, expires_at = h.last_fired_at + h.within, updated_at = now()
FROM locked WHERE h.id = locked.id AND NOT locked.is_over
"""


def lock(keys: Sequence[Key]) -> dict[Key, Before]:
    """What is held of the keys, until the transaction ends: nobody else makes an alert of it."""
    if not keys:
        return {}
    return {keys[row[0]]: Before(*row[1:]) for row in sql.fetch(READ, [_wanted(keys)])}


def hold(
    problems: Sequence[tuple[Key, Problem]], there: Mapping[Key, Before], *, now: datetime
) -> list[tuple[Key, Problem]]:
    """Of problems that fire and have a `hold`, those that stay back. The others are ripe: they become alerts now.

    `there` is what was locked. Raises store.Changed when another transaction began to hold one of them meanwhile.
    """
    rows: list[Row] = []
    stay: list[tuple[Key, Problem]] = []
    gone: list[str] = []
    for (key, problem), new_id in zip(problems, uuid7_texts(len(problems)), strict=True):
        before = there.get(key)
        row = _after(before, key, problem, new_id, now)
        if row.due_at is None or row.due_at > now:
            rows.append(row)
            stay.append((key, problem))
            continue
        if before:
            gone.append(before.id)
        problem.earlier += row.count - problem.count
        problem.event = marked(problem.event, row.firing_since, row.count)
    if gone:
        sql.execute(REMOVE, [sql.as_array(gone)])
    if rows and sql.execute(WRITE, [now, sql.as_json(rows)]) != len(rows):
        raise store.Changed("an alert was held back by another transaction")
    return stay


def end(keys: Sequence[Key], *, now: datetime) -> None:
    """These have been resolved: they are held no longer."""
    if keys:
        sql.execute(END, [_wanted(keys)])


def _wanted(keys: Sequence[Key]) -> str:
    return sql.as_json([{"n": n, "i": integration, "k": key} for n, (integration, key) in enumerate(keys)])


def _after(before: Before | None, key: Key, problem: Problem, new_id: str, now: datetime) -> Row:
    """The row of a problem that was sent now, be it ripe or not."""
    arrival = problem.arrival
    hold: Hold = arrival.hold  # type: ignore[assignment]  # the callers' promise
    if before and before.expires_at and before.expires_at <= now:
        before = before._replace(count=0, fired_at=[], firing_since=None)
    since = (before and before.firing_since) or now
    fired_at: list[datetime] = []
    often_enough = True
    if hold.times is not None and hold.within is not None:
        earlier = [at for at in before.fired_at if at > now - hold.within] if before else []
        fired_at = [*earlier, *[now] * min(problem.count, hold.times)][-hold.times :]
        was_enough = bool(before and before.firing_since and before.due_at)
        often_enough = was_enough or len(fired_at) == hold.times
    return Row(
        id=before.id if before else new_id,
        integration=key[0],
        key=key[1],
        event=problem.event,
        service=arrival.to_service.id_text if arrival.to_service else None,
        grouping=arrival.grouping,
        wait=hold.wait,
        times=hold.times,
        within=hold.within,
        count=(before.count if before else 0) + problem.count,
        fired_at=fired_at,
        firing_since=since,
        due_at=since + (hold.wait or timedelta()) if often_enough else None,
        expires_at=None if often_enough else now + (hold.within or timedelta()),
    )


def marked(event: AlertEvent, since: datetime, count: int) -> AlertEvent:
    """The event, with how it was held in its metadata: since when, and how often it was sent."""
    held: dict[str, Any] = {"since": since.isoformat(), "times": count}
    return msgspec.structs.replace(event, metadata=event.metadata | {"held": held})
