"""The figures of incidents, counted by PostgreSQL.

Merged incidents are left out: they are told as the one in which they went on. The time to acknowledge is from opening
until the first acknowledgement, whatever became of that; those that were never acknowledged have none. The time to
resolve is until the incident was resolved for good.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection

from .scope import Scope

COUNTED = """
    FROM incidents_incident i
    WHERE i.opened_at >= %(start)s AND i.opened_at < %(end)s AND i.merged_into_id IS NULL
        AND i.service_id = ANY(%(services)s) AND (%(all_severities)s OR i.severity = ANY(%(severities)s))
"""
# date_part gives a float8; extract would go through numeric, which takes several times as long.
SPANS = """
    date_part('epoch', i.first_acknowledged_at - i.opened_at) AS to_acknowledge,
    date_part('epoch', i.resolved_at - i.opened_at) AS to_resolve
"""
SUMS = """
    count(*), count(to_acknowledge), coalesce(sum(to_acknowledge), 0), count(to_resolve), coalesce(sum(to_resolve), 0)
"""
MEDIANS = f"""
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY to_acknowledge),
    percentile_cont(0.5) WITHIN GROUP (ORDER BY to_resolve)
FROM (SELECT {SPANS} {COUNTED}) counted
"""  # noqa: S608  # nothing but our own words
TOTALS = f"""
SELECT opened_at >= %(now)s, {SUMS} FROM (SELECT i.opened_at, {SPANS} {COUNTED}) counted GROUP BY 1
"""  # noqa: S608
BY_WHOM = f"""
SELECT grouping(service_id), service_id, severity, first_acknowledged_by_id, {SUMS}
FROM (SELECT i.service_id, i.severity, i.first_acknowledged_by_id, {SPANS} {COUNTED}) counted
GROUP BY GROUPING SETS ((service_id, severity), (first_acknowledged_by_id))
"""  # noqa: S608
# First by slots of the clock, of which there are few: local time is dear to reckon, and reckoned once for each.
BY_TIME = f"""
WITH slots AS MATERIALIZED (
    SELECT slot, severity, count(*) AS incidents, count(to_acknowledge) AS acknowledged,
        sum(to_acknowledge) AS to_acknowledge, count(to_resolve) AS resolved, sum(to_resolve) AS to_resolve
    FROM (SELECT floor(date_part('epoch', i.opened_at) / %(slot)s) AS slot, i.severity, {SPANS} {COUNTED}) counted
    GROUP BY 1, 2
), places AS MATERIALIZED (
    SELECT slot, date_trunc(%(bucket)s, local) AS bucket, date_part('hour', local)::int AS hour,
        CASE WHEN %(bucket)s = 'hour' THEN date_trunc('hour', to_timestamp(slot * %(slot)s), %(zone)s) END AS hourly
    FROM (
        SELECT slot, to_timestamp(slot * %(slot)s) AT TIME ZONE %(zone)s AS local
        FROM (
            SELECT slot::float8 FROM generate_series(
                floor(date_part('epoch', %(start)s::timestamptz) / %(slot)s)::bigint,
                floor(date_part('epoch', %(end)s::timestamptz) / %(slot)s)::bigint
            ) AS slot
        ) every
    ) placed
)
SELECT grouping(hour), bucket, hourly, hour, severity, sum(incidents)::bigint, sum(acknowledged)::bigint,
    coalesce(sum(to_acknowledge), 0), sum(resolved)::bigint, coalesce(sum(to_resolve), 0)
FROM slots JOIN places USING (slot)
GROUP BY GROUPING SETS ((bucket, hourly, severity), (hour))
"""  # noqa: S608
HOUR, QUARTER = 3600, 900


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
class ByWhom:
    by_service: dict[tuple[UUID, str], Count]
    by_person: dict[UUID | None, Count]

    @property
    def all(self) -> Count:
        return total(self.by_service.values())

    @cached_property
    def _services(self) -> dict[UUID, Count]:
        sums: dict[UUID, Count] = {}
        for (service, _), count in self.by_service.items():
            sums[service] = sums.get(service, Count()) + count
        return sums

    def of_service(self, service: UUID) -> Count:
        return self._services.get(service, Count())

    def of_severity(self, severity: str) -> Count:
        return total(count for (_, found), count in self.by_service.items() if found == severity)


@dataclass(frozen=True)
class ByTime:
    by_bucket: dict[tuple[datetime, str], Count]
    by_hour: dict[int, Count]


def total(counts: Iterable[Count]) -> Count:
    return sum(counts, Count())


def totals(scope: Scope) -> tuple[Count, Count]:
    """Of the span, and of the one before. One query."""
    both = replace(scope, start=scope.previous.start)
    found = {is_now: Count(*counted) for is_now, *counted in _fetch(TOTALS, both, now=scope.start)}
    return found.get(True, Count()), found.get(False, Count())


def medians(scope: Scope) -> tuple[float | None, float | None]:
    """Of the times to acknowledge and to resolve, in seconds."""
    [found] = _fetch(MEDIANS, scope)
    return found


def by_whom(scope: Scope) -> ByWhom:
    """By service and severity, and by who acknowledged first. One query."""
    found = ByWhom({}, {})
    for is_person, service, severity, person, *counted in _fetch(BY_WHOM, scope):
        if is_person:
            found.by_person[person] = Count(*counted)
        else:
            found.by_service[service, severity] = Count(*counted)
    return found


def by_time(scope: Scope) -> ByTime:
    """By the span's columns (scope.buckets) and severity, and by hour of the day. One query."""
    found = ByTime({}, {})
    # Not every zone is whole hours away from UTC.
    has_odd = any(at.astimezone(scope.zone).utcoffset().seconds % HOUR for at in (scope.start, scope.end))  # type: ignore[union-attr]
    for is_bucket, bucket, hourly, hour, severity, *counted in _fetch(
        BY_TIME, scope, slot=QUARTER if has_odd else HOUR
    ):
        if is_bucket:
            found.by_bucket[hourly or bucket.replace(tzinfo=scope.zone), severity] = Count(*counted)
        else:
            found.by_hour[hour] = Count(*counted)
    return found


def _fetch(statement: str, scope: Scope, **more: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {**scope.parameters, **more})
        return cursor.fetchall()
