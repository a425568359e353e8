"""The fields of any JSON, and how mails are read, through the REST API."""

import pytest

from alerts.enums import Source
from alerts.models import Alert, Integration
from alerts.tests.factories import IntegrationFactory
from openalert.ids import uuid7
from teams.tests.cast import Cast, answers
from teams.tests.factories import ServiceFactory

pytestmark = pytest.mark.django_db

INTEGRATIONS = "/api/v1/integrations"
FIELDS = {
    "each": "problems",
    "title": "{{ payload.what }} in {{ whole.site }}",
    "severity": "prio",
    "severities": {"P2": "critical"},
    "resolved": ["fine"],
    "labels": {"host.name": "host"},
}
PAYLOAD = {
    "site": "eu-1",
    "problems": [{"what": "Disk full", "prio": "P2", "host": "db1", "url": "https://x.example"}],
}


@pytest.fixture
def cast():
    cast = Cast()
    cast.service = ServiceFactory(team=cast.team, name="Checkout")
    return cast


@pytest.fixture
def generic(cast):
    return IntegrationFactory(service=cast.service, source=Source.GENERIC)


def errors(response):
    return [(error["code"], error["field"]) for error in response.json()["errors"]]


def path(integration, tail=""):
    return f"{INTEGRATIONS}/{integration.pk}{tail}"


def test_integration_is_made_with_its_fields_and_they_are_changed(cast):
    api = cast.api("manager")
    body = {"service": str(cast.service.pk), "name": "Probes", "source": "generic", "fields": FIELDS}
    made = api.post(INTEGRATIONS, body).json()
    assert (made["fields"], made["email"]) == (FIELDS, None)
    assert Integration.objects.get().settings == {"fields": FIELDS}
    where = f"{INTEGRATIONS}/{made['id']}"
    assert api.patch(where, {"name": "Other"}).json()["fields"] == FIELDS
    # As a whole: what is left out has its usual names again.
    assert api.patch(where, {"fields": {"title": "what"}}).json()["fields"] == {"title": "what"}
    seen = api.get(where).json()
    assert api.put(where, seen).json()["fields"] == {"title": "what"}
    assert api.patch(where, {"fields": None}).json()["fields"] == {}
    assert cast.statuses("patch", where, {"fields": {}}) == answers(200, 403, 403, 404)


def test_mail_settings_are_written_as_a_whole_beside_others(cast):
    api = cast.api("manager")
    integration = IntegrationFactory(
        service=cast.service,
        source=Source.EMAIL,
        settings={"email": {"over": ["old"]}, "fields": {"title": "t"}},
    )
    usual = {"dedup": "subject", "over": [], "firing": []}
    seen = api.get(path(integration)).json()
    assert (seen["fields"], seen["email"]) == (None, {**usual, "over": ["old"]})
    changed = api.patch(path(integration), {"email": {"dedup": "thread", "firing": ["alarm"]}}).json()
    assert changed["email"] == {"dedup": "thread", "over": [], "firing": ["alarm"]}
    assert Integration.objects.get().settings == {
        "email": {"dedup": "thread", "firing": ["alarm"]},
        "fields": {"title": "t"},
    }
    assert api.put(path(integration), changed).json()["email"] == changed["email"]
    assert api.patch(path(integration), {"email": None}).json()["email"] == usual
    response = api.patch(path(integration), {"email": {"dedup": "moon", "over": ["x" * 101]}})
    assert errors(response) == [("invalid_choice", "email.dedup"), ("max_length", "email.over.0")]


def test_settings_are_for_their_source(cast, generic):
    api = cast.api("manager")
    grafana = IntegrationFactory(service=cast.service, source=Source.GRAFANA)
    seen = api.get(path(grafana)).json()
    assert (seen["fields"], seen["email"]) == (None, None)
    assert api.put(path(grafana), seen).status_code == 200
    assert errors(api.patch(path(grafana), {"fields": {}})) == [("invalid", "fields")]
    assert errors(api.patch(path(grafana), {"email": {}})) == [("invalid", "email")]
    assert errors(api.patch(path(generic), {"email": {}})) == [("invalid", "email")]
    changed = api.patch(path(grafana), {"source": "generic", "fields": {"title": "t"}}).json()
    assert changed["fields"] == {"title": "t"}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": "a b"}, "title"),
        ({"title": 5}, "title"),
        ({"title": "{{ payload }}\0"}, None),
        ({"resolved": ["a\0"]}, None),
        ({"labels": {"a.b": "{{"}}, "labels.a.b"),
        ({"labels": {"": "a"}}, "labels"),
        ({"severities": {"P1": "awful"}}, "severities"),
        ({"moon": "x"}, None),
        (["title"], None),
        ("title", None),
    ],
)
def test_faults_are_named_by_their_place(cast, generic, fields, field):
    place = f"fields.{field}" if field else "fields"
    api = cast.api("manager")
    for response in (
        api.patch(path(generic), {"fields": fields}),
        api.post(path(generic, "/fields/dry-run"), {"fields": fields, "payload": {}}),
    ):
        assert (response.status_code, errors(response)) == (400, [("invalid_expression", place)])
    assert Integration.objects.get().settings == {}


