"""Old timelines go, in small batches: of incidents that were resolved long ago. The incidents themselves stay, and so
do the first and the last entry of each, which say when and by whom it was opened and resolved.
"""

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from openalert import sql
from openalert.ids import uuid7_floor

BATCH = 200
PAUSE_SECONDS = 0.05
MOST_SECONDS = 240

# Ids are in the order of opening. `above` lets a call go on behind what it has seen to.
REMOVE = """
WITH oldest AS MATERIALIZED (
    SELECT id, status, resolved_at FROM incidents_incident
    WHERE id > %s::uuid AND id < %s::uuid ORDER BY id LIMIT %s
), kept AS MATERIALIZED (
    SELECT o.id, t.first, t.last FROM oldest o CROSS JOIN LATERAL (
        SELECT min(e.id) AS first, max(e.id) AS last FROM incidents_timelineentry e WHERE e.incident_id = o.id
    ) t
    WHERE o.status = 'resolved' AND o.resolved_at < %s
), removed AS (
    DELETE FROM incidents_timelineentry e USING kept k
    WHERE e.incident_id = k.id AND e.id > k.first AND e.id < k.last RETURNING 1
)
SELECT (SELECT max(id::text) FROM oldest), (SELECT count(*) FROM oldest), (SELECT count(*) FROM removed)
"""
FIRST = "00000000-0000-0000-0000-000000000000"


def remove_old_entries(*, days: int, now: datetime | None = None, most_seconds: float = MOST_SECONDS) -> int:
    """Thin the timelines of incidents that were resolved more than `days` ago; 0 days keeps all. Returns how many
    entries were removed.

    Each batch is a transaction of its own: it may be stopped at any time, and run by several at once.
    """
    if not days:
        return 0
    before = (now or timezone.now()) - timedelta(days=days)
    above, total = FIRST, 0
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        with transaction.atomic():
            sql.prefer_indexes()
            [(above, seen, removed)] = sql.fetch(REMOVE, [above, uuid7_floor(before), BATCH, before])
        total += removed
        if seen < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    return total
