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

TAKE = "SELECT * FROM alerts_take_known(%s::json, %s::json, %s, %s, %s)"
JOINS_NONE = ""
OUTCOMES = {"joined": Outcome.JOINED, "repeated": Outcome.REPEATED}


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


class Call:
    """One call of the function, and what it means."""

    def __init__(
        self, problems: Collection[Problem], integrations: Collection[Integration], now: datetime
    ) -> None:
        self._problems = problems
        remembered = [{"id": integration.id_text, "stamp": integration.stamp} for integration in integrations]
        self.parameters = [
            sql.as_json(_rows(problems, now)),
            sql.as_json(remembered),
            now,
            now - ENTRY_INTERVAL,
            ENTRIES_ONE_BY_ONE,
        ]
        self.incidents: list[IncidentRow] = []

    def report(self, told: Iterable[tuple[Any, ...]], results: Results) -> bool:
        """Whether the batch was taken; then the results are filled in, and `incidents` are those concerned."""
        decided: dict[int, tuple[str | None, int]] = {}
        for place, outcome, incident, number, *summary in told:
            if place is not None:
                decided[place] = outcome, number
            else:
                self.incidents.append(
                    IncidentRow(incident, number, *summary, alert_entries=0, was_quiet=False)
                )
        if not decided or any(outcome is None for outcome, _ in decided.values()):
            return False
        for place, problem in enumerate(self._problems):
            outcome, number = decided[place]
            results.report(problem, OUTCOMES[outcome], number)
        return True


def call_for(
    problems: Collection[Problem], integrations: Collection[Integration], *, now: datetime
) -> Call | None:
    """The call that may take problems of different keys; None when it never could.

    It must be made in a transaction of its own, and may raise a serialization failure: then nothing was
    stored, as another transaction was faster with one of the alerts.
    """
    if not all(problem.is_firing for problem in problems) or not all(i.stamp for i in integrations):
        return None
    return Call(problems, integrations, now)


def _rows(problems: Collection[Problem], now: datetime) -> list[Row]:
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
                problem.count,
                group.service_id,
                group.grouping_key if arrival.hold is None else JOINS_NONE,
                now - group.window,
            )
        )
    return rows
