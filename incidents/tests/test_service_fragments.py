"""The incidents on a service's page."""

import pytest
from django.urls import reverse

from incidents.enums import Severity, Status
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages() -> Pages:
    return Pages(Cast())


@pytest.fixture
def service(pages):
    return ServiceFactory(team=pages.cast.team)


@pytest.fixture
def path(service):
    return reverse("service-incidents", args=[service.pk])


def test_the_team_sees_a_services_incidents(pages, path):
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    assert "Nothing is wrong" in pages.text("observer", path)


def test_unresolved_stand_worst_first_and_resolved_apart(pages, service, path):
    low = IncidentFactory(service=service, severity=Severity.LOW)
    high = IncidentFactory(service=service, severity=Severity.HIGH, status=Status.ACKNOWLEDGED)
    over = IncidentFactory(service=service, severity=Severity.CRITICAL, status=Status.RESOLVED)
    IncidentFactory(title="Another service's")
    context = pages.client("observer").get(path).context
    assert (list(context["unresolved"]), list(context["resolved"])) == ([high, low], [over])


def test_incidents_take_the_same_queries_however_many(pages, service, path):
    for status in (Status.OPEN, Status.RESOLVED):
        IncidentFactory(service=service, status=status, assigned_to=pages.cast.responder)
    one = pages.count_queries("observer", path)
    for status in (Status.OPEN, Status.RESOLVED) * 2:
        IncidentFactory(service=service, status=status, assigned_to=pages.cast.responder)
    assert pages.count_queries("observer", path) == one


def test_titles_are_escaped(pages, service, path):
    IncidentFactory(service=service, title="<script>alert(1)</script>")
    assert "<script>alert" not in pages.text("observer", path)
