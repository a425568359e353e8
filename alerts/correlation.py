"""Which alerts belong to one incident."""

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.db import connection

from incidents import bulk

from .enums import Grouping
from .problems import Arrival

GroupId = tuple[str, str]  # service's id as text, grouping key


class Group(NamedTuple):
    """Where a new alert may join: an incident of the service with this key ("" joins none) and window."""

    service_id: str
    grouping_key: str
    window: timedelta

    @property
    def id(self) -> GroupId:
        return self.service_id, self.grouping_key


def group_of(arrival: Arrival) -> Group:
    integration = arrival.integration
    return Group(arrival.service.id_text, grouping_key(arrival), integration.grouping_window)


def grouping_key(arrival: Arrival) -> str:
    """What alerts of one incident have in common, as a short digest; "" when it stands alone."""
    integration, event = arrival.integration, arrival.event
    if arrival.grouping is not None:
        return _digest("text", arrival.grouping)
    match integration.grouping:
        case Grouping.NAME:
            return _digest(Grouping.NAME, event.name)
        case Grouping.LABELS:
            labels = integration.grouping_labels
            return _digest(
                Grouping.LABELS, *(part for name in labels for part in (name, event.labels.get(name)))
            )
        case Grouping.ALL:
            return _digest(Grouping.ALL)
        case _:
            return ""


@lru_cache(100_000)
def _digest(grouping: str, *common: str | None) -> str:
    return hashlib.sha256(json.dumps([grouping, *common]).encode()).hexdigest()


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


def incidents_to_join(groups: Iterable[Group], *, now: datetime) -> dict[GroupId, str]:
    """For each group the id of the newest unresolved incident whose last alert is within the window."""
    wanted = {group.id: group for group in groups if group.grouping_key}
    return bulk.to_join(
        [bulk.Joinable(group.service_id, group.grouping_key, now - group.window) for group in wanted.values()]
    )
