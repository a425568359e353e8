"""How a service has been: day by day, the time in which it had a critical or high incident.

Each instant counts once, however many incidents there are; what began before the days that are asked for counts from
their beginning, what is unresolved until now. The time in which all of the service was in maintenance is left out of
both sides of a share: such incidents say nothing of how well it runs. Windows about labels are about a part of it only.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from openalert import sql
from openalert.words import span_in_words
from teams.models import Service

DAYS = 90
PERIODS = (7, 30, 90)

# A row for each day with anything in it, of seconds; and the first incident ever, in every row.
BY_DAY = """
WITH given AS (
    SELECT %s::uuid AS service, %s::uuid AS team, %s::timestamptz AS begins, %s::timestamptz AS now, %s::text AS zone
),
trouble AS (
    SELECT range_agg(span) AS every, range_agg(span) FILTER (WHERE severity = 'critical') AS critical
    FROM (
        SELECT i.severity, tstzrange(greatest(i.opened_at, g.begins), least(i.resolved_at, g.now)) AS span
        FROM incidents_incident i, given g
        WHERE i.service_id = g.service AND i.severity IN ('critical', 'high')
            AND i.opened_at < g.now AND (i.resolved_at IS NULL OR i.resolved_at > greatest(g.begins, i.opened_at))
    ) AS incident
),
maintenance AS (
    SELECT range_agg(tstzrange(greatest(w.starts_at, g.begins), least(w.ends_at, g.now))) AS every
    FROM alerts_maintenancewindow w, given g
    WHERE w.team_id = g.team AND w.conditions = '[]' AND w.starts_at < g.now AND w.ends_at > g.begins
        AND (
            EXISTS (
                SELECT FROM alerts_maintenancewindow_services s
                WHERE s.maintenancewindow_id = w.id AND s.service_id = g.service
            )
            OR NOT EXISTS (SELECT FROM alerts_maintenancewindow_services s WHERE s.maintenancewindow_id = w.id)
        )
),
spans AS (
    SELECT 'trouble' AS kind, unnest(t.every - coalesce(m.every, '{}')) AS span FROM trouble t, maintenance m
    UNION ALL
    SELECT 'critical', unnest(t.critical - coalesce(m.every, '{}')) FROM trouble t, maintenance m
    UNION ALL
    SELECT 'maintenance', unnest(m.every) FROM maintenance m
),
days AS (
    SELECT d.day::date AS day, s.kind, extract(
        epoch FROM least(upper(s.span), (d.day + interval '1 day') AT TIME ZONE g.zone)
            - greatest(lower(s.span), d.day AT TIME ZONE g.zone)
    ) AS seconds
    FROM given g, spans s
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', lower(s.span) AT TIME ZONE g.zone),
        date_trunc('day', (upper(s.span) - interval '1 microsecond') AT TIME ZONE g.zone),
        interval '1 day'
    ) AS d (day)
),
sums AS (
    SELECT day, coalesce(sum(seconds) FILTER (WHERE kind = 'trouble'), 0)::float8 AS trouble,
        coalesce(sum(seconds) FILTER (WHERE kind = 'critical'), 0)::float8 AS critical,
        coalesce(sum(seconds) FILTER (WHERE kind = 'maintenance'), 0)::float8 AS maintenance
    FROM days GROUP BY day
)
SELECT f.opened_at, s.day, s.trouble, s.critical, s.maintenance
FROM (SELECT min(i.opened_at) AS opened_at FROM incidents_incident i, given g WHERE i.service_id = g.service) AS f
LEFT JOIN sums s ON true
"""


@dataclass(frozen=True)
class Day:
    """Of a day on the asker's clock, in seconds: how much of it there is a record of, and what was in it.

    `trouble` is the time with a critical or high incident, `critical` that with a critical one, both outside of
    maintenance.
    """

    day: date
    recorded: float = 0
    trouble: float = 0
    critical: float = 0
    maintenance: float = 0

    @property
    def tone(self) -> str:
        """As the design system names it; “neutral” where there is no record."""
        if self.critical:
            return "critical"
        if self.trouble:
            return "high"
        if self.maintenance:
            return "info"
        return "success" if self.recorded else "neutral"

    @property
    def words(self) -> str:
        parts = (
            (self.critical, "with a critical incident"),
            (self.trouble - self.critical, "with a high incident"),
            (self.maintenance, "in maintenance"),
        )
        said = [f"{_span(seconds)} {what}" for seconds, what in parts if seconds > 0]
        return ", ".join(said) or ("nothing" if self.recorded else "no record")


@dataclass(frozen=True)
class Share:
    """Of the last so many days, the time without a critical or high incident, in per cent; None without a record."""

    days: int
    percent: float | None


@dataclass(frozen=True)
class History:
    days: Sequence[Day]
    shares: Sequence[Share]
    is_without_maintenance: bool


def history_of(service: Service, *, at: datetime, zone: ZoneInfo) -> History:
    """The last 90 days on a clock, today the last. One query."""
    today = at.astimezone(zone).date()
    calendar = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    begins = _midnight(calendar[0], zone)
    rows = sql.fetch(BY_DAY, [str(service.pk), str(service.team_id), begins, at, zone.key])
    found = {day: seconds for _, day, *seconds in rows if day}
    # Incidents may have been taken over from before the service was made here.
    record = min(service.created_at, rows[0][0] or service.created_at)
    days = [
        Day(day, _recorded(day, record, at, zone), *map(float, found.get(day, (0, 0, 0)))) for day in calendar
    ]
    shares = [Share(count, share_of(days[-count:])) for count in PERIODS]
    return History(days, shares, not any(day.maintenance for day in days))


def share_of(days: Sequence[Day]) -> float | None:
    """In per cent with two digits, never rounded up: 100 is no trouble at all."""
    known = sum(max(day.recorded - day.maintenance, 0) for day in days)
    trouble = sum(min(day.trouble, max(day.recorded - day.maintenance, 0)) for day in days)
    if not known:
        return None
    if not trouble:
        return 100.0
    return min(math.floor((1 - trouble / known) * 10_000) / 100, 99.99)


def _span(seconds: float) -> str:
    return span_in_words(timedelta(seconds=seconds)) if seconds >= 30 else "under a minute"


def _recorded(day: date, record: datetime, now: datetime, zone: ZoneInfo) -> float:
    begins, ends = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    # Python subtracts instants of one zone by their clocks, hence the midnights in UTC.
    return max((min(ends, now) - max(begins, record)).total_seconds(), 0)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
