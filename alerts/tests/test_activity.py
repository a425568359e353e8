"""The small chart of an incident's alerts."""

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from alerts.activity import COLUMNS, HEIGHT, activity_of
from alerts.enums import AlertStatus
from incidents.tests.factories import IncidentFactory
from teams.tests.factories import TeamFactory, UserFactory

from .factories import AlertFactory, IntegrationFactory


def alert(incident, integration, *, ago, lasted=None, **fields):
    first = timezone.now() - timedelta(minutes=ago)
    over = {}
    if lasted is not None:
        end = first + timedelta(minutes=lasted)
        over = {"status": AlertStatus.RESOLVED, "is_current": False, "resolved_at": end}
    return AlertFactory(incident=incident, integration=integration, first_fired_at=first, **over, **fields)


def test_how_many_fired_when(db, clock):
    """Over 48 minutes a column is a minute: one fires throughout, two more for ten minutes in the middle."""
    incident = IncidentFactory()
    integration = IntegrationFactory(service=incident.service)
    alert(incident, integration, ago=48)
    for _ in range(2):
        alert(incident, integration, ago=30, lasted=9.5)
    found = activity_of(incident)
    assert [bar.firing for bar in found.bars] == [1] * 18 + [3] * 10 + [1] * 20
    assert (found.most, len(found.bars)) == (3, COLUMNS)
    assert (found.bars[20].y, found.bars[20].height) == (0, HEIGHT)
    assert found.ends_at == timezone.now()


def test_a_single_alert_is_no_chart(db, clock):
    incident = IncidentFactory()
    assert activity_of(incident) is None
    integration = IntegrationFactory(service=incident.service)
    alert(incident, integration, ago=5, count=30)
    assert activity_of(incident) is None
    alert(incident, integration, ago=5)
    assert activity_of(incident).most == 2


def test_it_ends_with_the_last_alert(db, clock):
    incident = IncidentFactory()
    integration = IntegrationFactory(service=incident.service)
    for ago in (600, 590):
        alert(incident, integration, ago=ago, lasted=5)
    found = activity_of(incident)
    assert (found.ends_at - found.starts_at) == timedelta(minutes=15)
    assert 0 not in [bar.firing for bar in found.bars]
    assert len(found.bars) < COLUMNS


def test_it_stands_above_the_alerts(client, db):
    ana = UserFactory()
    incident = IncidentFactory(service__team=TeamFactory(observers=[ana]))
    integration = IntegrationFactory(service=incident.service)
    client.force_login(ana)
    path = reverse("incident-alerts", args=[incident.number])
    assert "Alerts firing over time" not in client.get(path).text
    for ago in (3, 2):
        alert(incident, integration, ago=ago)
    assert "Alerts firing over time: 2 at most" in client.get(path).text
