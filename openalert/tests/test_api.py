"""What holds for the whole API: the document, errors, pages of lists."""

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from incidents import lifecycle
from incidents.enums import SEVERITIES
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from teams.models import Service
from teams.tests.cast import Cast
from teams.tests.factories import ServiceFactory

from .api_client import document

# The document


def test_the_document_is_made_without_a_warning(tmp_path):
    call_command("spectacular", fail_on_warn=True, validate=True, file=str(tmp_path / "schema.yml"))


def test_every_operation_has_a_tag_that_is_explained_and_a_name_of_its_own():
    operations = [
        operation
        for path in document()["paths"].values()
        for method, operation in path.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]
    assert {tag for operation in operations for tag in operation["tags"]} == {
        tag["name"] for tag in document()["tags"]
    }
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) > 80


def test_references_lead_somewhere():
    components = document()["components"]

    def references(node):
        if isinstance(node, dict):
            yield from [node["$ref"]] if "$ref" in node else []
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    wanted = set(references(document()))
    assert wanted <= {f"#/components/{kind}/{name}" for kind in components for name in components[kind]}


def test_intake_is_in_the_document_with_its_own_key():
    send = document()["paths"]["/api/v1/alerts"]["post"]
    assert send["security"] == [{"integrationKey": []}]
    assert document()["components"]["securitySchemes"]["integrationKey"]["scheme"] == "bearer"
    assert sorted(send["responses"]) == ["202", "400", "401", "403", "413", "503", "default"]
    assert document()["openapi"] == "3.1.0"


@pytest.mark.django_db
def test_the_page_to_try_it_needs_nothing_from_elsewhere(client):
    assert client.get(reverse("api-schema")).status_code == 200
    page = client.get("/api/docs", follow=True).content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "//cdn" not in page


# Errors


@pytest.mark.parametrize("path", ["/api/", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v2/incidents"])
def test_an_unknown_address_answers_in_the_one_shape(client, path):
    response = client.get(path, HTTP_X_CORRELATION_ID="chosen-by-me")
    assert response.status_code == 404
    assert response.json() == {
        "type": "client_error",
        "errors": [{"code": "not_found", "detail": "There is nothing at this address.", "field": None}],
        "correlation_id": "chosen-by-me",
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "extra", "expected"),
    [
        ("get", "/api/v1/incidents", {"who": "nobody"}, (401, "not_authenticated")),
        ("get", "/api/v1/incidents/7", {}, (404, "not_found")),
        ("put", "/api/v1/incidents", {}, (405, "method_not_allowed")),
        ("options", "/api/v1/incidents", {}, (405, "method_not_allowed")),
        ("post", "/api/v1/services", {"data": "{", "content_type": "application/json"}, (400, "parse_error")),
        (
            "post",
            "/api/v1/services",
            {"data": "a=1", "content_type": "text/plain"},
            (415, "unsupported_media_type"),
        ),
        ("get", "/api/v1/services", {"HTTP_ACCEPT": "text/csv"}, (406, "not_acceptable")),
        (
            "post",
            "/api/v1/services",
            {"data": b'"' + b"x" * 1024 * 1024 + b'"', "content_type": "application/json"},
            (413, "too_large"),
        ),
    ],
)
def test_what_the_framework_refuses_answers_in_the_one_shape(method, path, extra, expected):
    extra = dict(extra)
    cast = Cast()
    client = APIClient()
    if extra.pop("who", "") != "nobody":
        client.force_authenticate(cast.manager)
    response = getattr(client, method)(path, **extra)
    body = response.json()
    assert (response.status_code, body["errors"][0]["code"]) == expected
    assert (body["type"], body["errors"][0]["field"]) == ("client_error", None)
    assert body["correlation_id"] == response["X-Correlation-ID"]


@pytest.mark.django_db
def test_a_body_that_is_no_object_is_refused():
    response = Cast().api("manager").post("/api/v1/services", ["a", "list"])
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"code": "invalid", "detail": "Invalid data. Expected a dictionary, but got list.", "field": None}
    ]


