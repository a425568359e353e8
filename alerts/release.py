"""What rules held back becomes alerts when it is due: the work of beat each second."""

from datetime import datetime

import msgspec
from django.db import transaction
from django.utils import timezone

from openalert import sql

from . import intake, store
from .enums import AlertStatus
from .events import AlertEvent
from .held import marked
from .models import HeldAlert
from .problems import Arrival

BATCH = 500
MOST_EXPIRED = 5_000

EXPIRE = """
DELETE FROM alerts_heldalert WHERE id IN (
    SELECT id FROM alerts_heldalert WHERE expires_at <= %s ORDER BY expires_at LIMIT %s FOR UPDATE SKIP LOCKED
)
"""


def release_due(now: datetime | None = None) -> int:
    """Make alerts of what has lasted, and forget what did not come often. Returns how many became alerts.

    Safe to run anywhere, any number at once: a row becomes an alert in the transaction that removes it.
    """
    now = now or timezone.now()
    sql.execute(EXPIRE, [now, MOST_EXPIRED])
    total = 0
    while released := _release_batch(now):
        total += released
        if released < BATCH:
            break
    return total


@transaction.atomic
def _release_batch(now: datetime) -> int:
    due = list(
        HeldAlert.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("integration__service__team", "to_service__team")
        .filter(due_at__lte=now)
        .order_by("due_at")[:BATCH]
    )
    HeldAlert.objects.filter(pk__in=[row.pk for row in due]).delete()
    # Its rule was taken away, and it was sent again since: the alert that it has is the newer one.
    keys = [(row.integration.id_text, row.dedup_key) for row in due]
    fire_already = {place for place, alert in store.current(keys) if alert.status == AlertStatus.FIRING}
    intake.ingest([_released(row) for place, row in enumerate(due) if place not in fire_already])
    return len(due)


def _released(row: HeldAlert) -> Arrival:
    event = msgspec.convert(row.event, AlertEvent)
    since = row.firing_since or row.last_fired_at
    return Arrival(
        row.integration,
        marked(event, since, row.count),
        to_service=row.to_service,
        grouping=row.grouping,
        earlier=row.count - 1,
    )
