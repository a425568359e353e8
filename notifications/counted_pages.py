"""How often people were paged in a span: exact, without reading a year of messages.

A step pages a person once, by however many methods: a page is the first message of it. Months that are over are counted
once (`count_months`, from beat); a report adds these counts to what it counts in the rows of the rest. Of a month in which
a span begins or ends it reads the rows of the shorter part, and takes those of the longer for the others. What changes a
counted month afterwards (a message that is removed, an incident of another severity, a person in another time zone)
says so in a row of its own (ChangedPages), by the database's triggers, in the transaction of the change: the month's rows
are read from then on, and the next run counts it anew. Nobody who pages or changes incidents waits for those who count or
read, nor for each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from openalert import sql
from openalert.months import month_of, months_within, next_month, rest_of, start_of

from .enums import NotificationStatus, Purpose
from .models import CountedPagesMonth, Notification

# A sender's clock may be late, and so may its commit.
SLACK = timedelta(days=2)
# Those who count and forget wait for each other; nobody else has it.
LOCK = 7_208_115
# So often a report looks anew at what is counted, when that has changed as it read.
MOST_LOOKS = 3
# Room to count 100,000 pages in memory.
ROOM = "SET LOCAL work_mem = '64MB'"

# A step's messages to a person are written together, and those that take the place of failed ones within days.
TOGETHER = timedelta(days=7)
# An earlier message is looked for one by one, as all that were ever sent would be read otherwise; and only where there
# may be one: for what was written before the span or soon after its start.
MESSAGES = """
SELECT run_id, loop, step, user_id, any_value(incident_id) AS incident_id, min(sent_at) AS at, min(created_at) AS made,
    count(*)::int AS messages, %(start_{n})s::timestamptz AS since, %(together_{n})s::timestamptz AS together, {n} AS piece
FROM notifications_notification
WHERE sent_at >= %(start_{n})s AND sent_at < %(end_{n})s AND purpose = 'page' AND status = 'sent'
GROUP BY run_id, loop, step, user_id
"""
# Incidents are looked up one by one, too, which OFFSET 0 makes sure of: to join some, all that there ever were would be read.
ROWS = """
SELECT user_id, service_id, severity, date_part('hour', local)::int AS hour, date_part('isodow', local) > 5 AS is_weekend,
    pages, messages, piece
FROM (
    SELECT m.user_id, i.service_id, i.severity, m.at AT TIME ZONE u.time_zone AS local, m.messages, m.piece,
        CASE WHEN m.made < m.together AND (
            SELECT true FROM notifications_notification e
            WHERE e.run_id = m.run_id AND e.loop = m.loop AND e.step = m.step AND e.user_id = m.user_id
                AND e.purpose = 'page' AND e.status = 'sent' AND e.sent_at < m.since LIMIT 1
        ) THEN 0 ELSE 1 END AS pages
    FROM ({messages}) m JOIN teams_user u ON u.id = m.user_id,
        LATERAL (SELECT service_id, severity FROM incidents_incident WHERE id = m.incident_id OFFSET 0) i
    WHERE {which}
    OFFSET 0
) placed
"""
WANTED = "service_id = ANY(%(services)s) AND (%(all_severities)s OR severity = ANY(%(severities)s))"
READ = """
SELECT user_id, service_id, hour, is_weekend, pages * sign AS pages, messages * sign AS messages, is_now
FROM ({rows}) r JOIN unnest(%(pieces)s::int[], %(are_now)s::bool[], %(signs)s::int[]) AS share (piece, is_now, sign)
    USING (piece)
