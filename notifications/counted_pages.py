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

# The earlier message is looked for one by one, as all that were ever sent would be read otherwise.
ROWS = """
SELECT user_id, service_id, severity, date_part('hour', local)::int AS hour, date_part('isodow', local) > 5 AS is_weekend,
    pages, messages{more}
FROM (
    SELECT m.user_id, i.service_id, i.severity, m.at AT TIME ZONE u.time_zone AS local, m.messages,
        CASE WHEN (
            SELECT true FROM notifications_notification e
            WHERE e.run_id = m.run_id AND e.loop = m.loop AND e.step = m.step AND e.user_id = m.user_id
                AND e.purpose = 'page' AND e.status = 'sent' AND e.sent_at < %(start_{n})s LIMIT 1
        ) THEN 0 ELSE 1 END AS pages
    FROM (
        SELECT run_id, loop, step, user_id, any_value(incident_id) AS incident_id, min(sent_at) AS at, count(*) AS messages
        FROM notifications_notification
        WHERE sent_at >= %(start_{n})s AND sent_at < %(end_{n})s AND purpose = 'page' AND status = 'sent'
        GROUP BY run_id, loop, step, user_id
    ) m JOIN incidents_incident i ON i.id = m.incident_id JOIN teams_user u ON u.id = m.user_id
    WHERE {which}
    OFFSET 0
) placed
"""
WANTED = "service_id = ANY(%(services)s) AND (%(all_severities)s OR severity = ANY(%(severities)s))"
COUNTED = f"""
SELECT user_id, service_id, severity, hour, is_weekend, pages, messages, month_id >= %(first_now)s AS is_now
FROM notifications_monthlypages WHERE month_id = ANY(%(months)s) AND {WANTED}
"""  # noqa: S608  # nothing but our own words
COUNT = f"""
INSERT INTO notifications_monthlypages (month_id, user_id, service_id, severity, hour, is_weekend, pages, messages)
SELECT %(month)s, user_id, service_id, severity, hour, is_weekend, sum(pages), sum(messages)
FROM ({ROWS.format(n=0, more="", which="true")}) r GROUP BY 2, 3, 4, 5, 6
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
    given = {**parameters, "first_now": month_of(start).date()}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROOM)
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
        counted = _counted_within(before, start) + _counted_within(start, end)
        parts = []
        for since, until in ((before, start), (start, end)):
            months = [month for month in counted if since <= start_of(month) < until]
            for first, last in rest_of(since, until, months):
                n = len(parts)
                more = f", {'true' if since == start else 'false'} AS is_now"
                parts.append(ROWS.format(n=n, more=more, which=WANTED))
                given |= {f"start_{n}": first, f"end_{n}": last}
        if counted:
            given["months"] = counted
            parts.append(COUNTED)
        if not parts:
            return []
        cursor.execute(TOLD.format(parts=" UNION ALL ".join(parts)), given)
        return cursor.fetchall()


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
        given = {"month": month, "start_0": start_of(month), "end_0": start_of(next_month(month))}
        cursor.execute(COUNT, given)
    return 1


@transaction.atomic
def forget_all() -> None:
    """For whoever writes messages beside the triggers."""
    sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    CountedPagesMonth.objects.all().delete()
