"""Which alerts belong to one incident."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from incidents.models import Incident

from .enums import Grouping
from .events import AlertEvent
from .models import Integration


class Group(NamedTuple):
    """Where a new alert may join: an incident of the service with this key ("" joins none) and window."""

    service_id: UUID
    grouping_key: str
    window: timedelta


def grouping_key(integration: Integration, event: AlertEvent) -> str:
    """What alerts of one incident have in common, as a short digest; "" when it stands alone."""
    if integration.grouping == Grouping.NONE:
        return ""
    common: list[str | None] = []
    if integration.grouping == Grouping.NAME:
        common = [event.name]
    elif integration.grouping == Grouping.LABELS:
        common = [part for label in integration.grouping_labels for part in (label, event.labels.get(label))]
    return hashlib.sha256(json.dumps([integration.grouping, *common]).encode()).hexdigest()


def lock_groups(groups: Iterable[Group]) -> None:
    """Hold the groups until the transaction ends, so that two transactions cannot both open their incident.

    Advisory locks, taken in one order; two groups with the same 63-bit digest merely wait for each other.
    """
    numbers = sorted(
        {
            int.from_bytes(hashlib.sha256(f"{g.service_id}/{g.grouping_key}".encode()).digest()[:8]) >> 1
            for g in groups
            if g.grouping_key
        }
    )
    if numbers:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_advisory_xact_lock(n)) FROM (SELECT unnest(%s::bigint[]) AS n) AS k",
                [numbers],
            )


def incidents_to_join(groups: Iterable[Group], *, now: datetime) -> dict[Group, UUID]:
    """For each group the newest unresolved incident whose last alert is within the window."""
    groups = {group for group in groups if group.grouping_key}
    if not groups:
        return {}
    newest: dict[tuple[UUID, str], tuple[UUID, datetime]] = {}
    for incident, service, key, last_alert_at in (
        Incident.objects.filter(
            service__in={group.service_id for group in groups},
            grouping_key__in={group.grouping_key for group in groups},
        )
        .unresolved()
        .order_by("last_alert_at")
        .values_list("pk", "service_id", "grouping_key", "last_alert_at")
    ):
        newest[service, key] = incident, last_alert_at
    found: dict[Group, UUID] = {}
    for group in groups:
        candidate = newest.get((group.service_id, group.grouping_key))
        if candidate and candidate[1] >= now - group.window:
            found[group] = candidate[0]
    return found
