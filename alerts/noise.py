"""How often each problem came: exact counts of any span, without reading a year of alerts.

Months that are over are counted once (`count_months`, from beat); a report adds these counts to what it counts in
the rows of the rest: the days at its ends, the present month, and the alerts that still took events when their month
was counted. What changes an alert of a counted month afterwards, forgets the month's counts; the next run makes them anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from incidents.enums import SEVERITIES
from openalert import sql
from openalert.ids import uuid7_floor
from openalert.months import month_of, months_within, next_month, rest_of, start_of

from .models import Alert, CountedMonth

# Ids are in the order of arrival, which may be a little apart from when the problem began.
SLACK = timedelta(days=1)
# Counting and forgetting wait for each other, and for reports that read; reports do not wait for reports.
LOCK = 7_208_114
# Room to count a million alerts in memory.
ROOM = "SET LOCAL work_mem = '64MB'"

_EACH = ", ".join(f"count(*) FILTER (WHERE severity = '{severity}')" for severity in SEVERITIES)
_EACH_SENT = ", ".join(
    f"coalesce(sum(count) FILTER (WHERE severity = '{severity}'), 0)" for severity in SEVERITIES
)
COUNT = f"""
WITH found AS MATERIALIZED (
    SELECT id, integration_id, dedup_key, title, severity, count, is_current FROM alerts_alert
    WHERE id >= %(first)s AND id < %(last)s AND first_fired_at >= %(start)s AND first_fired_at < %(end)s
), counted AS (
    INSERT INTO alerts_countedmonth (month, "left")
    SELECT %(month)s, coalesce(array_agg(id) FILTER (WHERE is_current), '{{}}') FROM found
)
INSERT INTO alerts_monthlynoise (month_id, integration_id, dedup_key, title, alerts, sent, all_alerts, all_sent)
SELECT %(month)s, integration_id, dedup_key, any_value(title), ARRAY[{_EACH}], ARRAY[{_EACH_SENT}],
    count(*), sum(count)
FROM found WHERE NOT is_current GROUP BY integration_id, dedup_key
"""  # noqa: S608  # nothing but our own words
ROWS = """
SELECT integration_id, dedup_key, title, 1::bigint AS alerts, count AS sent FROM alerts_alert
WHERE {which} AND integration_id = ANY(%(integrations)s) AND (%(all_severities)s OR severity = ANY(%(severities)s))
"""
SPAN = """id >= %(first_{n})s AND id < %(last_{n})s AND first_fired_at >= %(start_{n})s AND first_fired_at < %(end_{n})s"""
COUNTED = """
SELECT integration_id, dedup_key, title, {alerts}::bigint, {sent} FROM alerts_monthlynoise
WHERE month_id = ANY(%(months)s) AND integration_id = ANY(%(integrations)s) AND {alerts} > 0
"""
# Sums of floats, which are exact up to 2 to the power of 53: those of bigint take almost as long as all the rest.
# An alert with the same dedup key as another is one of another incident: the count is that of the incidents, too.
NOISIEST = """
WITH found AS MATERIALIZED (
    SELECT integration_id, dedup_key, sum(alerts::float8)::bigint AS alerts, sum(sent::float8)::bigint AS sent,
        any_value(title) AS title
    FROM ({parts}) parts GROUP BY 1, 2
)
SELECT (SELECT count(*) FROM found), (SELECT sum(alerts)::bigint FROM found), (SELECT sum(sent)::bigint FROM found), f.*
FROM found f
ORDER BY f.alerts DESC, f.sent DESC, f.dedup_key, f.integration_id LIMIT %(most)s
"""


@dataclass(frozen=True)
class Noise:
    """`alerts` of `problems` (different dedup keys), which were `sent` so often; and the noisiest of them:
    integration, dedup key, alerts, times sent, title."""

    problems: int
    alerts: int
    sent: int
    noisiest: Sequence[tuple[UUID, str, int, int, str]]


def noise(
    *, start: datetime, end: datetime, integrations: Iterable[UUID], severities: Sequence[str], most: int
) -> Noise:
    """Of the alerts that first fired from `start` until before `end` (aware)."""
    given: dict[str, Any] = {
        "integrations": list(integrations),
        "severities": list(severities),
        "all_severities": set(severities) == set(SEVERITIES),
        "most": most,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROOM)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
        months = months_within(start, end)
        counted = {row.month: row.left for row in CountedMonth.objects.filter(month__in=months)}
        parts = []
        for n, (since, until) in enumerate(rest_of(start, end, sorted(counted))):
            parts.append(ROWS.format(which=SPAN.format(n=n)))
            given |= {f"{name}_{n}": value for name, value in _bounds(since, until).items()}
        if counted:
            given |= {"months": list(counted), "left": [pk for left in counted.values() for pk in left]}
            parts.append(COUNTED.format(alerts=_sum("alerts", severities), sent=_sum("sent", severities)))
            if given["left"]:
                parts.append(ROWS.format(which="id = ANY(%(left)s)"))
        cursor.execute(NOISIEST.format(parts=" UNION ALL ".join(parts)), given)
        found = cursor.fetchall()
    if not found:
        return Noise(0, 0, 0, [])
    return Noise(*found[0][:3], [row[3:] for row in found])


def count_months(*, keep_days: int = 0, now: datetime | None = None) -> int:
    """Count the months that are over and not counted yet, oldest first; each is a transaction of its own. Returns how many.

    `keep_days` is for how long alerts are kept (0: for ever): months of which some are gone already are left to reports.
    """
    now = now or timezone.now()
    oldest = Alert.objects.order_by("pk").values_list("first_fired_at", flat=True).first()
    if oldest is None:
        return 0
    since = month_of(oldest - SLACK)
    if keep_days:
        # A day less, so that a month is not counted only to be forgotten at once.
        since = max(since, now - timedelta(days=keep_days - 1))
    months = months_within(since, now - 2 * SLACK)
    done = set(CountedMonth.objects.filter(month__in=months).values_list("month", flat=True))
    return sum(_count(month) for month in months if month not in done)


@transaction.atomic
def _count(month: date) -> int:
    sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if CountedMonth.objects.filter(month=month).exists():
        return 0  # another worker was faster
    with connection.cursor() as cursor:
        cursor.execute(ROOM)
        cursor.execute(COUNT, {"month": month, **_bounds(start_of(month), start_of(next_month(month)))})
    return 1


def forget_months(instants: Iterable[datetime]) -> None:
    """Alerts that first fired then change: their months are to be counted anew. Locks until the transaction ends."""
    months = {month_of(at).date() for at in instants} - {month_of(timezone.now()).date()}
    if months:
        sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        CountedMonth.objects.filter(month__in=months).delete()


@transaction.atomic
def forget_before(at: datetime) -> None:
    """Alerts that first fired before are to be removed: what is left of their months is read from the rows."""
    gone = CountedMonth.objects.filter(month__lte=at.astimezone(UTC).date())
    if gone.exists():
        sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        gone.delete()


def _sum(name: str, severities: Sequence[str]) -> str:
    """Of the counts of these severities, as SQL."""
    if set(severities) == set(SEVERITIES):
        return f"all_{name}"
    chosen = [f"{name}[{n}]" for n, severity in enumerate(SEVERITIES, 1) if severity in severities]
    return f"({' + '.join(chosen) or '0'})"


def _bounds(start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "first": uuid7_floor(start - SLACK),
        "last": uuid7_floor(end + SLACK),
        "start": start,
        "end": end,
    }
