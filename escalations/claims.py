"""Which due runs a worker carries out next, and writing what became of them: few statements for many runs.

Criticals go first, then high, medium, low. Among those of one priority the teams take turns: however many runs a team
has due, another team's waits for no more than its share of a batch. Any number of workers claim at once, none waits
for another.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from openalert import sql

from .models import EscalationRun

# The lanes that have something due, by priority; those that have waited longest first.
WAITING = """
SELECT priority, lane::text FROM escalations_escalationrun WHERE due_at <= %s
GROUP BY priority, lane ORDER BY priority, min(due_at)
"""

# Without an ORDER BY outside: it would lock all that is due, and leave other workers nothing. Lanes come as they are given.
CLAIM = """
SELECT run.id FROM unnest(%s::uuid[]) AS l (lane)
CROSS JOIN LATERAL (
    SELECT r.id FROM escalations_escalationrun r
    WHERE r.lane = l.lane AND r.priority = %s AND r.due_at <= %s AND r.id <> ALL (%s::uuid[])
    ORDER BY r.due_at LIMIT %s FOR UPDATE SKIP LOCKED
) AS run
LIMIT %s
"""

WRITE = """
UPDATE escalations_escalationrun r SET
    loop = k.loop, step = k.step, due_at = k.due_at, status = k.status, ended_at = k.ended_at,
    end_reason = k.end_reason, waits_for = k.waits_for, waits_until = k.waits_until, updated_at = %s
FROM json_to_recordset(%s::json) AS k (
    id uuid, loop smallint, step smallint, due_at timestamptz, status text, ended_at timestamptz, end_reason text,
    waits_for text, waits_until timestamptz
)
WHERE r.id = k.id
"""
WRITTEN = ("loop", "step", "due_at", "status", "ended_at", "end_reason", "waits_for", "waits_until")


def claim(now: datetime, *, limit: int) -> list[EscalationRun]:
    """At most so many runs that are due, locked until the transaction ends, in the order of carrying out.

    Incident, service and team are loaded. Empty when nothing is due, or other workers have all of it.
    """
    lanes: dict[int, list[str]] = {}
    for priority, lane in sql.fetch(WAITING, [now]):
        lanes.setdefault(priority, []).append(lane)
    claimed: list[UUID] = []
    for priority, waiting in lanes.items():
        # Each lane its share first. What is left of the room goes to whoever has more, before a lower priority does;
        # lanes beyond the room have their turn with the next batch.
        for share in (-(-(limit - len(claimed)) // len(waiting)), limit):
            room = limit - len(claimed)
            if room <= 0:
                break
            mine = sql.as_array(map(str, claimed))
            given = [sql.as_array(waiting[:limit]), priority, now, mine, share, room]
            claimed += [row[0] for row in sql.fetch(CLAIM, given)]
    if not claimed:
        return []
    runs = EscalationRun.objects.filter(pk__in=claimed).select_related("incident__service__team")
    return sorted(runs, key=lambda run: (run.priority, run.due_at, run.pk))


def write(runs: Sequence[EscalationRun], *, now: datetime) -> None:
    """What carrying out may change of runs that are locked."""
    rows = [{"id": str(run.pk)} | {name: getattr(run, name) for name in WRITTEN} for run in runs]
    sql.execute(WRITE, [now, sql.as_json(rows)])
