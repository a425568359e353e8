"""Incidents are found by what their alerts are called, as far back as is searched."""

from alerts import incident_parts
from incidents.search import found_ids
from incidents.tests.factories import IncidentFactory

from .factories import AlertFactory


def test_incidents_are_found_by_their_newest_alerts(db, monkeypatch):
    incident = IncidentFactory(title="Bank is away")
    first = AlertFactory(incident=incident, title="Northern Bank refuses")
    assert found_ids("northern bank") == [incident.pk]
    monkeypatch.setattr(incident_parts, "NEWEST_SEARCHED", 1)
    assert found_ids("northern bank") == [incident.pk]
    AlertFactory(incident=incident, integration=first.integration, title="Coastal Bank refuses")
    assert found_ids("northern bank") == []
    assert found_ids("coastal bank") == [incident.pk]
