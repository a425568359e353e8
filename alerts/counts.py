"""How many alerts incidents have, without counting for long: a storm's incident may have a million."""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from openalert import sql

MOST_COUNTED = 1_000

# Each count reads no more of its index than it may tell.
COUNTS = """
SELECT i.id,
    (SELECT count(*) FROM (SELECT FROM alerts_alert a WHERE a.incident_id = i.id LIMIT %s) AS counted),
    (SELECT count(*) FROM (
        SELECT FROM alerts_alert a WHERE a.incident_id = i.id AND a.status = 'firing' LIMIT %s
    ) AS counted)
FROM unnest(%s::uuid[]) AS i(id)
"""


class Counts(NamedTuple):
    """Of an incident's alerts; a number beyond MOST_COUNTED only says that there are more than that."""

    total: int
    firing: int

    @property
    def words(self) -> str:
        """“1 alert”, “12 alerts”, “3 of 12 alerts firing”, “1,000+ alerts”."""
        if self.firing == 0 or self.firing == self.total:
            return f"{_told(self.total)} {'alert' if self.total == 1 else 'alerts'}"
        return f"{_told(self.firing)} of {_told(self.total)} alerts firing"

    @property
    def state(self) -> str:
        """“none”, “all resolved”, “12 firing”, “3 of 12 firing”."""
        if not self.total:
            return "none"
        if not self.firing:
            return "all resolved"
        if self.firing == self.total:
            return f"{_told(self.firing)} firing"
        return f"{_told(self.firing)} of {_told(self.total)} firing"


def counts_of(incident_ids: Iterable[UUID]) -> dict[UUID, Counts]:
    """For each incident, also for those without alerts."""
    ids = sql.as_array(map(str, incident_ids))
    rows = sql.fetch(COUNTS, [MOST_COUNTED + 1, MOST_COUNTED + 1, ids])
    return {incident: Counts(total, firing) for incident, total, firing in rows}


def _told(count: int) -> str:
    return f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}"
