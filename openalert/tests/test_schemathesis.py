"""schemathesis sends to intake what a document allows and what it forbids: our own, and one for every other format."""

import json

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from alerts.addresses import NATIVE_PATH
from alerts.enums import Source
from alerts.formats import FORMATS
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from incidents.models import Incident
from openalert.asgi import application
from openalert.tests.test_intake_fuzz import KEY, address, golden

pytestmark = [pytest.mark.timeout(240), pytest.mark.django_db(transaction=True)]

HURRIED = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
IN_JSON = sorted(FORMATS.keys() - {Source.OPENALERT, Source.EMAIL})


def test_intake_keeps_to_its_document():
    integration = IntegrationFactory()
    schema = schemathesis.openapi.from_asgi("/api/schema/?format=json", application)

    @settings(HURRIED, max_examples=200)
    @given(case=schema[NATIVE_PATH]["POST"].as_strategy())
    def check(case):
        response = case.call(headers={"Authorization": f"Bearer {integration.key}"})
        case.validate_response(
            response, checks=[not_a_server_error, response_schema_conformance, content_type_conformance]
        )

    check()
    assert Alert.objects.exists()
    assert not Incident.objects.exclude(alerts__isnull=False).exists()


def shape_of(value):
    """A JSON Schema that a real value fulfils, and what is like it: the same keys, each with a value of its type."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {key: shape_of(inner) for key, inner in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "items": shape_of(value[0]) if value else {}, "maxItems": 4}
    if isinstance(value, str):
        return {"anyOf": [{"const": value}, {"type": "string"}]}
    if isinstance(value, bool) or value is None:
        return {"type": ["boolean", "null"]}
    return {"type": "number"}


def document(path, payloads):
    body = {"anyOf": [shape_of(payload) for payload in payloads]}
    content = {"application/json": {"schema": body}}
    post = {
        "requestBody": {"required": True, "content": content},
        "responses": {"default": {"description": ""}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "A monitoring system", "version": "1"},
        "paths": {path: {"post": post}},
    }


@pytest.mark.parametrize("source", IN_JSON)
def test_formats_of_others_take_what_is_like_a_real_payload(source):
    IntegrationFactory(source=source, key=KEY)
    path, headers = address(source)
    payloads = [json.loads(body) for body in golden(source)]
    assert payloads, "each format has a real payload"
    schema = schemathesis.openapi.from_dict(document(path, payloads))
    schema.app = application
    operation = schema[path]["POST"]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))

    @settings(HURRIED, max_examples=60)
    @given(case=cases)
    def check(case):
        if source == Source.PAGERDUTY and isinstance(case.body, dict):
            case.body["routing_key"] = KEY
        case.validate_response(case.call(headers=headers), checks=[not_a_server_error])

    check()
    assert not Incident.objects.exclude(alerts__isnull=False).exists(), "an incident without an alert"
    assert not Alert.objects.exclude(incident__in=Incident.objects.all()).exists()
