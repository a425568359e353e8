"""What the notifications app tells in reports: who was paged how often and when, and what could not be delivered."""

from collections import Counter
from typing import Any

from django.db import connection
from django.utils.text import Truncator

from incidents.reports import parts
from incidents.reports.blocks import Block, Chart, Column, Figure, Figures, Section, Series, Table
from incidents.reports.nights import BEGINS, ENDS, WORDS
from incidents.reports.scope import Scope
from teams.models import Service, User

from . import counted_pages
from .enums import Channel

MOST_ERRORS = 50

BY_PERSON, BY_SERVICE, BY_HOUR = 0b011, 0b101, 0b110
DELIVERY = """
SELECT n.channel, count(*) FILTER (WHERE n.status = 'sent'),
    count(*) FILTER (WHERE n.attempt_count > 1 AND n.status = 'sent'), count(*) FILTER (WHERE n.status = 'dead')
FROM notifications_notification n
WHERE n.created_at >= %(start)s AND n.created_at < %(end)s AND n.status IN ('sent', 'dead') AND {wanted}
GROUP BY 1 ORDER BY 1
"""
ERRORS = """
SELECT n.channel, n.last_error, count(*), count(DISTINCT n.user_id), max(n.updated_at)
FROM notifications_notification n
WHERE n.status = 'dead' AND n.updated_at >= %(start)s AND n.created_at >= %(start)s AND n.created_at < %(end)s AND {wanted}
GROUP BY 1, 2 ORDER BY 3 DESC LIMIT %(most)s
"""
OF_ANY_INCIDENT = "n.incident_id IS NOT NULL"
OF_THESE_INCIDENTS = """n.incident_id IN (
    SELECT i.id FROM incidents_incident i
    WHERE i.service_id = ANY(%(services)s) AND (%(all_severities)s OR i.severity = ANY(%(severities)s))
)"""


def connect() -> None:
    parts.register(Section("pages", "Pages", 10, pages))
    parts.register(Section("delivery", "Delivery", 30, delivery))


def _fetch(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def pages(scope: Scope) -> list[Block]:
    found = counted_pages.pages(
        before=scope.previous.start,
        start=scope.start,
        end=scope.end,
        parameters={**scope.parameters, "night": BEGINS.hour, "morning": ENDS.hour},
    )
    people: dict[Any, dict[bool, tuple[int, ...]]] = {}
    services: dict[Any, Counter[bool]] = {}
    hours: Counter[int] = Counter()
    totals: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for is_now, left_out, user, service, hour, count, nights, weekends, messages in found:
        if left_out == BY_PERSON:
            people.setdefault(user, {})[is_now] = (count, nights, weekends, messages)
            totals[is_now].update(pages=count, nights=nights, weekends=weekends)
        elif left_out == BY_SERVICE:
            services.setdefault(service, Counter())[is_now] = count
        elif is_now:
            hours[hour] = count
    now, earlier = totals[True], totals[False]
    return [
        Figures(
            [
                Figure("Pages", now["pages"], earlier["pages"]),
                Figure("At night", now["nights"], earlier["nights"]),
                Figure("At weekends", now["weekends"], earlier["weekends"]),
            ]
        ),
        _by_hour(hours),
        _by_person(people),
        _by_service(scope, services),
        _by_team(scope, services),
    ]


def _by_hour(hours: Counter[int]) -> Chart:
    named = [f"{hour:02}:00" for hour in range(24)]
    counts = [hours[hour] for hour in range(24)]
    table = Table(
        "pages-by-hour",
        "Pages by hour of the day",
        [Column("Hour"), Column("Pages", is_number=True)],
        [list(row) for row in zip(named, counts, strict=True)],
    )
    return Chart(
        "Pages by hour of the day",
        "columns",
        named,
        [Series("Pages", "info", counts)],
        table,
        note="On the clock of whoever was paged.",
    )


def _by_person(people: dict[Any, dict[bool, tuple[int, ...]]]) -> Table:
    names = User.objects.in_bulk(people)
    nothing = (0, 0, 0, 0)
    rows: list[list[Any]] = []
    for user, found in people.items():
        now, before = found.get(True, nothing), found.get(False, nothing)
        rows.append([str(names[user]), now[0], before[0], now[1], before[1], now[2], now[3]])
    rows.sort(key=lambda row: (-row[3], -row[1], row[0]))
    titles = ("Pages", "Before", "At night", "At night before", "At weekends", "Messages")
    return Table(
        "pages-by-person",
        "Pages by person, most nights first",
        [Column("Person"), *(Column(title, is_number=True) for title in titles)],
        rows,
        note=f"{WORDS} A step that pages somebody by several methods is one page and several messages.",
        empty="Nobody was paged in this period.",
    )


def _by_service(scope: Scope, services: dict[Any, Counter[bool]]) -> Table:
    rows: list[list[Any]] = [
        [scope.services[pk].name, scope.services[pk].team.name, found[True], found[False]]
        for pk, found in services.items()
    ]
    rows.sort(key=lambda row: (-row[2], row[0]))
    numbers = [Column("Pages", is_number=True), Column("Before", is_number=True)]
    return Table("pages-by-service", "Pages by service", [Column("Service"), Column("Team"), *numbers], rows)


def _by_team(scope: Scope, services: dict[Any, Counter[bool]]) -> Table:
    teams: dict[str, Counter[bool]] = {}
    for pk, found in services.items():
        teams.setdefault(scope.services[pk].team.name, Counter()).update(found)
    rows: list[list[Any]] = [[name, found[True], found[False]] for name, found in teams.items()]
    rows.sort(key=lambda row: (-row[1], row[0]))
    numbers = [Column("Pages", is_number=True), Column("Before", is_number=True)]
    return Table("pages-by-team", "Pages by team", [Column("Team"), *numbers], rows)


def delivery(scope: Scope) -> list[Block]:
    given = {**scope.parameters, "most": MOST_ERRORS}
    # Whose report is of all incidents has the most messages, and need not look at one of the incidents.
    has_all = given["all_severities"] and len(scope.services) == Service.objects.count()
    wanted = OF_ANY_INCIDENT if has_all else OF_THESE_INCIDENTS
    by_channel = [
        [_channel(channel), sent, again, dead]
        for channel, sent, again, dead in _fetch(DELIVERY.format(wanted=wanted), given)
    ]
    errors = [
        [_channel(channel), Truncator(error).chars(200) or "no reason was given", count, people, at]
        for channel, error, count, people, at in _fetch(ERRORS.format(wanted=wanted), given)
    ]
    dead = sum(row[3] for row in by_channel)
    sent = sum(row[1] for row in by_channel)
    numbers = ("Sent", "Only after a retry", "Failed for good")
    return [
        Figures(
            [
                Figure("Messages sent", sent, less_is_better=None),
                Figure("Sent only after a retry", sum(row[2] for row in by_channel)),
                Figure("Failed for good", dead),
            ]
        ),
        Table(
            "delivery-by-channel",
            "By channel",
            [Column("Channel"), *(Column(title, is_number=True) for title in numbers)],
            by_channel,
            empty="No message was due in this period.",
        ),
        Table(
            "delivery-failures",
            "Why deliveries failed for good",
            [
                Column("Channel"),
                Column("Reason"),
                Column("Messages", is_number=True),
                Column("People", is_number=True),
                Column("Last"),
            ],
            errors,
            empty="Every message was delivered.",
        ),
    ]


def _channel(value: str) -> str:
    return Channel(value).label if value in Channel.values else value