def test_half_a_surrogate_is_refused(cast, generic):
    api, where = cast.api("manager"), path(generic, "/fields/dry-run")
    for given in (b'{"fields": {"name": "\\ud800"}, "payload": 1}', b'{"payload": {"\\ud800": 1}}'):
        response = api.generic("POST", where, given, content_type="application/json")
        assert response.status_code == 400
    response = api.generic(
        "PATCH", path(generic), b'{"fields": {"name": "\\ud800"}}', content_type="application/json"
    )
    assert response.status_code == 400


def test_fields_are_tried_on_a_payload_and_nothing_is_stored(cast, generic):
    api, where = cast.api("observer"), path(generic, "/fields/dry-run")
    answer = {
        "dedup_key": "Disk full in eu-1",
        "status": "firing",
        "title": "Disk full in eu-1",
        "severity": "critical",
        "name": "Disk full in eu-1",
        "source": "",
        "labels": {"host.name": "db1"},
        "description": "",
        "link": "https://x.example",
        "errors": {},
    }
    tried = api.post(where, {"fields": FIELDS | {"source": "nothing"}, "payload": PAYLOAD}).json()
    [alert] = tried["alerts"]
    assert alert["errors"] == {"source": "It picks nothing from this payload."}
    assert {**alert, "source": "", "dedup_key": answer["dedup_key"], "errors": {}} == answer
    # Its own, and in use already.
    generic.settings = {"fields": {"title": "site"}}
    generic.save()
    tried = api.post(where, {"payload": PAYLOAD}).json()
    assert (tried["total"], tried["alerts"][0]["title"], tried["fault"]) == (1, "eu-1", "")
    assert not Alert.objects.exists()


@pytest.mark.parametrize(
    ("payload", "total"), [(None, 1), (5, 1), ("", 1), ([], 1), ({}, 1), ([{}] * 30, 30), ([{}] * 2001, 0)]
)
def test_any_json_is_tried(cast, generic, payload, total):
    tried = cast.api("observer").post(path(generic, "/fields/dry-run"), {"payload": payload}).json()
    assert (tried["total"], len(tried["alerts"])) == (total, min(total, 20))
    assert bool(tried["fault"]) == (total == 0)


def test_who_may_try_and_what_has_fields(cast, generic):
    where = path(generic, "/fields/dry-run")
    assert cast.statuses("post", where, {"payload": {}}) == answers(200, 200, 200, 404)
    assert errors(cast.api("observer").post(where, {})) == [("required", "payload")]
    other = IntegrationFactory(service=cast.service, source=Source.EMAIL)
    response = cast.api("manager").post(path(other, "/fields/dry-run"), {"payload": {}})
    assert (response.status_code, errors(response)) == (409, [("not_for_this_source", None)])
    assert cast.api("manager").post(f"{INTEGRATIONS}/{uuid7()}/fields/dry-run", {}).status_code == 404


def test_json_that_is_nested_too_deeply_is_refused(cast, generic):
    body = b'{"payload": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    response = cast.api("manager").generic(
        "POST", path(generic, "/fields/dry-run"), body, content_type="application/json"
    )
    assert (response.status_code, errors(response)) == (400, [("parse_error", None)])


def test_stored_fields_that_can_no_longer_be_read_are_shown_as_far_as_they_can_be(cast, generic):
    Integration.objects.update(settings={"fields": {"title": "no longer understood", "moon": 5}})
    seen = cast.api("observer").get(path(generic)).json()
    assert seen["fields"] == {"title": "no longer understood"}
    tried = cast.api("observer").post(path(generic, "/fields/dry-run"), {"payload": {"title": "x"}}).json()
    assert tried["alerts"][0]["title"] == "x"
