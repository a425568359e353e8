"""What the alerts app tells in reports: what makes the most noise, and what comes and goes."""

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.urls import reverse

from incidents.enums import Kind
from incidents.models import TimelineEntry
from incidents.reports import parts
from incidents.reports.blocks import Block, Column, Figure, Figures, Link, Section, Table
from incidents.reports.scope import Scope
from openalert.ids import uuid7_floor

from .models import Integration

MOST_SHOWN = 50
# Ids are in the order of arrival, which may be a little apart from when the problem began.
SLACK = timedelta(days=1)

# An alert with the same dedup key as another is one of another incident: the count is that of the incidents, too.
NOISY = """
WITH found AS MATERIALIZED (
    SELECT a.integration_id, a.dedup_key, count(*) AS alerts, sum(a.count)::bigint AS sent,
        any_value(a.title) AS title
    FROM alerts_alert a
    WHERE a.id >= %(first)s AND a.id < %(last)s AND a.first_fired_at >= %(start)s AND a.first_fired_at < %(end)s
        AND a.integration_id = ANY(%(integrations)s) AND (%(all_severities)s OR a.severity = ANY(%(severities)s))
    GROUP BY 1, 2
)
SELECT (SELECT count(*) FROM found), (SELECT sum(alerts) FROM found), (SELECT sum(sent) FROM found), f.*
FROM found f
ORDER BY f.alerts DESC, f.sent DESC, f.dedup_key LIMIT %(most)s
"""
# Room to count a million alerts in memory.
ROOM = "SET LOCAL work_mem = '64MB'"


def connect() -> None:
    parts.register(Section("alerts", "Noisy alerts", 20, noise))


def noise(scope: Scope) -> list[Block]:
    integrations = {row.pk: row for row in Integration.objects.filter(service__in=list(scope.services))}
    given = {
        **scope.parameters,
        "first": uuid7_floor(scope.start - SLACK),
        "last": uuid7_floor(scope.end + SLACK),
        "integrations": list(integrations),
        "most": MOST_SHOWN,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROOM)
        cursor.execute(NOISY, given)
        found = cursor.fetchall()
    problems, alerts, sent = found[0][:3] if found else (0, 0, 0)
    rows: list[list[Any]] = []
    for _, _, _, integration, key, count, times, title in found:
        service = scope.services[integrations[integration].service_id]
        share = f"{count / alerts:.0%}"
        rows.append([title, key, integrations[integration].name, service.name, count, share, times])
    numbers = [Column(name, is_number=True) for name in ("Alerts", "Share", "Times sent")]
    return [
        Figures(
            [
                Figure("Alerts", alerts),
                Figure("Different problems", problems, less_is_better=None),
                Figure("Times sent", sent),
            ]
        ),
        Table(
            "noisiest",
            "The noisiest problems",
            [Column("Alert"), Column("Dedup key"), Column("Integration"), Column("Service"), *numbers],
            rows,
            note="A problem that comes back after its incident was resolved is another alert with the same dedup key.",
            empty="No alert came in this period.",
        ),
        _flapping(scope),
    ]


def _flapping(scope: Scope) -> Table:
    entries = TimelineEntry.objects.filter(
        kind=Kind.FLAPPING,
        at__gte=scope.start,
        at__lt=scope.end,
        incident__service__in=list(scope.services),
        incident__severity__in=scope.severities,
    ).select_related("incident")
    rows = [
        [
            Link(
                f"#{entry.incident.number} {entry.incident.title}",
                reverse("incident", args=[entry.incident.number]),
            ),
            scope.services[entry.incident.service_id].name,
            entry.data.get("ends"),
            entry.at,
        ]
        for entry in entries.order_by("-at")[:MOST_SHOWN]
    ]
    return Table(
        "flapping",
        "What came and went",
        [
            Column("Incident"),
            Column("Service"),
            Column("Ends within an hour", is_number=True),
            Column("When"),
        ],
        rows,
        empty="Nothing flapped in this period.",
    )
