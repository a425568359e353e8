"""What makes paging wait: a maintenance window of the service, and the night for what is not urgent.

It is looked up when a step is due, not when the run begins, so a window that begins meanwhile counts.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from alerts import maintenance
from incidents.enums import Severity, Urgency
from incidents.models import Incident
from openalert import sql

from . import hours
from .enums import WaitReason
from .models import PagingSettings

# Windows that follow each other; beyond so many, paging goes on.
MOST_IN_A_ROW = 100

SHARED = """
SELECT id FROM escalations_pagingsettings WHERE team_id = ANY(%s::uuid[]) AND low_urgency_waits
ORDER BY id FOR SHARE
"""


class Wait(NamedTuple):
    """Nobody is paged until an instant. `words` says what it is about, like the window's title."""

    reason: WaitReason
    until: datetime
    words: str


class Waits:
    """What is to be waited for by the incidents of some teams, in a fixed number of queries.

    With `is_locking`, what was read stays as it is until the transaction ends: whoever changes it finds the runs that
    wait by it.
    """

    def __init__(self, team_ids: Iterable[UUID], *, at: datetime, is_locking: bool = False) -> None:
        teams = set(team_ids)
        if is_locking:
            sql.fetch(SHARED, [sql.as_array(map(str, teams))])
        settings = PagingSettings.objects.filter(team__in=teams, low_urgency_waits=True).select_related(
            "team"
        )
        self._working = {row.team_id: (hours.read_week(row.working_hours), row.tzinfo) for row in settings}
        self._windows = maintenance.windows_to_heed(teams, at=at, is_locking=is_locking)

    def of(self, incident: Incident, *, at: datetime) -> Wait | None:
        """What its paging has to wait for at the instant (service loaded), until nothing else has to be waited for."""
        found: Wait | None = None
        until = at
        for _ in range(MOST_IN_A_ROW):
            wait = self._maintenance(incident, until) or self._working_hours(incident, until)
            if wait is None:
                break
            until = wait.until
            found = Wait(found.reason, until, found.words) if found else wait
        return found

    def _maintenance(self, incident: Incident, at: datetime) -> Wait | None:
        for window in self._windows:
            if window.covers(incident.service, at):
                return Wait(WaitReason.MAINTENANCE, window.ends_at, window.title)
        return None

    def _working_hours(self, incident: Incident, at: datetime) -> Wait | None:
        if Severity(incident.severity).urgency == Urgency.HIGH:
            return None
        windows, zone = self._working.get(incident.service.team_id, ([], None))
        if zone is None or hours.cover(windows, at, zone):
            return None
        begins = hours.next_beginning(windows, at, zone)
        return Wait(WaitReason.WORKING_HOURS, begins, "the working hours") if begins else None
