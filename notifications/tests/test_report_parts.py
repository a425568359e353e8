"""Pages and deliveries in reports."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from incidents.enums import Severity
from incidents.reports.scope import Scope
from incidents.tests.factories import IncidentFactory
from notifications import report_parts
from notifications.enums import Channel, NotificationStatus, Purpose
from openalert.ids import uuid7
from teams.tests.factories import ServiceFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory

NIGHT = datetime(2026, 3, 2, 3, tzinfo=UTC)  # a Monday


@pytest.fixture
def service(db):
    return ServiceFactory(name="Checkout")


@pytest.fixture
def scope(service, clock):
    now = timezone.now()
    return Scope(now - timedelta(days=7), now, ZoneInfo("UTC"), {service.pk: service})


def page(service, user, at, **fields):
    incident = fields.pop("incident", None) or IncidentFactory(service=service, opened_at=at)
    return NotificationFactory(
        user=user,
        incident=incident,
        created_at=at,
        due_at=at,
        **{"status": NotificationStatus.SENT, "sent_at": at, **fields},
    )


def tables(blocks):
    return {block.name: block.rows for block in blocks if block.kind == "table"}


def test_pages_by_person_are_interruptions_not_messages(service, scope):
    ana = UserFactory(name="Ana", time_zone="Europe/Berlin")
    first = page(service, ana, NIGHT)
    # The same step by another method a minute later, and its second round.
    page(
        service,
        ana,
        NIGHT + timedelta(minutes=1),
        run_id=first.run_id,
        incident=first.incident,
        contact_method=ContactMethodFactory(user=ana, channel=Channel.IN_APP),
    )
    page(service, ana, NIGHT + timedelta(minutes=30), run_id=first.run_id, loop=1, incident=first.incident)
    found = tables(report_parts.pages(scope))
    assert found["pages-by-person"] == [["Ana", 2, 0, 2, 0, 0, 3]]
    assert found["pages-by-service"] == [["Checkout", service.team.name, 2, 0]]
    assert found["pages-by-team"] == [[service.team.name, 2, 0]]


def test_night_and_weekend_are_the_persons_own(service, scope):
    """Sunday 23:30 in New York is Monday 04:30 UTC: a night at a weekend for one, no weekend for the other."""
    at = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
    page(service, UserFactory(name="Dev", time_zone="America/New_York"), at)
    page(service, UserFactory(name="Kei", time_zone="Asia/Tokyo"), at)
    assert tables(report_parts.pages(scope))["pages-by-person"] == [
        ["Dev", 1, 0, 1, 0, 1, 1],
        ["Kei", 1, 0, 0, 0, 0, 1],
    ]


def test_the_span_before_and_what_is_no_page(service, scope):
    ana = UserFactory(name="Ana")
    page(service, ana, NIGHT - timedelta(days=8))
    page(service, ana, NIGHT, purpose=Purpose.NOTICE)
    page(service, ana, NIGHT, status=NotificationStatus.CANCELLED, sent_at=None)
    page(ServiceFactory(), ana, NIGHT)
    found = tables(report_parts.pages(scope))
    assert found["pages-by-person"] == [["Ana", 0, 1, 0, 1, 0, 0]]


def test_the_chart_has_the_hours_of_those_who_were_paged(service, scope):
    page(service, UserFactory(time_zone="Europe/Berlin"), NIGHT)
    [chart] = [block for block in report_parts.pages(scope) if block.kind == "chart"]
    assert [name for name, count in zip(chart.categories, chart.series[0].values, strict=True) if count] == [
        "04:00"
    ]


def test_deliveries_that_failed_and_why(service, scope):
    at = timezone.now() - timedelta(hours=1)
    page(service, UserFactory(), at)
    page(service, UserFactory(), at, attempt_count=3)
    for _ in range(2):
        page(
            service,
            UserFactory(),
            at,
            status=NotificationStatus.DEAD,
            sent_at=None,
            last_error="timed out",
            run_id=uuid7(),
        )
    found = tables(report_parts.delivery(scope))
    assert found["delivery-by-channel"] == [["Email", 2, 1, 2]]
    assert [row[:4] for row in found["delivery-failures"]] == [["Email", "timed out", 2, 2]]


def test_deliveries_are_those_of_the_incidents_that_are_asked_for(service, scope):
    def sent(scope):
        return tables(report_parts.delivery(scope))["delivery-by-channel"]

    at = timezone.now() - timedelta(hours=1)
    page(service, UserFactory(), at)
    low = IncidentFactory(service=service, severity=Severity.LOW, opened_at=at)
    page(service, UserFactory(), at, incident=low)
    NotificationFactory(
        purpose=Purpose.TEST,
        incident=None,
        run_id=None,
        created_at=at,
        status=NotificationStatus.SENT,
        sent_at=at,
    )
    assert sent(scope) == [["Email", 2, 0, 0]]
    assert sent(replace(scope, severities=[Severity.LOW])) == [["Email", 1, 0, 0]]
    page(ServiceFactory(), UserFactory(), at)
    assert sent(scope) == [["Email", 2, 0, 0]]
