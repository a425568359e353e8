"""Old alerts and changes go, in small batches: none holds a lock that intake waits for.

Only alerts that are over are removed: events no longer go to them, and their incidents are resolved. The incidents and
their timelines stay.
"""

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from openalert import sql
from openalert.ids import uuid7_floor

from . import noise

BATCH = 2_000
PAUSE_SECONDS = 0.05
# One call of the task, which does both, ends before the next begins.
MOST_SECONDS = 240
MOST_SECONDS_FOR_CHANGES = 40

# Ids are in the order of time, so the oldest are at one end of the primary key. `above` lets a call pass over what it
# has found to be still current.
REMOVE = """
WITH oldest AS MATERIALIZED (
    SELECT id, is_current FROM alerts_alert
    WHERE id > %s::uuid AND id < %s::uuid ORDER BY id LIMIT %s
), old AS MATERIALIZED (
    SELECT a.id FROM alerts_alert a WHERE a.id = ANY (ARRAY(SELECT id FROM oldest WHERE NOT is_current))
    ORDER BY a.id FOR UPDATE SKIP LOCKED
), additions AS (
    DELETE FROM alerts_alertadditions d WHERE d.alert_id = ANY (ARRAY(SELECT id FROM old))
), moves AS (
    DELETE FROM alerts_alertmove m WHERE m.alert_id = ANY (ARRAY(SELECT id FROM old))
), removed AS (
    DELETE FROM alerts_alert a WHERE a.id = ANY (ARRAY(SELECT id FROM old)) AND NOT a.is_current RETURNING 1
)
SELECT (SELECT max(id::text) FROM oldest), (SELECT count(*) FROM oldest), (SELECT count(*) FROM removed)
"""
REMOVE_CHANGES = """
WITH old AS MATERIALIZED (
    SELECT id FROM alerts_change WHERE id < %s::uuid ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
DELETE FROM alerts_change c WHERE c.id = ANY (ARRAY(SELECT id FROM old))
"""
FIRST = "00000000-0000-0000-0000-000000000000"


def remove_old(*, days: int, now: datetime | None = None, most_seconds: float = MOST_SECONDS) -> int:
    """Remove alerts that first fired more than `days` ago and are over; 0 days keeps all. Returns how many.

    Each batch is a transaction of its own: it may be stopped at any time, and run by several at once.
    """
    if not days:
        return 0
    oldest_kept = (now or timezone.now()) - timedelta(days=days)
    noise.forget_before(oldest_kept)
    before = uuid7_floor(oldest_kept)
    above, total = FIRST, 0
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        with transaction.atomic():
            sql.prefer_indexes()
            [(above, seen, removed)] = sql.fetch(REMOVE, [above, before, BATCH])
        total += removed
        if seen < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    return total


def remove_old_changes(
    *, days: int, now: datetime | None = None, most_seconds: float = MOST_SECONDS_FOR_CHANGES
) -> int:
    """Remove changes that were told of more than `days` ago; 0 days keeps all. Returns how many.

    Each batch is a transaction of its own, as for alerts.
    """
    if not days:
        return 0
    before = uuid7_floor((now or timezone.now()) - timedelta(days=days))
    total = 0
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        removed = sql.execute(REMOVE_CHANGES, [before, BATCH])
        total += removed
        if removed < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    return total
