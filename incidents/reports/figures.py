"""The figures of incidents, counted by PostgreSQL.

Merged incidents are left out: they are told as the one in which they went on. The time to acknowledge is from opening
until the first acknowledgement, whatever became of that; those that were never acknowledged have none. The time to
resolve is until the incident was resolved for good.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from .scope import Scope

COUNTED = """
    FROM incidents_incident i
    WHERE i.opened_at >= %(from)s AND i.opened_at < %(end)s AND i.merged_into_id IS NULL
        AND i.service_id = ANY(%(services)s) AND i.severity = ANY(%(severities)s)
"""
SPANS = """
    extract(epoch FROM i.first_acknowledged_at - i.opened_at)::float8 AS to_acknowledge,
    extract(epoch FROM i.resolved_at - i.opened_at)::float8 AS to_resolve
"""
SUMMARY = f"""
SELECT is_now, count(*), count(to_acknowledge), coalesce(sum(to_acknowledge), 0),
    count(to_resolve), coalesce(sum(to_resolve), 0),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY to_acknowledge),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY to_resolve)
FROM (SELECT i.opened_at >= %(start)s AS is_now, {SPANS} {COUNTED}) counted
GROUP BY is_now
"""  # noqa: S608  # nothing but our own words
# Two passes: the first makes 100,000 rows into some hundreds or thousands, the second adds those up in each way.
BREAKDOWN = f"""
WITH finest AS MATERIALIZED (
    SELECT slot, i.service_id, i.severity, i.first_acknowledged_by_id, count(*) AS incidents,
        count(to_acknowledge) AS acknowledged, sum(to_acknowledge) AS to_acknowledge,
        count(to_resolve) AS resolved, sum(to_resolve) AS to_resolve
    FROM (
        SELECT date_trunc('hour', i.opened_at, %(zone)s) AS slot, i.service_id, i.severity, i.first_acknowledged_by_id, {SPANS}
        {COUNTED}
    ) i
    GROUP BY 1, 2, 3, 4
), placed AS (
    SELECT finest.*, date_trunc(%(bucket)s, slot, %(zone)s) AS bucket,
        extract(hour FROM slot AT TIME ZONE %(zone)s)::int AS hour
    FROM finest
)
SELECT grouping(bucket, hour, severity, service_id, first_acknowledged_by_id),
    bucket, hour, severity, service_id, first_acknowledged_by_id,
    sum(incidents)::bigint, sum(acknowledged)::bigint, coalesce(sum(to_acknowledge), 0),
    sum(resolved)::bigint, coalesce(sum(to_resolve), 0)
FROM placed
GROUP BY GROUPING SETS ((bucket, severity), (hour), (service_id, severity), (first_acknowledged_by_id))
"""  # noqa: S608
# A bit for each column that a set leaves out.
BY_BUCKET, BY_HOUR, BY_SERVICE, BY_PERSON = 0b01011, 0b10111, 0b11001, 0b11110


@dataclass(frozen=True)
class Count:
    """Of some incidents: the sums are in seconds, so that counts can be added up and their means stay right."""

    incidents: int = 0
    acknowledged: int = 0
    to_acknowledge: float = 0
    resolved: int = 0
    to_resolve: float = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.incidents + other.incidents,
            self.acknowledged + other.acknowledged,
            self.to_acknowledge + other.to_acknowledge,
            self.resolved + other.resolved,
            self.to_resolve + other.to_resolve,
        )

    @property
    def mtta(self) -> float | None:
        """Mean time to acknowledge, in seconds."""
        return self.to_acknowledge / self.acknowledged if self.acknowledged else None

    @property
    def mttr(self) -> float | None:
        """Mean time to resolve, in seconds."""
        return self.to_resolve / self.resolved if self.resolved else None


@dataclass(frozen=True)
class Summary:
    count: Count
    median_to_acknowledge: float | None = None
    median_to_resolve: float | None = None


@dataclass(frozen=True)
class Breakdown:
    by_bucket: dict[tuple[datetime, str], Count]
    by_hour: dict[int, Count]
    by_service: dict[tuple[UUID, str], Count]
    by_person: dict[UUID | None, Count]

    def of_service(self, service: UUID) -> Count:
        return total(count for (found, _), count in self.by_service.items() if found == service)

    def of_severity(self, severity: str) -> Count:
        return total(count for (_, found), count in self.by_service.items() if found == severity)


def total(counts: Iterable[Count]) -> Count:
    return sum(counts, Count())


def summaries(scope: Scope) -> tuple[Summary, Summary]:
    """Of the span and of the one before it, in one query."""
    found = {True: Summary(Count()), False: Summary(Count())}
    with connection.cursor() as cursor:
        cursor.execute(SUMMARY, {**scope.parameters, "from": scope.previous.start})
        for is_now, *count, to_acknowledge, to_resolve in cursor.fetchall():
            found[is_now] = Summary(Count(*count), to_acknowledge, to_resolve)
    return found[True], found[False]


def breakdown(scope: Scope) -> Breakdown:
    """By column of the chart and severity, hour of the day, service and severity, and who acknowledged first. One query."""
    result = Breakdown({}, {}, {}, {})
    with connection.cursor() as cursor:
        cursor.execute(BREAKDOWN, {**scope.parameters, "from": scope.start})
        for left_out, bucket, hour, severity, service, person, *counted in cursor.fetchall():
            count = Count(*counted)
            if left_out == BY_BUCKET:
                result.by_bucket[bucket, severity] = count
            elif left_out == BY_HOUR:
                result.by_hour[hour] = count
            elif left_out == BY_SERVICE:
                result.by_service[service, severity] = count
            elif left_out == BY_PERSON:
                result.by_person[person] = count
    return result
