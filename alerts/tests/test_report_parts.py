"""What is noisy, in reports."""

from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.utils import timezone

from alerts import report_parts
from alerts.enums import AlertStatus
from incidents.enums import Kind
from incidents.reports.scope import Scope
from incidents.tests.factories import IncidentFactory, TimelineEntryFactory
from openalert.ids import uuid7, uuid7_floor
from teams.tests.factories import ServiceFactory

from .factories import AlertFactory, IntegrationFactory


def alert(integration, key, *, ago=timedelta(hours=1), **fields):
    at = timezone.now() - ago
    pk = UUID(int=int(uuid7_floor(at), 16) | uuid7().int & (1 << 60) - 1)
    over = {"status": AlertStatus.RESOLVED, "is_current": False, "resolved_at": at}
    incident = IncidentFactory(service=integration.service, opened_at=at)
    return AlertFactory(
        id=pk, integration=integration, incident=incident, dedup_key=key, first_fired_at=at, **over, **fields
    )


def found(*services, days=7):
    now = timezone.now() + timedelta(seconds=1)
    scope = Scope(
        now - timedelta(days=days), now, ZoneInfo("UTC"), {service.pk: service for service in services}
    )
    figures, *tables = report_parts.build(scope)
    return [figure.value for figure in figures.figures], {table.name: table.rows for table in tables}


def test_the_noisiest_come_first(db):
    integration = IntegrationFactory(name="Probes", service__name="Checkout")
    for n in range(3):
        alert(integration, "disk", ago=timedelta(hours=3 - n), title="Disk", count=10)
    alert(integration, "cpu", title="CPU", count=2)
    alert(integration, "old", ago=timedelta(days=9))
    alert(IntegrationFactory(), "others")
    figures, tables = found(integration.service)
    assert figures == [4, 2, 32]
    assert tables["noisiest"] == [
        ["Disk", "disk", "Probes", "Checkout", 3, "75%", 30],
        ["CPU", "cpu", "Probes", "Checkout", 1, "25%", 2],
    ]


def test_nothing_at_all(db):
    assert found(ServiceFactory()) == ([0, 0, 0], {"noisiest": [], "flapping": []})


def test_what_flapped(db):
    incident = IncidentFactory(title="Up and down", service__name="Checkout")
    entry = TimelineEntryFactory(incident=incident, kind=Kind.FLAPPING, data={"ends": 4, "quiet_minutes": 5})
    _, tables = found(incident.service)
    [[link, *row]] = tables["flapping"]
    assert (str(link), row) == (f"#{incident.number} Up and down", ["Checkout", 4, entry.at])
