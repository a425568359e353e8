"""What the alerts app tells in reports: what makes the most noise, and what comes and goes."""

from typing import Any

from django.urls import reverse

from incidents.enums import Kind
from incidents.models import TimelineEntry
from incidents.reports import parts
from incidents.reports.blocks import Block, Column, Figure, Figures, Link, Section, Table
from incidents.reports.scope import Scope

from .models import Integration
from .noise import noise

MOST_SHOWN = 50


def connect() -> None:
    parts.register(Section("alerts", "Noisy alerts", 20, build))


def build(scope: Scope) -> list[Block]:
    integrations = {row.pk: row for row in Integration.objects.filter(service__in=list(scope.services))}
    found = noise(
        start=scope.start,
        end=scope.end,
        integrations=integrations,
        severities=scope.severities,
        most=MOST_SHOWN,
    )
    rows: list[list[Any]] = []
    for integration, key, count, times, title in found.noisiest:
        service = scope.services[integrations[integration].service_id]
        share = f"{count / found.alerts:.0%}"
        rows.append([title, key, integrations[integration].name, service.name, count, share, times])
    numbers = [Column(name, is_number=True) for name in ("Alerts", "Share", "Times sent")]
    return [
        Figures(
            [
                Figure("Alerts", found.alerts),
                Figure("Different problems", found.problems, less_is_better=None),
                Figure("Times sent", found.sent),
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
