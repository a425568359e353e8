"""schemathesis reads our OpenAPI document, and sends to intake what it allows and what it forbids."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from alerts.addresses import NATIVE_PATH
from alerts.models import Alert
from alerts.tests.factories import IntegrationFactory
from incidents.models import Incident
from openalert.asgi import application


@pytest.mark.timeout(240)
@pytest.mark.django_db(transaction=True)
def test_intake_keeps_to_its_document():
    integration = IntegrationFactory()
    schema = schemathesis.openapi.from_asgi("/api/schema/?format=json", application)

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=schema[NATIVE_PATH]["POST"].as_strategy())
    def check(case):
        response = case.call(headers={"Authorization": f"Bearer {integration.key}"})
        case.validate_response(
            response, checks=[not_a_server_error, response_schema_conformance, content_type_conformance]
        )

    check()
    assert Alert.objects.exists()
    assert not Incident.objects.exclude(alerts__isnull=False).exists()
