"""What the incidents app itself tells in reports."""

from collections.abc import Iterable
from datetime import datetime

from django.urls import reverse
from django.utils.http import urlencode

from incidents.enums import SEVERITIES
from teams.models import User

from . import figures, on_call_hours, parts
from .blocks import Block, Chart, Column, Figure, Figures, Link, Seconds, Section, Series, Table
from .figures import ByTime, ByWhom, Count, total
from .scope import Scope

MEASURES = [
    Column("Incidents", is_number=True),
    Column("Before", is_number=True),
    Column("Acknowledged", is_number=True),
    Column("Time to acknowledge", is_number=True),
    Column("Time to resolve", is_number=True),
]
FORMS = {"hour": "%a %H:%M", "day": "%-d %b", "week": "Week of %-d %b %Y", "month": "%b %Y"}


def connect() -> None:
    # What reads the same rows in different ways is a section each: they load beside each other.
    parts.register(Section("summary", "Incidents", 0, summary))
    parts.register(Section("over-time", "Incidents over time", 3, incidents_over_time))
    parts.register(Section("incidents", "Incidents by service, team and person", 6, incidents))
    parts.register(Section("on-call", "On call", 50, on_call_hours.build))


def summary(scope: Scope) -> list[Block]:
    now, before, (to_acknowledge, to_resolve) = figures.overall(scope)
    return [
        Figures(
            [
                Figure("Incidents", now.incidents, before.incidents),
                Figure(
                    "Mean time to acknowledge",
                    now.mtta,
                    before.mtta,
                    is_seconds=True,
                    note=_median(to_acknowledge),
                ),
                Figure(
                    "Mean time to resolve",
                    now.mttr,
                    before.mttr,
                    is_seconds=True,
                    note=_median(to_resolve),
                ),
                Figure(
                    "Acknowledged by somebody",
                    _share(now),
                    _share(before),
                    is_share=True,
                    less_is_better=False,
                ),
            ]
        ),
    ]


def incidents(scope: Scope) -> list[Block]:
    found, found_before = figures.by_whom(scope), figures.by_whom(scope.previous)
    return [
        by_severity(found, found_before),
        by_service(scope, found, found_before),
        by_team(scope, found, found_before),
        by_person(found, found_before),
    ]


def incidents_over_time(scope: Scope) -> list[Block]:
    found = figures.by_time(scope)
    return [*over_time(scope, found), by_hour(scope, found)]


def _median(seconds: float | None) -> str:
    return f"median {Seconds(seconds)}" if seconds is not None else ""


def _share(count: Count) -> float | None:
    return count.acknowledged / count.incidents if count.incidents else None


def _measures(count: Count, before: Count) -> list[object]:
    return [
        count.incidents,
        before.incidents,
        count.acknowledged,
        Seconds(count.mtta),
        Seconds(count.mttr),
    ]


def over_time(scope: Scope, found: ByTime) -> list[Chart]:
    """How many, and how fast, by the columns of the span."""
    slots = scope.buckets()
    named = [slot.astimezone(scope.zone).strftime(FORMS[scope.bucket]) for slot in slots]
    each = [total(_at(found, slot)) for slot in slots]
    table = Table(
        "over-time",
        f"By {scope.bucket}",
        [
            Column(scope.bucket.capitalize()),
            *(Column(s.label, is_number=True) for s in SEVERITIES),
            *MEASURES[:1],
            *MEASURES[2:],
        ],
        [
            [
                name,
                *(found.by_bucket.get((slot, severity), Count()).incidents for severity in SEVERITIES),
                count.incidents,
                count.acknowledged,
                Seconds(count.mtta),
                Seconds(count.mttr),
            ]
            for slot, name, count in zip(slots, named, each, strict=True)
        ],
    )
    severities = [
        Series(
            severity.label,
            severity,
            [found.by_bucket.get((slot, severity), Count()).incidents for slot in slots],
        )
        for severity in reversed(SEVERITIES)
    ]
    return [
        Chart(f"Incidents by {scope.bucket}", "columns", named, severities, table),
        Chart(
            "How fast",
            "lines",
            named,
            [
                Series("Time to acknowledge", "info", [count.mtta for count in each]),
                Series("Time to resolve", "success", [count.mttr for count in each]),
            ],
            table,
            is_seconds=True,
            note="Means, on a logarithmic scale.",
        ),
    ]


def _at(found: ByTime, slot: datetime) -> Iterable[Count]:
    return (found.by_bucket.get((slot, severity), Count()) for severity in SEVERITIES)


def by_hour(scope: Scope, found: ByTime) -> Chart:
    counts = [found.by_hour.get(hour, Count()) for hour in range(24)]
    named = [f"{hour:02}:00" for hour in range(24)]
    return Chart(
        "Incidents by hour of the day",
        "columns",
        named,
        [Series("Incidents", "info", [count.incidents for count in counts])],
        Table(
            "by-hour",
            "By hour of the day",
            [Column("Hour"), *MEASURES[:1], *MEASURES[2:]],
            [
                [name, count.incidents, count.acknowledged, Seconds(count.mtta), Seconds(count.mttr)]
                for name, count in zip(named, counts, strict=True)
            ],
        ),
        note=f"On the clock of {scope.zone.key}.",
    )


def by_severity(found: ByWhom, before: ByWhom) -> Table:
    rows = [
        [severity.label, *_measures(found.of_severity(severity), before.of_severity(severity))]
        for severity in SEVERITIES
    ]
    return Table("by-severity", "By severity", [Column("Severity"), *MEASURES], rows)


def by_service(scope: Scope, found: ByWhom, before: ByWhom) -> Table:
    rows = []
    for pk, service in scope.services.items():
        count, earlier = found.of_service(pk), before.of_service(pk)
        if count.incidents or earlier.incidents:
            link = Link(service.name, f"{reverse('incidents')}?{urlencode({'state': 'all', 'service': pk})}")
            rows.append([link, service.team.name, *_measures(count, earlier)])
    rows.sort(key=lambda row: (-row[2], str(row[0])))
    return Table("by-service", "By service", [Column("Service"), Column("Team"), *MEASURES], rows)


def by_team(scope: Scope, found: ByWhom, before: ByWhom) -> Table:
    rows = []
    for team in scope.teams:
        its = [pk for pk, service in scope.services.items() if service.team_id == team.pk]
        count, earlier = total(map(found.of_service, its)), total(map(before.of_service, its))
        if count.incidents or earlier.incidents:
            rows.append([team.name, *_measures(count, earlier)])
    rows.sort(key=lambda row: (-row[1], row[0]))
    return Table("by-team", "By team", [Column("Team"), *MEASURES], rows)


def by_person(found: ByWhom, before: ByWhom) -> Table:
    ids = {pk for pk in (*found.by_person, *before.by_person) if pk}
    people = User.objects.in_bulk(ids)
    rows: list[list[object]] = []
    for pk in ids:
        count, earlier = found.by_person.get(pk, Count()), before.by_person.get(pk, Count())
        name = str(people[pk]) if pk in people else "Somebody who is gone"
        rows.append([name, count.incidents, earlier.incidents, Seconds(count.mtta), Seconds(count.mttr)])
    rows.sort(key=lambda row: (-row[1], row[0]))  # type: ignore[operator]
    return Table(
        "by-person",
        "By who acknowledged first",
        [Column("Person"), *MEASURES[:2], *MEASURES[3:]],
        rows,
        note="What was acknowledged by an integration, or by nobody, stands in no row.",
    )
