"""What the escalations app tells in reports: the times when paging reached nobody who answered."""

from collections import Counter
from uuid import UUID

from django.db.models import Count, QuerySet
from django.urls import reverse

from incidents.enums import Kind
from incidents.models import TimelineEntry
from incidents.reports import parts
from incidents.reports.blocks import Block, Column, Figure, Figures, Link, Section, Table
from incidents.reports.scope import Scope
from incidents.timeline import sentence

FAILURES = [Kind.ESCALATION_EXHAUSTED, Kind.NOBODY_TO_PAGE]
MOST_SHOWN = 50


def connect() -> None:
    parts.register(Section("escalations", "Escalations that failed", 40, failures))


def failures(scope: Scope) -> list[Block]:
    by_service: dict[UUID, Counter[str]] = {}
    totals: Counter[str] = Counter()
    counted = _entries(scope).values_list("incident__service", "kind").annotate(Count("pk")).order_by()
    for service, kind, count in counted:
        by_service.setdefault(service, Counter())[kind] = count
        totals[kind] += count
    before = dict(_entries(scope.previous).values_list("kind").annotate(Count("pk")).order_by())
    exhausted, nobody = FAILURES
    rows: list[list[object]] = [
        [service.name, service.team.name, found[exhausted], found[nobody]]
        for service, found in ((scope.services[pk], found) for pk, found in by_service.items())
    ]
    rows.sort(key=lambda row: (-row[2] - row[3], row[0]))  # type: ignore[operator]
    newest = _entries(scope).select_related("incident__service").order_by("-at")[:MOST_SHOWN]
    return [
        Figures(
            [
                Figure("Nobody answered", totals[exhausted], before.get(exhausted, 0)),
                Figure("Nobody could be paged", totals[nobody], before.get(nobody, 0)),
            ]
        ),
        Table(
            "failed-by-service",
            "By service",
            [
                Column("Service"),
                Column("Team"),
                Column("Nobody answered", is_number=True),
                Column("Nobody could be paged", is_number=True),
            ],
            rows,
            empty="Every escalation reached somebody who answered.",
        ),
        Table(
            "failed",
            "The newest",
            [Column("Incident"), Column("Service"), Column("When"), Column("What happened")],
            [
                [
                    Link(
                        f"#{entry.incident.number} {entry.incident.title}",
                        reverse("incident", args=[entry.incident.number]),
                    ),
                    entry.incident.service.name,
                    entry.at,
                    sentence(entry),
                ]
                for entry in newest
            ],
            note=f"The newest {MOST_SHOWN} at most.",
            empty="None.",
        ),
    ]


def _entries(scope: Scope) -> QuerySet[TimelineEntry]:
    return TimelineEntry.objects.filter(
        kind__in=FAILURES,
        at__gte=scope.start,
        at__lt=scope.end,
        incident__service__in=list(scope.services),
        incident__severity__in=scope.severities,
    )
