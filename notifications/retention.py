"""Old pages go with their delivery attempts, in small batches.

Only what is over is removed: sent, no longer needed, or a dead letter that somebody has put away, and of no incident
that is still unresolved, for a row is also what keeps a step from paging a second time.
"""

import time
from datetime import datetime, timedelta

from django.utils import timezone

from openalert import sql
from openalert.ids import uuid7_floor

BATCH = 1_000
PAUSE_SECONDS = 0.05
MOST_SECONDS = 240

# Ids are in the order of time. `above` lets a call pass over what has to stay.
REMOVE = """
WITH oldest AS MATERIALIZED (
    SELECT id, status, incident_id, discarded_at FROM notifications_notification
    WHERE id > %s::uuid AND id < %s::uuid ORDER BY id LIMIT %s
), over AS MATERIALIZED (
    SELECT o.id FROM oldest o LEFT JOIN incidents_incident i ON i.id = o.incident_id
    WHERE (o.status IN ('sent', 'cancelled') OR (o.status = 'dead' AND o.discarded_at IS NOT NULL))
    AND (i.id IS NULL OR i.status = 'resolved')
), locked AS MATERIALIZED (
    SELECT n.id FROM notifications_notification n WHERE n.id = ANY (ARRAY(SELECT id FROM over))
    ORDER BY n.id FOR UPDATE SKIP LOCKED
), attempts AS (
    DELETE FROM notifications_deliveryattempt a WHERE a.notification_id = ANY (ARRAY(SELECT id FROM locked))
), removed AS (
    DELETE FROM notifications_notification n WHERE n.id = ANY (ARRAY(SELECT id FROM locked)) RETURNING 1
)
SELECT (SELECT max(id::text) FROM oldest), (SELECT count(*) FROM oldest), (SELECT count(*) FROM removed)
"""
FIRST = "00000000-0000-0000-0000-000000000000"


def remove_old(*, days: int, now: datetime | None = None, most_seconds: float = MOST_SECONDS) -> int:
    """Remove notifications that were written more than `days` ago and are over; 0 days keeps all. Returns how many.

    Each batch is a transaction of its own: it may be stopped at any time, and run by several at once.
    """
    if not days:
        return 0
    before = uuid7_floor((now or timezone.now()) - timedelta(days=days))
    above, total = FIRST, 0
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        [(above, seen, removed)] = sql.fetch(REMOVE, [above, before, BATCH])
        total += removed
        if seen < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    return total
