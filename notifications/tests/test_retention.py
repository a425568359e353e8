"""Old pages go with their attempts, and what is still of use stays."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.utils import timezone

from incidents.enums import Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from notifications import retention, tasks
from notifications.enums import NotificationStatus
from notifications.models import DeliveryAttempt, Notification
from notifications.tests.factories import DeliveryAttemptFactory, NotificationFactory
from openalert.ids import uuid7_floor

pytestmark = pytest.mark.django_db(transaction=True)
_number = iter(range(1, 1000))


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 3)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0)


def resolved():
    incident = IncidentFactory()
    Incident.objects.filter(pk=incident.pk).update(status=Status.RESOLVED, resolved_at=timezone.now())
    return incident


def page(days_ago=30, **fields):
    pk = UUID(uuid7_floor(timezone.now() - timedelta(days=days_ago, seconds=next(_number))))
    fields.setdefault("status", NotificationStatus.SENT)
    fields.setdefault("incident", resolved())
    notification = NotificationFactory(pk=pk, **fields)
    DeliveryAttemptFactory(notification=notification, number=1, started_at=timezone.now())
    return notification


def test_what_is_over_goes_with_its_attempts():
    for _ in range(4):
        page()
    page(status=NotificationStatus.CANCELLED)
    page(status=NotificationStatus.DEAD, discarded_at=timezone.now())
    kept = {
        page(days_ago=5),
        page(status=NotificationStatus.DEAD),
        page(status=NotificationStatus.PENDING),
        page(status=NotificationStatus.SENDING),
        page(incident=IncidentFactory()),
    }
    assert retention.remove_old(days=10) == 6
    assert set(Notification.objects.all()) == kept
    assert set(DeliveryAttempt.objects.values_list("notification", flat=True)) == {one.pk for one in kept}
    assert retention.remove_old(days=10) == 0


def test_nothing_goes_by_default(settings):
    page(days_ago=1000)
    tasks.remove_old_pages()
    assert Notification.objects.count() == 1
    settings.PAGE_RETENTION_DAYS = 100
    tasks.remove_old_pages()
    assert Notification.objects.count() == 0
