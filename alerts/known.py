"""The common case of a storm: alerts that fire already, or join an incident that many have joined.

For them nothing has to be decided, opened or told, so one call of a function in the database does it all (its
text is in the migrations): it looks the alerts and their incidents up, holds the incidents against being
resolved, stores new alerts and counts the others. It does so for all of a batch or for nothing of it: when one
of the problems is of another kind, or an integration is not as remembered, `intake` deals with all of them.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from incidents.bulk import IncidentRow
from incidents.enums import SEVERITIES
from openalert import sql
from openalert.ids import uuid7_texts

from . import correlation
from .models import Integration
from .problems import Problem
from .results import Outcome, Results

# A storm is told in the first entries and then at intervals: a line for each of 100,000 alerts tells nothing,
# and every line means a lock for which the other batches wait.
ENTRIES_ONE_BY_ONE = 20
ENTRY_INTERVAL = timedelta(seconds=10)

TAKE = (
    "SELECT alerts_take_known("
    "%s::jsonb, %s::uuid[], %s::text[], %s::jsonb, %s::timestamptz, %s::timestamptz, %s::integer)"
)
JOINS_NONE = ""


# A problem as the function reads it, by place: id, integration, group, dedup key, title, severity, rank, source, labels,
# metadata, count. `integration` and `group` are places in the lists beside it, from 1. A plain tuple: bulks have many.
# Numbers are in it as text: PostgreSQL reads one as a numeric, and would make text of that first.
Row = tuple[str, str, str, str, str, str, str, str, dict[str, str], dict[str, Any], str]

# By rank; of an enumeration's members the encoder would have to look for their values.
SEVERITY_AND_RANK = [(severity.value, str(rank)) for rank, severity in enumerate(SEVERITIES)]


class Call:
    """One call of the function, and what it means."""

    def __init__(
        self, problems: Collection[Problem], integrations: Collection[Integration], now: datetime
    ) -> None:
        self._problems = problems
        rows, groups = _rows(problems, integrations, now)
        self.parameters = [
            sql.as_json(rows),
            sql.as_array(integration.id_text for integration in integrations),
            sql.as_array(integration.stamp for integration in integrations),
            sql.as_json(groups),
            now.isoformat(),
            (now - ENTRY_INTERVAL).isoformat(),
            str(ENTRIES_ONE_BY_ONE),
        ]
        self.incidents: list[IncidentRow] = []

    def report(self, told: str | bytes | None, results: Results) -> bool:
        """Whether the batch was taken; then the results are filled in, and `incidents` are those concerned.

        Told is None, or as JSON: for each problem the number of its incident, negative when its alert was there
        already; and what an IncidentRow has of the incidents.
        """
        if told is None:
            return False
        numbers, incidents = _decode(told)
        for problem, number in zip(self._problems, numbers, strict=True):
            if number > 0:
                results.report(problem, Outcome.JOINED, number)
            else:
                results.report(problem, Outcome.REPEATED, -number)
        self.incidents = [IncidentRow(*incident, alert_entries=0, was_quiet=False) for incident in incidents]
        return True


_decode = msgspec.json.Decoder(tuple[list[int], list[tuple[str, int, str, str, str, str, str]]]).decode


def call_for(
    problems: Collection[Problem], integrations: Collection[Integration], *, now: datetime
) -> Call | None:
    """The call that may take problems of different keys; None when it never could.

    It must be made in a transaction of its own, and may raise a serialization failure or a unique violation: then
    nothing was stored, as another transaction was faster with one of the alerts.
    """
    if not all(problem.is_firing for problem in problems) or not all(i.stamp for i in integrations):
        return None
    return Call(problems, integrations, now)


def _rows(
    problems: Collection[Problem], integrations: Iterable[Integration], now: datetime
) -> tuple[list[Row], list[tuple[str, str, datetime]]]:
    """The problems' rows; and the groups: service, grouping key, and since when an incident's last alert counts."""
    # Looked up once for each integration: attributes of models take their time.
    senders = {
        integration.id_text: (str(place), integration.service.id_text, integration.grouping_window)
        for place, integration in enumerate(integrations, 1)
    }
    groups: dict[tuple[str, str, timedelta], str] = {}
    rows: list[Row] = []
    for problem, alert_id in zip(problems, uuid7_texts(len(problems)), strict=True):
        event, arrival = problem.event, problem.arrival
        place, service, window = senders[arrival.integration.id_text]
        if arrival.to_service is not None:
            service = arrival.to_service.id_text
        key = correlation.grouping_key(arrival) if arrival.hold is None else JOINS_NONE
        group = groups.get((service, key, window))
        if group is None:
            group = groups[service, key, window] = str(len(groups) + 1)
        severity, rank = SEVERITY_AND_RANK[problem.rank]
        rows.append(
            (
                alert_id,
                place,
                group,
                event.dedup_key,
                event.title,
                severity,
                rank,
                event.source,
                event.labels,
                event.metadata,
                str(problem.count),
            )
        )
    return rows, [(service, key, now - window) for service, key, window in groups]