"""
COUNTED = f"""
SELECT user_id, service_id, hour, is_weekend, pages, messages, month_id = ANY(%(months_now)s) AS is_now
FROM notifications_monthlypages WHERE month_id = ANY(%(months)s) AND {WANTED}
"""  # noqa: S608  # nothing but our own words
COUNT = f"""
INSERT INTO notifications_monthlypages (month_id, user_id, service_id, severity, hour, is_weekend, pages, messages)
SELECT %(month)s, user_id, service_id, severity, hour, is_weekend, sum(pages), sum(messages)
FROM ({ROWS.format(messages=MESSAGES.format(n=0), which="true")}) r GROUP BY 2, 3, 4, 5, 6
"""  # noqa: S608
IS_CHANGED = """
EXISTS (SELECT FROM notifications_changedpages c WHERE c.since <= m.month AND (c.until IS NULL OR c.until >= m.month))
"""
USABLE = f"""
SELECT m.month FROM notifications_countedpagesmonth m WHERE m.month = ANY(%(months)s) AND NOT {IS_CHANGED}
"""  # noqa: S608
FORGET = f"""
WITH gone AS (SELECT m.month FROM notifications_countedpagesmonth m WHERE {IS_CHANGED}),
    told AS (DELETE FROM notifications_changedpages),
    pages AS (DELETE FROM notifications_monthlypages WHERE month_id IN (SELECT month FROM gone))
DELETE FROM notifications_countedpagesmonth WHERE month IN (SELECT month FROM gone)
"""  # noqa: S608
# Beside the sums, how many of the months are still what they were: one statement sees one state of the database.
TOLD = """
SELECT usable.n, told.* FROM (SELECT count(*) AS n FROM ({usable}) u) usable LEFT JOIN ({told}) told ON true
"""
# What is taken from a count may leave nothing of it, and of nothing nobody is told.
SUMS = """
SELECT is_now, grouping(user_id, service_id, hour) AS left_out, user_id, service_id, hour, sum(pages)::bigint AS pages,
    coalesce(sum(pages) FILTER (WHERE hour >= %(night)s OR hour < %(morning)s), 0)::bigint AS nights,
    coalesce(sum(pages) FILTER (WHERE is_weekend), 0)::bigint AS weekends, sum(messages)::bigint AS messages
