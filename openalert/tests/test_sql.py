"""Bulk statements write what Django's own would."""

from datetime import UTC, datetime

import pytest
from django.utils.safestring import mark_safe

from incidents.enums import Kind
from incidents.models import TimelineEntry
from incidents.tests.factories import IncidentFactory
from notifications.enums import Hold
from notifications.models import Notification
from notifications.tests.factories import NotificationFactory
from openalert import sql
from teams.tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def values(model):
    return list(model.objects.order_by("pk").values())


def test_insert_writes_what_bulk_create_writes(clock):
    rows = [NotificationFactory.build(user=UserFactory(), incident=IncidentFactory()) for _ in range(3)]
    for row in rows:
        row.contact_method, row.payload = None, {"text": "“Störung” \\ \n", "numbers": [1, 2.5, None]}
        row.seen_at = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
        row.last_error = mark_safe("a <b>")
    Notification.objects.bulk_create(rows)
    theirs = values(Notification)
    Notification.objects.all().delete()
    sql.insert(rows)
    assert values(Notification) == theirs


def test_insert_passes_over_what_is_there(clock):
    page = NotificationFactory()
    same = Notification.objects.get()
    same.pk, same.priority = IncidentFactory().pk, 3
    sql.insert([same], ignore_conflicts=True)
    assert values(Notification)[0]["id"] == page.pk
    assert Notification.objects.count() == 1


def test_insert_gives_rows_the_ids_of_the_database(clock):
    incident = IncidentFactory()
    rows = [
        TimelineEntry(incident=incident, kind=Kind.NOTE, at=clock.now, data={"text": str(n)})
        for n in range(50)
    ]
    sql.insert(rows)
    told = TimelineEntry.objects.in_bulk([row.pk for row in rows])
    assert [told[row.pk].data["text"] for row in rows] == [str(n) for n in range(50)]
    assert sorted(told) == [row.pk for row in rows]


def test_update_changes_the_named_fields_of_its_rows(clock):
    pages = [NotificationFactory() for _ in range(3)]
    for page in pages[:2]:
        page.hold, page.lease_until, page.priority = Hold.PAUSE, clock.now, 3
    sql.update(pages[:2], ["hold", "lease_until"])
    rows = [Notification.objects.get(pk=page.pk) for page in pages]
    assert [(row.hold, row.lease_until, row.priority) for row in rows] == [(Hold.PAUSE, clock.now, 0)] * 2 + [
        ("", None, 0)
    ]
