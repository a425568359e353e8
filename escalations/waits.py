"""What makes paging wait or be quiet: a maintenance window of the incident, and the night for what is not urgent.

It is looked up when a step is due, not when the run begins, so a window that begins meanwhile counts.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from alerts import maintenance, maintenance_labels
from alerts.enums import MaintenanceMode
from alerts.exceptions import InvalidRule
from alerts.models import MaintenanceWindow
from incidents.enums import Severity, Urgency
from incidents.models import Incident
from openalert import sql

from . import hours
from .enums import WaitReason
from .models import PagingSettings

logger = logging.getLogger(__name__)

# Windows that follow each other; beyond so many, paging goes on.
MOST_IN_A_ROW = 100

SHARED = """
SELECT id FROM escalations_pagingsettings WHERE team_id = ANY(%s::uuid[]) AND low_urgency_waits
ORDER BY id FOR SHARE
"""


class Wait(NamedTuple):
    """Nobody is paged until an instant. `words` says what it is about, like the window's title.

    `is_by_labels`: it holds for the alerts that fire now. Another one may end it, so it has to be looked at again.
    """

    reason: WaitReason
    until: datetime
    words: str
    is_by_labels: bool = False


class Waits:
    """What is to be waited for by some incidents (service loaded), in a fixed number of queries.

    With `is_locking`, what was read stays as it is until the transaction ends: whoever changes it finds the runs that
    wait by it.
    """

    def __init__(self, incidents: Iterable[Incident], *, at: datetime, is_locking: bool = False) -> None:
        incidents = list(incidents)
        teams = {incident.service.team_id for incident in incidents}
        if is_locking:
            sql.fetch(SHARED, [sql.as_array(map(str, teams))])
        settings = PagingSettings.objects.filter(team__in=teams, low_urgency_waits=True).select_related(
            "team"
        )
        self._working = {row.team_id: (hours.read_week(row.working_hours), row.tzinfo) for row in settings}
        self._windows = maintenance.windows_to_heed(teams, at=at, is_locking=is_locking)
        self._matchers = {window.pk: _matcher(window) for window in self._windows if window.conditions}
        by_labels = {window.team_id for window in self._windows if window.conditions}
        asked = [incident.pk for incident in incidents if incident.service.team_id in by_labels]
        self._firing = maintenance_labels.firing_labels(asked) if asked else {}

    def of(self, incident: Incident, *, at: datetime) -> Wait | None:
        """What its paging has to wait for at the instant (service loaded), until nothing else has to be waited for."""
        found: Wait | None = None
        until = at
        for _ in range(MOST_IN_A_ROW):
            wait = self._maintenance(incident, until) or self._working_hours(incident, until)
            if wait is None:
                break
            until = wait.until
            found = (
                Wait(found.reason, until, found.words, found.is_by_labels or wait.is_by_labels)
                if found
                else wait
            )
        return found

    def quiet_window(self, incident: Incident, *, at: datetime) -> MaintenanceWindow | None:
        """The window by which the incident pages with low urgency at the instant."""
        return self._window(incident, at, MaintenanceMode.LOW_URGENCY)

    def _window(self, incident: Incident, at: datetime, mode: MaintenanceMode) -> MaintenanceWindow | None:
        for window in self._windows:
            if window.mode == mode and window.covers(incident.service, at):
                matches = self._matchers.get(window.pk)
                if matches is None or matches(self._firing.get(incident.pk, ())):
                    return window
        return None

    def _maintenance(self, incident: Incident, at: datetime) -> Wait | None:
        window = self._window(incident, at, MaintenanceMode.SUPPRESS)
        if window is None:
            return None
        return Wait(WaitReason.MAINTENANCE, window.ends_at, window.title, bool(window.conditions))

    def _working_hours(self, incident: Incident, at: datetime) -> Wait | None:
        windows, zone = self._working.get(incident.service.team_id, ([], None))
        if zone is None or hours.cover(windows, at, zone):
            return None
        quiet = None
        if Severity(incident.severity).urgency == Urgency.HIGH and not (
            quiet := self.quiet_window(incident, at=at)
        ):
            return None
        begins = hours.next_beginning(windows, at, zone)
        if quiet:
            # At its end the incident is as urgent as it is.
            until = min(begins or quiet.ends_at, quiet.ends_at)
            words = f"{quiet.title}, low urgency"
            return Wait(WaitReason.MAINTENANCE, until, words, bool(quiet.conditions))
        return Wait(WaitReason.WORKING_HOURS, begins, "the working hours") if begins else None


def _matcher(window: MaintenanceWindow) -> Callable[[Sequence[maintenance_labels.Labels]], bool]:
    """One that cannot be read keeps nobody from being paged."""
    try:
        return maintenance_labels.matcher(window.conditions)
    except InvalidRule as fault:
        logger.error("maintenance window %s: %s %s", window.pk, fault.field, fault)
        return lambda firing: False