@pytest.mark.django_db
def test_what_the_database_refuses_is_a_conflict(monkeypatch):
    cast = Cast()

    def lose_the_race(self, **kwargs):
        raise IntegrityError("duplicate key value violates unique constraint")

    monkeypatch.setattr(Service, "save", lose_the_race)
    body = {"team": str(cast.team.pk), "name": "Checkout"}
    response = cast.api("manager").post("/api/v1/services", body)
    assert (response.status_code, response.json()["errors"][0]["code"]) == (409, "conflict")
    assert "duplicate key" not in response.content.decode()


@pytest.mark.django_db
def test_a_fault_of_ours_does_not_show_its_inside(monkeypatch):
    cast = Cast()
    incident = IncidentFactory(service__team=cast.team)

    def fail(**kwargs):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(lifecycle, "acknowledge", fail)
    client = cast.api("manager")
    client.raise_request_exception = False
    response = client.post(f"/api/v1/incidents/{incident.pk}/acknowledge")
    assert response.status_code == 500
    assert response.json() == {
        "type": "server_error",
        "errors": [{"code": "error", "detail": "Something went wrong on our side.", "field": None}],
        "correlation_id": response["X-Correlation-ID"],
    }


def test_a_request_that_django_refuses_itself_answers_in_the_one_shape(client, settings):
    settings.ALLOWED_HOSTS = ["openalert.example.org"]
    response = client.get("/api/v1/incidents", HTTP_HOST="elsewhere.example.org")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "bad_request")
    assert client.get("/nothing", HTTP_HOST="openalert.example.org")["Content-Type"].startswith("text/html")


# Pages of lists


@pytest.fixture
def api(db):
    """Sees eleven incidents: of each severity some, opened in pairs at one instant."""
    cast = Cast()
    service = ServiceFactory(team=cast.team)
    start = timezone.now()
    for number in range(11):
        IncidentFactory(
            service=service,
            title=f"{number:02}",
            severity=SEVERITIES[number % 4],
            opened_at=start - timedelta(minutes=number // 2),
        )
    cast.service = service
    client = cast.api("observer")
    client.service = service
    return client


def follow(api, address, direction="next"):
    """The titles on each page from `address` on."""
    pages = []
    while address:
        parts = urlsplit(address)
        body = api.get(f"{parts.path}?{parts.query}").json()
        pages.append([incident["title"] for incident in body["results"]])
        last, address = address, body[direction]
    return pages, last


@pytest.mark.parametrize(
    "ordering", ["", "opened_at", "severity_rank", "-severity_rank,opened_at", "-status"]
)
def test_pages_tell_each_row_once_forward_and_backward(api, ordering):
    path = (
        f"/api/v1/incidents?ordering={ordering}&severity=critical&severity=high&severity=low&severity=medium"
    )
    whole = [incident["title"] for incident in api.get(f"{path}&page_size=200").json()["results"]]
    pages, last = follow(api, f"{path}&page_size=4")
    assert [len(page) for page in pages] == [4, 4, 3]
    assert [title for page in pages for title in page] == whole
    backward, first = follow(api, last, "previous")
    assert backward == pages[::-1]
    assert follow(api, first)[0] == pages


def test_rows_that_come_in_between_move_nothing(api):
    first = api.get("/api/v1/incidents?page_size=4").json()
    Incident.objects.filter(title=first["results"][3]["title"]).delete()
    IncidentFactory(service=api.service, title="new")
    parts = urlsplit(first["next"])
    second = api.get(f"{parts.path}?{parts.query}").json()
    titles = [incident["title"] for incident in first["results"] + second["results"]]
    assert titles == [incident["title"] for incident in first["results"]] + ["05", "04", "07", "06"]


@pytest.mark.parametrize(
    ("given", "size"), [("3", 3), ("0", 1), ("-1", 11), ("many", 11), ("9" * 30, 11), ("", 11)]
)
def test_the_size_of_a_page_is_kept_within_bounds(api, given, size):
    assert len(api.get(f"/api/v1/incidents?page_size={given}").json()["results"]) == size


def test_a_cursor_belongs_to_its_ordering(api):
    cursor = urlsplit(api.get("/api/v1/incidents?page_size=4").json()["next"]).query
    response = api.get(f"/api/v1/incidents?{cursor}&ordering=number")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "invalid_cursor")
