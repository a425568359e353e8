"""How often people were paged in a span: exact, without reading a year of messages.

A step pages a person once, by however many methods: a page is the first message of it. Months that are over are counted
once (`count_months`, from beat); a report adds these counts to what it counts in the rows of the rest. What changes a
counted month afterwards (a message that is removed, an incident of another severity, a person in another time zone)
forgets it, by the database's triggers, in the transaction of the change; the next run counts it anew.
"""

from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from openalert import sql
from openalert.months import month_of, months_within, next_month, rest_of, start_of

from .enums import NotificationStatus, Purpose
from .models import CountedPagesMonth, Notification

# A sender's clock may be late, and so may its commit.
SLACK = timedelta(days=2)
# Counting and forgetting wait for each other, and for reports that read; reports do not wait for reports. The triggers have it too.
LOCK = 7_208_115
# Room to count 100,000 pages in memory.
ROOM = "SET LOCAL work_mem = '64MB'"

# A step's messages to a person are written together, and those that take the place of failed ones within days.
TOGETHER = timedelta(days=7)
# An earlier message is looked for one by one, as all that were ever sent would be read otherwise; and only where there
# may be one: for what was written before the span or soon after its start.
MESSAGES = """
SELECT run_id, loop, step, user_id, any_value(incident_id) AS incident_id, min(sent_at) AS at, min(created_at) AS made,
    count(*) AS messages, %(start_{n})s::timestamptz AS since, %(together_{n})s::timestamptz AS together
FROM notifications_notification
WHERE sent_at >= %(start_{n})s AND sent_at < %(end_{n})s AND purpose = 'page' AND status = 'sent'
GROUP BY run_id, loop, step, user_id
"""
ROWS = """
SELECT user_id, service_id, severity, date_part('hour', local)::int AS hour, date_part('isodow', local) > 5 AS is_weekend,
    pages, messages, is_now
FROM (
    SELECT m.user_id, i.service_id, i.severity, m.at AT TIME ZONE u.time_zone AS local, m.messages,
        m.since >= %(now)s AS is_now,
        CASE WHEN m.made < m.together AND (
            SELECT true FROM notifications_notification e
            WHERE e.run_id = m.run_id AND e.loop = m.loop AND e.step = m.step AND e.user_id = m.user_id
                AND e.purpose = 'page' AND e.status = 'sent' AND e.sent_at < m.since LIMIT 1
        ) THEN 0 ELSE 1 END AS pages
    FROM ({messages}) m JOIN incidents_incident i ON i.id = m.incident_id JOIN teams_user u ON u.id = m.user_id
    WHERE {which}
    OFFSET 0
) placed
"""
WANTED = "service_id = ANY(%(services)s) AND (%(all_severities)s OR severity = ANY(%(severities)s))"
COUNTED = f"""
SELECT user_id, service_id, severity, hour, is_weekend, pages, messages, month_id >= %(now)s AS is_now
FROM notifications_monthlypages WHERE month_id = ANY(%(months)s) AND {WANTED}
"""  # noqa: S608  # nothing but our own words
COUNT = f"""
INSERT INTO notifications_monthlypages (month_id, user_id, service_id, severity, hour, is_weekend, pages, messages)
SELECT %(month)s, user_id, service_id, severity, hour, is_weekend, sum(pages), sum(messages)
FROM ({ROWS.format(messages=MESSAGES.format(n=0), which="true")}) r GROUP BY 2, 3, 4, 5, 6
"""  # noqa: S608
TOLD = """
SELECT is_now, grouping(user_id, service_id, hour), user_id, service_id, hour, sum(pages)::bigint,
    coalesce(sum(pages) FILTER (WHERE hour >= %(night)s OR hour < %(morning)s), 0)::bigint,
    coalesce(sum(pages) FILTER (WHERE is_weekend), 0)::bigint, sum(messages)::bigint
FROM ({parts}) parts
GROUP BY GROUPING SETS ((is_now, user_id), (is_now, service_id), (is_now, hour))
"""


def pages(
    *, before: datetime, start: datetime, end: datetime, parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """TOLD's rows: pages from `start` until before `end` (is_now), and from `before` until before `start`.

    `parameters` are those of a report's scope, and `night` and `morning`, the hours at which night begins and ends.
    """
    given = {**parameters, "now": start}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROOM)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
        counted = _counted_within(before, start) + _counted_within(start, end)
        rest = [
            span
            for since, until in ((before, start), (start, end))
            for span in rest_of(since, until, [at for at in counted if since <= start_of(at) < until])
        ]
        parts = []
        if rest:
            messages = " UNION ALL ".join(MESSAGES.format(n=n) for n in range(len(rest)))
            parts.append(ROWS.format(messages=messages, which=WANTED))
            for n, (first, last) in enumerate(rest):
                given |= _bounds(n, first, last)
        if counted:
            given["months"] = counted
            parts.append(COUNTED)
        if not parts:
            return []
        cursor.execute(TOLD.format(parts=" UNION ALL ".join(parts)), given)
        return cursor.fetchall()


def _bounds(n: int, start: datetime, end: datetime) -> dict[str, datetime]:
    return {f"start_{n}": start, f"end_{n}": end, f"together_{n}": start + TOGETHER}


def _counted_within(start: datetime, end: datetime) -> list[date]:
    found = CountedPagesMonth.objects.filter(month__in=months_within(start, end)).order_by("month")
    return list(found.values_list("month", flat=True))


def count_months(*, now: datetime | None = None) -> int:
    """Count the months that are over and not counted, oldest first; each is a transaction of its own. Returns how many."""
    sent = Notification.objects.filter(purpose=Purpose.PAGE, status=NotificationStatus.SENT)
    oldest = sent.order_by("sent_at").values_list("sent_at", flat=True).first()
    if oldest is None:
        return 0
    months = months_within(month_of(oldest), (now or timezone.now()) - SLACK)
    done = set(CountedPagesMonth.objects.filter(month__in=months).values_list("month", flat=True))
    return sum(_count(month) for month in months if month not in done)


@transaction.atomic
def _count(month: date) -> int:
    sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if CountedPagesMonth.objects.filter(month=month).exists():
        return 0  # another worker was faster
    CountedPagesMonth.objects.create(month=month)
    with connection.cursor() as cursor:
        cursor.execute(ROOM)
        bounds = _bounds(0, start_of(month), start_of(next_month(month)))
        cursor.execute(COUNT, {"month": month, "now": start_of(month), **bounds})
    return 1


@transaction.atomic
def forget_all() -> None:
    """For whoever writes messages beside the triggers."""
    sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    CountedPagesMonth.objects.all().delete()
