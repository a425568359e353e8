"""Days of a service: what counts as trouble, and how much of it."""

from datetime import UTC, datetime, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.urls import reverse

from alerts.service_history import history_of
from alerts.tests.factories import MaintenanceWindowFactory
from incidents.enums import Severity, Status
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.models import Service
from teams.tests.cast import Cast
from teams.tests.factories import ServiceDependencyFactory, ServiceFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOUR = 3600


@pytest.fixture
def service():
    service = ServiceFactory()
    Service.objects.filter(pk=service.pk).update(created_at=NOW - timedelta(days=400))
    service.refresh_from_db()
    return service


def incident(service, begins, ends=None, severity=Severity.HIGH):
    """It lasted from so many hours ago to so many."""
    return IncidentFactory(
        service=service,
        severity=severity,
        status=Status.RESOLVED if ends is not None else Status.OPEN,
        opened_at=NOW - timedelta(hours=begins),
        resolved_at=None if ends is None else NOW - timedelta(hours=ends),
    )


def history(service, zone="UTC"):
    return history_of(service, at=NOW, zone=ZoneInfo(zone))


def trouble(service, zone="UTC"):
    """Hours of trouble by how many days ago."""
    days = history(service, zone).days
    return {len(days) - 1 - place: day.trouble / HOUR for place, day in enumerate(days) if day.trouble}


def shares(service):
    return [share.percent for share in history(service).shares]


def test_nothing_wrong_is_a_hundred_per_cent(service):
    incident(service, 5, 1, Severity.MEDIUM)
    incident(ServiceFactory(team=service.team), 5, 1)
    assert (trouble(service), shares(service)) == ({}, [100.0, 100.0, 100.0])
    assert len(history(service).days) == 90


def test_incidents_that_overlap_count_once(service):
    incident(service, 9, 6)
    incident(service, 8, 5, Severity.CRITICAL)
    incident(service, 7, 6)
    incident(service, 3, 2)
    assert trouble(service) == {0: 5}
    assert history(service).days[-1].critical == 3 * HOUR
    # Of six days and a half, five hours.
    assert shares(service)[0] == 96.79
    assert history(service).days[-1].words == "3 h with a critical incident, 2 h with a high incident"


def test_what_began_before_the_days_is_clipped_and_what_is_open_counts_until_now(service):
    incident(service, 24 * 100, 24 * 89)
    incident(service, 3)
    assert trouble(service) == {89: 12, 0: 3}


def test_one_over_midnight_is_divided_by_the_clock_of_whoever_asks(service):
    incident(service, 14, 10)  # 22:00 to 02:00 in UTC, after midnight in Berlin's summer
    assert trouble(service) == {1: 2, 0: 2}
    assert trouble(service, "Europe/Berlin") == {0: 4}


def test_the_day_on_which_clocks_change_has_23_hours(service):
    incident(service, 24 * 5)
    day = history(service, "Europe/Berlin").days[-3]
    assert (day.day.isoformat(), day.recorded / HOUR, day.trouble / HOUR) == ("2026-03-29", 23, 23)
    assert history(service, "Europe/Berlin").shares[0].percent < 100


def test_maintenance_of_all_of_the_service_is_left_out(service):
    window = {
        "team": service.team,
        "starts_at": NOW - timedelta(hours=6),
        "ends_at": NOW - timedelta(hours=4),
    }
    incident(service, 5, 3)
    assert history(service).is_without_maintenance
    MaintenanceWindowFactory(**window, services=[ServiceFactory(team=service.team)])
    MaintenanceWindowFactory(**window, conditions=[{"test": "equals", "field": "labels.a", "value": "b"}])
    assert trouble(service) == {0: 2}
    MaintenanceWindowFactory(**window)
    MaintenanceWindowFactory(**window, services=[service])
    assert trouble(service) == {0: 1}
    day = history(service).days[-1]
    assert (day.maintenance, day.recorded) == (2 * HOUR, 12 * HOUR)
    # An hour of trouble in six days and a half without the two of maintenance.
    assert shares(service)[0] == 99.35


def test_there_is_no_record_of_the_time_before_the_service_and_its_first_incident(service):
    Service.objects.filter(pk=service.pk).update(created_at=NOW - timedelta(hours=36))
    service.refresh_from_db()
    assert [day.tone for day in history(service).days[-3:]] == ["neutral", "success", "success"]
    incident(service, 60, 54)
    assert history(service).days[-3].tone == "high"
    assert shares(service) == [90.0] * 3


def test_a_hundred_thousand_incidents_are_counted_in_time(service):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO incidents_incident (
                id, created_at, updated_at, service_id, title, severity, status, grouping_key, opened_at,
                last_alert_at, resolved_at, alert_entries
            )
            SELECT gen_random_uuid(), now(), now(), %s, 'x', 'high', 'resolved', '', t, t, t + interval '30 seconds', 0
            FROM generate_series(%s - interval '89 days', %s - interval '1 hour', interval '76 seconds') AS t
            """,
            [service.pk, NOW, NOW],
        )
        assert cursor.rowcount > 100_000
        cursor.execute("ANALYZE incidents_incident")
    history(service)
    took = []
    for _ in range(3):
        begins = perf_counter()
        found = history(service)
        took.append(perf_counter() - begins)
    assert 60 < found.shares[0].percent < 61
    # Not a measurement: pairs of incidents and days would take minutes.
    assert min(took) < 1.5


def test_a_services_page_tells_of_trouble_on_both_sides_to_those_who_see_it():
    pages = Pages(cast := Cast())
    database, checkout, shop, secret = (
        ServiceFactory(team=team, name=name)
        for team, name in (
            (cast.team, "Database"),
            (cast.team, "Checkout"),
            (cast.team, "Shop"),
            (cast.other_team, "Secret"),
        )
    )
    for dependent, upstream in ((checkout, database), (shop, checkout), (secret, shop)):
        ServiceDependencyFactory(service=dependent, upstream=upstream)
    MaintenanceWindowFactory(
        team=cast.team, title="Upgrade", starts_at=NOW + timedelta(days=9999), services=[checkout]
    )
    health = reverse("service-health", args=[checkout.pk])
    assert pages.statuses("get", health) == pages.answers(200, 200, 200, 404)
    assert pages.statuses("get", reverse("service-history", args=[checkout.pk])) == pages.answers(
        200, 200, 200, 404
    )
    text = pages.text("observer", health)
    assert "Well" in text and "Upgrade" in text and "Shop" not in text
    few = pages.count_queries("observer", health)
    IncidentFactory(service=database, severity=Severity.CRITICAL)
    text = pages.text("observer", health)
    assert "Trouble upstream" in text and "Database" in text and "Shop" not in text
    assert (
        "Database"
        not in pages.text("observer", reverse("service-health", args=[database.pk])).split("Likely affected")[
            1
        ]
    )
    IncidentFactory(service=checkout)
    text = pages.text("observer", health)
    assert "Likely affected" in text and "Shop" in text and "Secret" not in text
    assert "1 of teams that you do not see" in text
    shown = pages.text("observer", reverse("service-health", args=[database.pk]))
    assert "through others" in shown and "Checkout" in shown
    assert pages.count_queries("observer", health) == few
