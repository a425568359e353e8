from datetime import timedelta
from threading import Thread
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from alerts import retention, tasks
from alerts.models import Alert, Change
from alerts.tests.factories import AlertFactory, ChangeFactory, IntegrationFactory
from incidents.models import Incident
from openalert.ids import uuid7_floor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def filled(monkeypatch, capsys):
    """A thousand alerts of the past year, in two incidents."""
    monkeypatch.setattr(retention, "BATCH", 100)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    integration = IntegrationFactory()
    call_command("fill_alerts", "1000", integration=str(integration.pk))
    assert "1,000 of 1,000 alerts" in capsys.readouterr().out
    return integration


def test_filled_alerts_are_spread_over_a_year_in_the_order_of_their_ids(filled):
    instants = list(Alert.objects.order_by("pk").values_list("first_fired_at", flat=True))
    assert instants == sorted(instants)
    assert timezone.now() - timedelta(days=367) < instants[0] < timezone.now() - timedelta(days=365)
    assert Incident.objects.count() == 2


def test_old_alerts_that_are_over_go_and_all_others_stay(filled):
    current = AlertFactory(integration=filled, dedup_key="still firing")
    recent = Alert.objects.filter(first_fired_at__gt=timezone.now() - timedelta(days=100)).count()
    assert retention.remove_old(days=100) == 1001 - recent
    assert Alert.objects.count() == recent
    assert Alert.objects.filter(pk=current.pk).exists()
    assert Incident.objects.filter(title__startswith="Filled").count() == 2
    assert retention.remove_old(days=100) == 0


def test_what_is_current_stays_however_old_it_is(filled):
    oldest = Alert.objects.order_by("pk").first()
    Alert.objects.filter(pk=oldest.pk).update(is_current=True)
    assert retention.remove_old(days=1, now=timezone.now() + timedelta(days=400)) == 999
    assert Alert.objects.get() == oldest


def test_nothing_goes_by_default(filled):
    assert retention.remove_old(days=0) == 0
    assert Alert.objects.count() == 1000


def test_alerts_that_somebody_holds_are_left_for_the_next_time(filled):
    held = list(Alert.objects.order_by("pk")[:5])
    removed = []

    def remove():
        try:
            removed.append(retention.remove_old(days=1, now=timezone.now() + timedelta(days=400)))
        finally:
            connection.close()

    with transaction.atomic():
        list(Alert.objects.select_for_update().filter(pk__in=[alert.pk for alert in held]))
        other = Thread(target=remove)
        other.start()
        other.join(10)
        assert removed == [995]
    assert set(Alert.objects.all()) == set(held)


def told(days_ago, **fields):
    """A change that was told of so many days ago."""
    return ChangeFactory(pk=UUID(uuid7_floor(timezone.now() - timedelta(days=days_ago))), **fields)


def test_old_changes_go_batch_by_batch(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)
    integration = IntegrationFactory()
    for days_ago in range(5, 10):
        told(days_ago, integration=integration)
    kept = told(3, integration=integration)
    assert retention.remove_old_changes(days=0) == 0
    assert retention.remove_old_changes(days=4) == 5
    assert Change.objects.get() == kept
    assert retention.remove_old_changes(days=4) == 0


def test_the_task_removes_alerts_and_changes(filled, settings):
    settings.ALERT_RETENTION_DAYS = 100
    recent = Alert.objects.filter(first_fired_at__gt=timezone.now() - timedelta(days=100)).count()
    told(101, integration=filled)
    tasks.remove_old_alerts()
    assert (Alert.objects.count(), Change.objects.count()) == (recent, 0)
