"""The common case of a storm: alerts that fire already, or join an incident that many have joined.

For them nothing has to be decided, opened or told, so one call of a function in the database does it all (its
text is in the migrations): it looks the alerts and their incidents up, holds the incidents against being
resolved, stores new alerts and counts the others. It does so for all of a batch or for nothing of it;
`intake` does the rest, and does the same for these when they come with others.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import msgspec

from incidents import rooms
from incidents.bulk import IncidentRow
from openalert import sql
from openalert.ids import uuid7_texts

from . import correlation
from .models import Integration
from .problems import Problem

TAKE = "SELECT * FROM alerts_take_known(%s::json, %s::json, %s, %s, %s)"


class Row(msgspec.Struct, frozen=True, gc=False):
    """A problem as the function reads it."""

    place: int
    id: str
    integration: str
    key: str
    title: str
    severity: str
    rank: int
    source: str
    labels: dict[str, str]
    metadata: dict[str, Any]
    count: int
    service: str
    group: str
    since: datetime


def take_known(
    problems: Collection[Problem],
    integrations: Collection[Integration],
    *,
    now: datetime,
    quiet_after: timedelta,
    told_entries: int,
) -> list[tuple[str, int]] | None:
    """Store firing problems of different keys, in a transaction of its own.

    Returns each one's outcome, repeated or joined, and its incident's number; None when one of them is
    neither, or an integration is not as remembered: then nothing is stored. Only incidents are joined here
    whose alerts have `told_entries` timeline entries, the last of them not older than `quiet_after`.
    """
    rows = []
    for place, (problem, alert_id) in enumerate(zip(problems, uuid7_texts(len(problems)), strict=True)):
        event, arrival = problem.event, problem.arrival
        group = correlation.group_of(arrival)
        rows.append(
            Row(
                place,
                alert_id,
                arrival.integration.id_text,
                event.dedup_key,
                event.title,
                problem.severity,
                problem.rank,
                event.source,
                event.labels,
                event.metadata,
                len(problem.indexes),
                group.service_id,
                group.grouping_key,
                now - group.window,
            )
        )
    remembered = [{"id": integration.id_text, "stamp": integration.stamp} for integration in integrations]
    told = sql.fetch(TAKE, [sql.as_json(rows), sql.as_json(remembered), now, now - quiet_after, told_entries])
    outcomes: list[Any] = [None] * len(rows)
    incidents = []
    for place, outcome, incident, number, *summary in told:
        if place is not None:
            outcomes[place] = (outcome, number)
        else:
            incidents.append(IncidentRow(incident, number, *summary, alert_entries=0, was_quiet=False))
    if not told or any(outcome is None for outcome, _ in outcomes):
        return None
    rooms.publish_alerts(incidents)
    return outcomes
