"""Noise is the same whether months were counted before or all is read from the rows."""

import random
from datetime import UTC, date, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from alerts import noise, retention
from alerts.enums import AlertStatus
from alerts.models import Alert, CountedMonth, MonthlyNoise
from incidents import lifecycle
from incidents.enums import SEVERITIES, Severity, Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert.ids import uuid7, uuid7_floor

from .factories import AlertFactory, IntegrationFactory

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # that of the clock
DAYS = 120
EDGES = [
    NOW - timedelta(days=DAYS),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2026, 2, 10, 7, tzinfo=UTC),
    NOW,
]
SPANS = [(start, end) for start, end in product(EDGES, EDGES) if start < end]


@pytest.fixture
def integrations(clock, db):
    """Two, with 300 alerts in the four months before; every tenth incident is still open."""
    random.seed(7)
    integrations = [IntegrationFactory(), IntegrationFactory()]
    for n in range(300):
        integration = random.choice(integrations)
        at = NOW - timedelta(days=DAYS * random.random())
        is_open = n % 10 == 0
        over = {} if is_open else {"status": AlertStatus.RESOLVED, "is_current": False, "resolved_at": NOW}
        status = Status.OPEN if is_open else Status.RESOLVED
        AlertFactory(
            id=UUID(int=int(uuid7_floor(at), 16) | uuid7().int & (1 << 60) - 1),
            incident=IncidentFactory(service=integration.service, opened_at=at, status=status),
            integration=integration,
            dedup_key=f"open-{n}" if is_open else f"key-{n % 7}",
            title=f"About key-{n % 7}",
            severity=random.choice(SEVERITIES),
            count=1 + n % 5,
            first_fired_at=at,
            **over,
        )
    return [integration.pk for integration in integrations]


def reports(integrations):
    """Of every span, for all and for one, with all severities and with some. Titles may be those of any of the alerts."""
    whose, severities = (integrations, integrations[:1]), (SEVERITIES, [Severity.CRITICAL, Severity.LOW])
    return [
        noise.noise(start=start, end=end, integrations=of, severities=which, most=20)
        for (start, end), of, which in product(SPANS, whose, severities)
    ]


def reports_from_rows(integrations):
    CountedMonth.objects.all().delete()
    return reports(integrations)


def test_counted_months_and_rows_tell_the_same(integrations):
    expected = reports(integrations)
    assert expected[8].alerts > 100  # the whole time
    assert noise.count_months() == 3
    months = CountedMonth.objects.order_by("month").values_list("month", flat=True)
    assert list(months) == [date(2025, 11, 1), date(2025, 12, 1), date(2026, 1, 1)]
    assert MonthlyNoise.objects.exists() and any(CountedMonth.objects.values_list("left", flat=True))
    assert reports(integrations) == expected
    assert noise.count_months() == 0


def test_what_happens_to_alerts_of_counted_months_is_told(integrations, clock):
    noise.count_months()
    open_ones = list(Incident.objects.filter(status=Status.OPEN).order_by("opened_at"))
    # It fired on after its month was counted, and was resolved then.
    Alert.objects.filter(incident=open_ones[0]).update(count=99, severity=Severity.CRITICAL)
    lifecycle.resolve(incident_id=open_ones[0].pk, actor=SYSTEM)
    # It had been over, and takes events again.
    old = Incident.objects.filter(status=Status.RESOLVED).earliest("opened_at")
    lifecycle.reopen(incident_id=old.pk, actor=SYSTEM)
    assert Alert.objects.filter(incident=old, is_current=True).update(count=77) == 1
    counted = reports(integrations)
    assert CountedMonth.objects.count() > 1
    assert counted == reports_from_rows(integrations)


def test_what_was_removed_is_told_no_longer(integrations):
    noise.count_months()
    assert retention.remove_old(days=70) > 50
    counted = reports(integrations)
    assert CountedMonth.objects.exists()
    assert counted == reports_from_rows(integrations)
    # No month that began before is counted again.
    noise.count_months(keep_days=70)
    assert CountedMonth.objects.earliest("month").month == date(2026, 1, 1)
    assert counted == reports(integrations)
