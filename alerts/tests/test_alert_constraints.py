"""What the database itself refuses, whoever writes."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from alerts.enums import AlertStatus
from alerts.models import Alert
from alerts.tests.factories import AlertFactory
from openalert import sql

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"status": "odd"}, "alert_firing_or_resolved"),
        ({"status": AlertStatus.RESOLVED}, "alert_firing_or_resolved"),
        ({"resolved_at": timezone.now()}, "alert_firing_or_resolved"),
        ({"is_current": False}, "alert_firing_or_resolved"),
        ({"severity": "odd"}, "alert_severity_known"),
        ({"count": 0}, "alert_count_positive"),
    ],
)
def test_an_alert_that_contradicts_itself(values, constraint):
    alert = AlertFactory()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Alert.objects.filter(pk=alert.pk).update(**values)


def test_a_resolved_alert_may_be_current_or_not():
    alert = AlertFactory()
    resolved = Alert.objects.filter(pk=alert.pk)
    assert resolved.update(status=AlertStatus.RESOLVED, resolved_at=timezone.now()) == 1
    assert resolved.update(is_current=False) == 1


def test_the_rows_that_were_there_before_a_constraint_were_looked_at_too():
    found = sql.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'alerts_alert'::regclass AND NOT convalidated", []
    )
    assert found == []
