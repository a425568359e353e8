"""The integrations on a service's page, and their keys."""

import pytest
from django.urls import reverse

from alerts.enums import Grouping, Source
from alerts.models import Integration
from alerts.service_fragments import grouping_in_words
from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents.tests.factories import IncidentFactory
from openalert.tests.pages import Pages
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return Cast()


@pytest.fixture
def pages(cast) -> Pages:
    return Pages(cast)


@pytest.fixture
def service(cast):
    return ServiceFactory(team=cast.team, name="Checkout")


def test_integrations_are_seen_by_the_team_and_managed_by_its_managers(cast, pages, service):
    integration = IntegrationFactory(service=service, name="Probes")
    path = reverse("service-integrations", args=[service.pk])
    assert pages.statuses("get", path) == pages.answers(200, 200, 200, 404)
    seen = {who: pages.text(who, path) for who in ("manager", "responder")}
    assert "ends in" in seen["responder"] and integration.key_hint in seen["responder"]
    assert "New integration" in seen["manager"] and "New integration" not in seen["responder"]


def test_only_managers_make_integrations_and_rotate_keys(cast, pages, service):
    new = reverse("integration-new", args=[service.pk])
    key = reverse("integration-key", args=[IntegrationFactory(service=service).pk])
    given = {"name": "Probes", "source": "openalert", "grouping": "name", "grouping_window_minutes": 60}
    for path in (new, key):
        assert pages.statuses("get", path) == pages.answers(200, 403, 403, 404)
    assert pages.statuses("post", new, given) == pages.answers(200, 403, 403, 404)
    assert pages.statuses("post", key) == pages.answers(200, 403, 403, 404)


def test_a_new_integration_shows_its_key_once_in_the_set_up(pages, service, settings):
    given = {
        "name": "Prometheus",
        "source": "alertmanager",
        "grouping": "labels",
        "grouping_labels": "cluster, alertname",
        "grouping_window_minutes": 60,
    }
    response = pages.client("manager").post(reverse("integration-new", args=[service.pk]), given)
    integration = Integration.objects.get()
    key = response.context["key"]
    assert integration.key_hash == Integration.hash_key(key)
    assert integration.grouping_labels == ["cluster", "alertname"]
    assert f"{settings.SITE_URL}/integrations/alertmanager/{key}" in response.text
    assert "no-store" in response["Cache-Control"]
    assert key not in pages.text("manager", reverse("service-integrations", args=[service.pk]))


def test_rotating_makes_the_old_key_void_and_shows_the_new_one(pages, service):
    integration = IntegrationFactory(service=service, key="0" * 32)
    path = reverse("integration-key", args=[integration.pk])
    assert "Rotate the key of" in pages.text("manager", path)
    assert Integration.objects.get().key_hash == Integration.hash_key("0" * 32)
    key = pages.client("manager").post(path).context["key"]
    assert key != "0" * 32
    assert Integration.objects.get().key_hash == Integration.hash_key(key)


def test_rotating_asks_in_a_dialog_with_htmx(pages, service):
    path = reverse("integration-key", args=[IntegrationFactory(service=service).pk])
    response = pages.client("manager").get(path, headers={"HX-Request": "true"})
    assert next(template.name for template in response.templates) == "alerts/_integration_rotate.html"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "PROBES"}, "name"),
        ({"source": "fax"}, "source"),
        ({"grouping": "labels"}, "grouping_labels"),
        ({"grouping": "labels", "grouping_labels": "a,,b"}, "grouping_labels"),
        ({"grouping_window_minutes": 0}, "grouping_window_minutes"),
    ],
)
def test_a_faulty_integration_is_not_made(pages, service, change, field):
    IntegrationFactory(service=service, name="Probes")
    given = {
        "name": "New",
        "source": "openalert",
        "grouping": "name",
        "grouping_window_minutes": 60,
        **change,
    }
    response = pages.client("manager").post(reverse("integration-new", args=[service.pk]), given)
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [field]
    assert Integration.objects.count() == 1


def test_integrations_take_the_same_queries_however_many(pages, service):
    path = reverse("service-integrations", args=[service.pk])
    AlertFactory(integration=IntegrationFactory(service=service), incident=IncidentFactory(service=service))
    one = pages.count_queries("manager", path)
    IntegrationFactory.create_batch(2, service=service)
    assert pages.count_queries("manager", path) == one


def test_names_are_escaped(pages, service):
    IntegrationFactory(service=service, name="<b>Probes</b>")
    text = pages.text("manager", reverse("service-integrations", args=[service.pk]))
    assert "<b>Probes" not in text and "&lt;b&gt;Probes" in text


@pytest.mark.parametrize(
    ("grouping", "minutes", "words"),
    [
        (Grouping.NONE, 5, "Each alert opens an incident of its own."),
        (
            Grouping.ALL,
            45,
            "All alerts become one incident, as long as no more than 45 min pass between them.",
        ),
        (
            Grouping.LABELS,
            90,
            "Alerts with the same cluster and job become one incident, as long as no more than 1 h 30 min pass "
            "between them.",
        ),
        (
            Grouping.NAME,
            2880,
            "Alerts with the same name become one incident, as long as no more than 2 days pass between them.",
        ),
    ],
)
def test_grouping_in_words(grouping, minutes, words):
    integration = Integration(
        source=Source.OPENALERT,
        grouping=grouping,
        grouping_labels=["cluster", "job"],
        grouping_window_minutes=minutes,
    )
    assert grouping_in_words(integration) == words
