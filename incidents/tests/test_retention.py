"""Old timelines are thinned, and nothing else."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from incidents import lifecycle, retention, tasks, timeline
from incidents.enums import Kind, Severity, Status
from incidents.models import Incident, TimelineEntry
from incidents.timeline import SYSTEM
from openalert.ids import uuid7_floor
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)


@pytest.fixture
def service():
    return ServiceFactory()


def story(service, *, opened_days_ago, resolved_days_ago=None):
    """An incident with four entries in its middle."""
    incident = lifecycle.open_by_hand(service=service, title="x", severity=Severity.LOW, actor=SYSTEM)
    for _ in range(4):
        timeline.record(incident, Kind.NOTE, actor=SYSTEM, text="hello")
    if resolved_days_ago is not None:
        lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    now = timezone.now()
    renamed = UUID(uuid7_floor(now - timedelta(days=opened_days_ago, seconds=incident.number)))
    fields = {
        field.attname: getattr(Incident.objects.get(pk=incident.pk), field.attname)
        for field in Incident._meta.fields
    }
    fields |= {
        "id": renamed,
        "opened_at": now - timedelta(days=opened_days_ago),
        "number": incident.number + 1000,
    }
    if resolved_days_ago is not None:
        fields["resolved_at"] = now - timedelta(days=resolved_days_ago)
    Incident.objects.bulk_create([Incident(**fields)])
    TimelineEntry.objects.filter(incident=incident).update(incident=renamed)
    Incident.objects.filter(pk=incident.pk).delete()
    return Incident.objects.get(pk=renamed)


def kinds(incident):
    return list(incident.timeline.order_by("id").values_list("kind", flat=True))


def test_first_and_last_entries_of_old_incidents_stay(service):
    old = [story(service, opened_days_ago=30, resolved_days_ago=20) for _ in range(5)]
    resolved_lately = story(service, opened_days_ago=30, resolved_days_ago=1)
    still_open = story(service, opened_days_ago=30)
    young = story(service, opened_days_ago=2, resolved_days_ago=1)
    whole = {incident: kinds(incident) for incident in (resolved_lately, still_open, young)}
    too_many = sum(len(kinds(incident)) - 2 for incident in old)
    assert retention.remove_old_entries(days=10) == too_many >= 20
    assert [kinds(incident) for incident in old] == [[Kind.OPENED, Kind.RESOLVED]] * 5
    assert {incident: kinds(incident) for incident in whole} == whole
    assert Incident.objects.filter(status=Status.RESOLVED).count() == 7
    assert retention.remove_old_entries(days=10) == 0


def test_nothing_goes_by_default(service, settings):
    incident = story(service, opened_days_ago=1000, resolved_days_ago=900)
    before = kinds(incident)
    tasks.remove_old_entries()
    assert kinds(incident) == before
    settings.TIMELINE_RETENTION_DAYS = 100
    tasks.remove_old_entries()
    assert kinds(incident) == [Kind.OPENED, Kind.RESOLVED]
