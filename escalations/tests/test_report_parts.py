"""Escalations that failed, in reports."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

from escalations import report_parts
from incidents.enums import Kind
from incidents.reports.scope import Scope
from incidents.tests.factories import IncidentFactory, TimelineEntryFactory


def test_who_was_not_reached(db, clock):
    now = timezone.now()
    incident = IncidentFactory(title="Down", service__name="Checkout")
    exhausted = {"policy": "First line", "told": ["Carla"]}
    for ago in (1, 2, 8):
        at = now - timedelta(days=ago)
        TimelineEntryFactory(incident=incident, at=at, kind=Kind.ESCALATION_EXHAUSTED, data=exhausted)
    nobody = {"reason": "nobody is on call"}
    TimelineEntryFactory(incident=incident, at=now - timedelta(days=3), kind=Kind.NOBODY_TO_PAGE, data=nobody)
    TimelineEntryFactory(
        incident=IncidentFactory(), at=now - timedelta(days=1), kind=Kind.NOBODY_TO_PAGE, data=nobody
    )
    service = incident.service
    scope = Scope(now - timedelta(days=7), now, ZoneInfo("UTC"), {service.pk: service})
    figures, by_service, newest = report_parts.failures(scope)
    assert [(figure.value, figure.before) for figure in figures.figures] == [(2, 1), (1, 0)]
    assert by_service.rows == [["Checkout", service.team.name, 2, 1]]
    assert [str(row[0]) for row in newest.rows] == [f"#{incident.number} Down"] * 3
    assert newest.rows[0][3].startswith("Nobody answered: First line has ended")
    assert newest.rows[2][3] == "Nobody could be paged: nobody is on call"
