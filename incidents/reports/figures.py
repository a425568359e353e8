"""The figures of incidents, counted by PostgreSQL.

Merged incidents are left out: they are told as the one in which they went on. The time to acknowledge is from opening
until the first acknowledgement, whatever became of that; those that were never acknowledged have none. The time to
resolve is until the incident was resolved for good.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import connection

from .scope import Scope

WANTED = """
    i.merged_into_id IS NULL AND i.service_id = ANY(%(services)s)
    AND (%(all_severities)s OR i.severity = ANY(%(severities)s))
"""
COUNTED = f"FROM incidents_incident i WHERE i.opened_at >= %(start)s AND i.opened_at < %(end)s AND {WANTED}"
TO_ACKNOWLEDGE, TO_RESOLVE = "i.first_acknowledged_at - i.opened_at", "i.resolved_at - i.opened_at"


def _sums(which: str = "") -> str:
    """What Count is made of. Seconds are taken of the sums: those of each would take longer than all the rest."""
    return f"""
    count(*) {which}, count(i.first_acknowledged_at) {which},
    coalesce(date_part('epoch', sum({TO_ACKNOWLEDGE}) {which}), 0),
    count(i.resolved_at) {which}, coalesce(date_part('epoch', sum({TO_RESOLVE}) {which}), 0)
    """


SUMS = _sums()
NOW, BEFORE = "FILTER (WHERE i.opened_at >= %(now)s)", "FILTER (WHERE i.opened_at < %(now)s)"
# date_part gives a float8; extract would go through numeric, which takes several times as long.
OVERALL = f"""
SELECT {_sums(NOW)}, {_sums(BEFORE)},
    percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', {TO_ACKNOWLEDGE})) {NOW},
    percentile_cont(0.5) WITHIN GROUP (ORDER BY date_part('epoch', {TO_RESOLVE})) {NOW}
{COUNTED}
"""
BY_WHOM = f"""
SELECT grouping(i.service_id), i.service_id, i.severity, i.first_acknowledged_by_id, {SUMS} {COUNTED}
GROUP BY GROUPING SETS ((i.service_id, i.severity), (i.first_acknowledged_by_id))
"""
# Piece by piece, each a range of the index: few groups at a time, and local time is so many seconds from UTC.
BY_TIME = f"""
SELECT grouping(hour), bucket, hour, severity, sum(incidents)::bigint, sum(acknowledged)::bigint,
    coalesce(date_part('epoch', sum(to_acknowledge)), 0), sum(resolved)::bigint,
    coalesce(date_part('epoch', sum(to_resolve)), 0)
FROM unnest(%(buckets)s::int[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(offsets)s::interval[])
    AS piece (bucket, since, until, utc_offset),
LATERAL (
    SELECT i.severity, date_part('hour', i.opened_at AT TIME ZONE utc_offset)::int AS hour,
        count(*) AS incidents, count(i.first_acknowledged_at) AS acknowledged, sum({TO_ACKNOWLEDGE}) AS to_acknowledge,
        count(i.resolved_at) AS resolved, sum({TO_RESOLVE}) AS to_resolve
    FROM incidents_incident i
    WHERE i.opened_at >= since AND i.opened_at < until AND {WANTED}
    GROUP BY 1, 2
) counted
GROUP BY GROUPING SETS ((bucket, severity), (hour))
"""  # noqa: S608  # nothing but our own words


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


def overall(scope: Scope) -> tuple[Count, Count, tuple[float | None, float | None]]:
    """Of the span, and of the one before; and the span's medians of the times to acknowledge and to resolve, in seconds.

    One query, which reads the incidents once.
    """
    both = replace(scope, start=scope.previous.start)
    [(*sums, to_acknowledge, to_resolve)] = _fetch(OVERALL, both, now=scope.start)
    return Count(*sums[:5]), Count(*sums[5:]), (to_acknowledge, to_resolve)


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
    buckets = scope.buckets()
    # In UTC: what is of one zone is compared by its wall clock, on which an hour may come twice.
    edges = sorted(
        {at.astimezone(UTC) for at in (scope.start, *buckets[1:], *scope.clock_changes(), scope.end)}
    )
    pieces = {
        "buckets": [bisect_right(buckets, since) - 1 for since in edges[:-1]],
        "starts": edges[:-1],
        "ends": edges[1:],
        "offsets": [f"{scope.utc_offset(since).total_seconds()} seconds" for since in edges[:-1]],
    }
    for is_bucket, bucket, hour, severity, *counted in _fetch(BY_TIME, scope, **pieces):
        if is_bucket:
            found.by_bucket[buckets[bucket], severity] = Count(*counted)
        else:
            found.by_hour[hour] = Count(*counted)
    return found


def _fetch(statement: str, scope: Scope, **more: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {**scope.parameters, **more})
        return cursor.fetchall()
