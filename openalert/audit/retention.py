"""Old lines of the audit log go, in small batches, by the one way that the database leaves open."""

import time
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from openalert import sql

BATCH = 1000
PAUSE_SECONDS = 0.05
MOST_SECONDS = 240

SWITCH = "SELECT set_config('openalert.audit_retention', %s, true)"
REMOVE = """
DELETE FROM openalert_auditentry WHERE id IN (
    SELECT id FROM openalert_auditentry WHERE at < %s ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
)
"""


def remove_old_entries(*, days: int, now: datetime | None = None, most_seconds: float = MOST_SECONDS) -> int:
    """Remove what is older than `days`, which are 30 or more; 0 keeps all. Returns how many lines were removed.

    Each batch is a transaction of its own: it may be stopped at any time, and run by several at once.
    """
    if not days:
        return 0
    before = (now or timezone.now()) - timedelta(days=days)
    total = 0
    deadline = time.monotonic() + most_seconds
    while time.monotonic() < deadline:
        with transaction.atomic():
            sql.fetch(SWITCH, ["on"])
            removed = sql.execute(REMOVE, [before, BATCH])
            sql.fetch(SWITCH, ["off"])
        total += removed
        if removed < BATCH:
            break
        time.sleep(PAUSE_SECONDS)
    return total
