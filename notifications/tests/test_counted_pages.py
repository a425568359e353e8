"""Pages in reports are the same whether months were counted before or all is read from the rows."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from django.utils import timezone

from incidents import lifecycle
from incidents.enums import SEVERITIES, Severity
from incidents.models import Incident
from incidents.reports.nights import BEGINS, ENDS
from incidents.reports.scope import Scope
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from notifications import counted_pages
from notifications.enums import NotificationStatus
from notifications.models import ChangedPages, CountedPagesMonth, MonthlyPages, Notification
from openalert.ids import uuid7
from openalert.tests.stack import eventually
from teams.models import User
from teams.tests.factories import ServiceFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
EDGES = [
    NOW - timedelta(days=120),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 10, 7, tzinfo=UTC),
    NOW,
]


@pytest.fixture
def services(db, clock):
    """Two, with the pages of four months before: of several methods, some a month after the others of their step."""
    random.seed(11)
    services = [ServiceFactory(), ServiceFactory()]
    people = [UserFactory(time_zone="America/New_York"), UserFactory(time_zone="Asia/Kolkata")]
    methods = {person: [ContactMethodFactory(user=person) for _ in range(2)] for person in people}
    for n in range(80):
        person, run_id = random.choice(people), uuid7()
        at = NOW - timedelta(days=120 * random.random())
        incident = IncidentFactory(
            service=random.choice(services), severity=random.choice(SEVERITIES), opened_at=at
        )
        written = at
        for method in methods[person]:
            NotificationFactory(
                created_at=written,
                user=person,
                incident=incident,
                contact_method=method,
                run_id=run_id,
                due_at=at,
                sent_at=at,
                status=NotificationStatus.SENT if random.random() < 0.8 else NotificationStatus.DEAD,
            )
            at = min(at + timedelta(days=30 if n % 7 == 0 else 0, minutes=5), NOW)
    return services


def scopes(services):
    for start in EDGES[:-1]:
        for end in EDGES:
            if start < end:
                for whose in (services, services[:1]):
                    for severities in (SEVERITIES, [Severity.CRITICAL, Severity.LOW]):
                        yield Scope(
                            start,
                            end,
                            ZoneInfo("UTC"),
                            {service.pk: service for service in whose},
                            severities,
                        )


def told(scope):
    parameters = {**scope.parameters, "night": BEGINS.hour, "morning": ENDS.hour}
    before = scope.previous.start
    found = counted_pages.pages(before=before, start=scope.start, end=scope.end, parameters=parameters)
    return sorted(row for row in found if any(row[5:]))


def reckoned(scope):
    """The same, one message after the other."""
    sums: dict[tuple, Counter] = {}
    seen = set()
    for message in (
        Notification.objects.filter(status="sent")
        .order_by("sent_at", "pk")
        .select_related("incident", "user")
    ):
        step = (message.run_id, message.loop, message.step, message.user_id)
        is_page = step not in seen
        seen.add(step)
        is_now = message.sent_at >= scope.start
        if not scope.previous.start <= message.sent_at < scope.end:
            continue
        incident = message.incident
        if incident.service_id not in scope.services or incident.severity not in scope.severities:
            continue
        local = message.sent_at.astimezone(ZoneInfo(message.user.time_zone))
        count = Counter(
            pages=is_page,
            nights=is_page and (local.hour >= BEGINS.hour or local.hour < ENDS.hour),
            weekends=is_page and local.isoweekday() > 5,
            messages=1,
        )
        keys = ((0b011, message.user_id, None, None), (0b101, None, incident.service_id, None))
        for key in (*keys, (0b110, None, None, local.hour)):
            sums.setdefault((is_now, *key), Counter()).update(count)
    return {key: (c["pages"], c["nights"], c["weekends"], c["messages"]) for key, c in sums.items()}


def by_key(rows):
    return {row[:5]: row[5:] for row in rows}


def without_hours_of_what_is_no_page(found):
    """A message that makes no page has an hour of its own, which nobody is told."""
    return {
        key: value[:3] if key[1] == 0b110 else value
        for key, value in found.items()
        if key[1] != 0b110 or value[0]
    }


def test_counted_months_tell_what_the_rows_tell(services):
    asked = list(scopes(services))
    from_rows = [by_key(told(scope)) for scope in asked]
    for scope, found in zip(asked, from_rows, strict=True):
        assert without_hours_of_what_is_no_page(found) == without_hours_of_what_is_no_page(reckoned(scope))
    assert counted_pages.count_months(now=NOW) == 3  # February is not over for two days
    assert counted_pages.count_months(now=LATER) == 1
    assert counted_pages.count_months(now=LATER) == 0
    for scope, found in zip(asked, from_rows, strict=True):
        assert without_hours_of_what_is_no_page(by_key(told(scope))) == without_hours_of_what_is_no_page(
            found
        )


def test_of_a_month_that_a_span_cuts_the_shorter_part_is_read():
    september, october, november = (datetime(2025, month, 1, tzinfo=UTC) for month in (9, 10, 11))
    start, end = datetime(2025, 10, 20, tzinfo=UTC), datetime(2025, 11, 10, tzinfo=UTC)
    made = counted_pages.plan(september, start, end, [october.date()])
    assert made.months == {october.date(): False}
    assert made.pieces == [(start, november), (september, october), (november, end)]
    # From the 20th: taken from the count, which stands for the span before, and added to the span.
    assert made.shares == [(0, False, -1), (0, True, 1), (1, False, 1), (2, True, 1)]
    # More of November is outside than within: its count would save nothing.
    assert november.date() not in counted_pages.plan(september, start, end, [november.date()]).months


def months():
    """Those that are told as they were counted."""
    counted = CountedPagesMonth.objects.order_by("month").values_list("month", flat=True)
    usable = {month for (month,) in counted_pages._fetch(counted_pages.USABLE, {"months": list(counted)})}
    return [f"{month:%b}" for month in counted if month in usable]


def first_of(month, **fields):
    sent = Notification.objects.filter(status="sent", sent_at__month=month, **fields)
    return sent.order_by("sent_at").first()


def is_right(services):
    scope = Scope(EDGES[1], NOW, ZoneInfo("UTC"), {service.pk: service for service in services}, SEVERITIES)
    assert without_hours_of_what_is_no_page(by_key(told(scope))) == without_hours_of_what_is_no_page(
        reckoned(scope)
    )
    return True


def test_what_changes_a_counted_month_is_told_at_once(services):
    def count():
        counted_pages.count_months(now=LATER)
        assert months() == ["Nov", "Dec", "Jan", "Feb"]
        assert not ChangedPages.objects.exists()

    count()
    incident = first_of(1).incident
    Incident.objects.filter(pk=incident.pk).update(title="Another one")
    assert len(months()) == 4
    Incident.objects.filter(opened_at__gte=datetime(2026, 1, 1, tzinfo=UTC)).update(
        severity=Severity.LOW, service=services[1]
    )
    assert months() == ["Nov", "Dec"] and is_right(services)
    count()
    assert is_right(services)
    Notification.objects.filter(pk=first_of(12).pk).delete()
    assert months() == ["Nov", "Jan", "Feb"]
    count()
    User.objects.filter(pk=first_of(1).user_id).update(time_zone="Pacific/Auckland")
    assert months() == [] and is_right(services)
    count()
    dead = Notification.objects.filter(status="dead").first()
    Notification.objects.filter(pk=dead.pk).update(status="sent", sent_at=datetime(2025, 12, 5, tzinfo=UTC))
    assert months()[:2] == ["Nov"]
    Notification.objects.all().delete()
    assert counted_pages.count_months(now=LATER) == 0
    assert not MonthlyPages.objects.exists() and not CountedPagesMonth.objects.exists()


def test_a_month_that_changes_as_a_report_reads_is_read_anew(services, monkeypatch):
    counted_pages.count_months(now=LATER)
    sums, looks = counted_pages._sums, []
    paged = first_of(1).incident

    def change_first(*arguments):
        looks.append([f"{month:%b}" for month in arguments[3]])
        if len(looks) == 1:
            other = Severity.LOW if paged.severity == Severity.CRITICAL else Severity.CRITICAL
            Incident.objects.filter(pk=paged.pk).update(severity=other)
        return sums(*arguments)

    monkeypatch.setattr(counted_pages, "_sums", change_first)
    scope = Scope(
        datetime(2026, 1, 1, tzinfo=UTC), NOW, ZoneInfo("UTC"), {s.pk: s for s in services}, [paged.severity]
    )
    found = by_key(told(scope))
    assert looks == [["Nov", "Dec", "Jan", "Feb"], ["Nov", "Dec"]]
    assert without_hours_of_what_is_no_page(found) == without_hours_of_what_is_no_page(reckoned(scope))


@pytest.fixture
def old_incidents(transactional_db):
    """Two of months that may be counted."""
    service = ServiceFactory()
    return IncidentFactory.create_batch(
        2, service=service, severity=Severity.HIGH, opened_at=timezone.now() - timedelta(days=70)
    )


def in_another_process(call, **arguments):
    """On a connection of its own."""
    try:
        return call(**arguments)
    finally:
        connection.close()


def waiting():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def test_two_who_change_old_incidents_do_not_wait_for_each_other(old_incidents):
    """One that has changed an incident, and goes on to one that the other has changed meanwhile, would wait for the other,
    who waited for it, if counting had a lock that both need."""
    mine, other = old_incidents
    change = {"severity": Severity.LOW, "actor": SYSTEM}
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            lifecycle.change_severity(incident_id=mine.pk, **change)
            future = pool.submit(
                in_another_process, lifecycle.change_severity, incident_id=other.pk, **change
            )
            eventually(lambda: future.done() or waiting(), within=20)
            lifecycle.change_severity(incident_id=other.pk, severity=Severity.CRITICAL, actor=SYSTEM)
        future.result(timeout=20)
    assert Incident.objects.get(pk=other.pk).severity == Severity.CRITICAL


def test_a_change_that_commits_after_its_month_was_counted_is_told(old_incidents):
    """Who counts does not see it yet, and neither waits for the other."""
    at = old_incidents[0].opened_at
    message = NotificationFactory(
        incident=old_incidents[0], status=NotificationStatus.SENT, sent_at=at, due_at=at, created_at=at
    )
    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        lifecycle.change_severity(incident_id=message.incident_id, severity=Severity.LOW, actor=SYSTEM)
        assert pool.submit(in_another_process, counted_pages.count_months).result(timeout=20) > 0
    assert set(MonthlyPages.objects.values_list("severity", flat=True)) == {Severity.HIGH}
    assert months() == []
    counted_pages.count_months()
    assert set(MonthlyPages.objects.values_list("severity", flat=True)) == {Severity.LOW}
    assert months()
