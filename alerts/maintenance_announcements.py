"""Open pages are told that maintenance begins and ends, once each; that it is changed, when it is."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from incidents import rooms
from openalert import sql

from .models import MaintenanceWindow

DUE = """
UPDATE alerts_maintenancewindow w SET {told} = true
FROM (
    SELECT id FROM alerts_maintenancewindow
    WHERE NOT {told} AND {at} <= %s ORDER BY {at} LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED
) AS due
WHERE w.id = due.id
RETURNING w.team_id, w.id::text, w.title, w.starts_at, w.ends_at
"""
BEGUN = DUE.format(told="is_start_told", at="starts_at")
ENDED = DUE.format(told="is_end_told", at="ends_at")


@transaction.atomic
def announce() -> int:
    """Tell what has begun or ended since the last time. Returns how many."""
    now = timezone.now()
    events = [
        (
            team,
            kind,
            {"window": pk, "title": title, "starts_at": begins.isoformat(), "ends_at": ends.isoformat()},
        )
        for kind, statement in (("maintenance.began", BEGUN), ("maintenance.ended", ENDED))
        for team, pk, title, begins, ends in sql.fetch(statement, [now])
    ]
    rooms.publish_to_teams(events)
    return len(events)


def tell_changed(windows: Iterable[MaintenanceWindow], **kwargs: Any) -> None:
    """Once for a team, however many windows a series has."""
    teams = {window.team_id: window for window in windows}
    rooms.publish_to_teams(
        [(team, "maintenance.changed", {"title": window.title}) for team, window in teams.items()]
    )