FROM ({parts}) parts
GROUP BY GROUPING SETS ((is_now, user_id), (is_now, service_id), (is_now, hour))
HAVING sum(messages) <> 0 OR sum(pages) <> 0
"""


def pages(
    *, before: datetime, start: datetime, end: datetime, parameters: dict[str, Any]
) -> list[tuple[Any, ...]]:
    """SUMS' rows: pages from `start` until before `end` (is_now), and from `before` until before `start`.

    `parameters` are those of a report's scope, and `night` and `morning`, the hours at which night begins and ends.
    """
    months = months_within(month_of(before), start_of(next_month(month_of(end).date())))
    for _ in range(MOST_LOOKS):
        usable = sorted(month for (month,) in _fetch(USABLE, {"months": months}))
        found = _sums(before, start, end, usable, parameters)
        if found is not None:
            return found
    return _sums(before, start, end, [], parameters) or []


@dataclass(frozen=True)
class Plan:
    """What is read: pieces of rows, and what each is added to (1) or taken from (-1); and the counts of months.

    True stands for the span, False for the one before.
    """

    pieces: list[tuple[datetime, datetime]] = field(default_factory=list)
    shares: list[tuple[int, bool, int]] = field(default_factory=list)
    months: dict[date, bool] = field(default_factory=dict)

    def read(self, since: datetime, until: datetime, signs: dict[bool, int]) -> None:
        self.shares.extend((len(self.pieces), is_now, sign) for is_now, sign in signs.items())
        self.pieces.append((since, until))


def plan(before: datetime, start: datetime, end: datetime, counted: Sequence[date]) -> Plan:
    """With as few rows as may be, when these months are counted."""
    made = Plan()
    for month in counted:
        first, last = start_of(month), start_of(next_month(month))
        edges = [first, *(at for at in (before, start, end) if first < at < last), last]
        parts = [(since, until) for since, until in pairwise(edges) if before <= since < end]
        longest = max(parts, key=lambda part: part[1] - part[0], default=None)
        if longest is None or (last - first) - (longest[1] - longest[0]) >= parts[-1][1] - parts[0][0]:
            continue  # the others are no shorter than what would be read without the count
        is_now = made.months[month] = longest[0] >= start
        for since, until in pairwise(edges):
            if (since, until) != longest:
                added = {since >= start: 1} if (since, until) in parts else {}
                made.read(since, until, {is_now: -1, **added})
    for since, until, is_now in ((before, start, False), (start, end, True)):
        within = [
            month for month in made.months if since < start_of(next_month(month)) and start_of(month) < until
        ]
        for piece in rest_of(since, until, within):
            made.read(*piece, {is_now: 1})
    return made


def _sums(
    before: datetime, start: datetime, end: datetime, counted: list[date], parameters: dict[str, Any]
) -> list[tuple[Any, ...]] | None:
    """With what was counted of these months, in order; None when one of them has changed meanwhile."""
    made = plan(before, start, end, counted)
    given = {
        **parameters,
        "months": list(made.months),
        "months_now": [month for month, is_now in made.months.items() if is_now],
    }
    parts = []
    if made.pieces:
        messages = " UNION ALL ".join(MESSAGES.format(n=n) for n in range(len(made.pieces)))
        parts.append(READ.format(rows=ROWS.format(messages=messages, which=WANTED)))
        for n, (since, until) in enumerate(made.pieces):
            given |= _bounds(n, since, until)
        given["pieces"], given["are_now"], given["signs"] = map(list, zip(*made.shares, strict=True))
    if made.months:
        parts.append(COUNTED)
    if not parts:
        return []
    told = SUMS.format(parts=" UNION ALL ".join(parts))
    with transaction.atomic():
        sql.execute(ROOM, [])
        found = _fetch(TOLD.format(usable=USABLE, told=told), given)
    if found[0][0] != len(made.months):
        return None
    return [row[1:] for row in found if row[1] is not None]


def _fetch(statement: str, given: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        return cursor.fetchall()


def _bounds(n: int, start: datetime, end: datetime) -> dict[str, datetime]:
    return {f"start_{n}": start, f"end_{n}": end, f"together_{n}": start + TOGETHER}


def count_months(*, now: datetime | None = None) -> int:
    """Count the months that are over and not counted, or have changed since, oldest first; each is a transaction of its own.

    Returns how many.
    """
    _forget_changed()
    sent = Notification.objects.filter(purpose=Purpose.PAGE, status=NotificationStatus.SENT)
    oldest = sent.order_by("sent_at").values_list("sent_at", flat=True).first()
    if oldest is None:
        return 0
    months = months_within(month_of(oldest), (now or timezone.now()) - SLACK)
    done = set(CountedPagesMonth.objects.filter(month__in=months).values_list("month", flat=True))
    return sum(_count(month) for month in months if month not in done)


@transaction.atomic
def _forget_changed() -> None:
    """A month goes together with what told that it changed; what is told as this runs stays, for the next run."""
    _exclude_others()
    sql.execute(FORGET, [])


@transaction.atomic
def _count(month: date) -> int:
    _exclude_others()
    if CountedPagesMonth.objects.filter(month=month).exists():
        return 0  # another worker was faster
    CountedPagesMonth.objects.create(month=month)
    with connection.cursor() as cursor:
        cursor.execute(ROOM)
        bounds = _bounds(0, start_of(month), start_of(next_month(month)))
        cursor.execute(COUNT, {"month": month, **bounds})
    return 1


@transaction.atomic
def forget_all() -> None:
    """For whoever writes messages beside the triggers."""
    _exclude_others()
    CountedPagesMonth.objects.all().delete()


def _exclude_others() -> None:
    """Until the transaction ends, before anything is read: what is read afterwards knows what others have done."""
    sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
