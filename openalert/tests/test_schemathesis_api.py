"""schemathesis asks every operation of the OpenAPI document, as each role, what it allows and what it forbids.

A short form in the suite; for the long one: OPENALERT_SCHEMATHESIS_EXAMPLES=200 (of each operation and role).
"""

import os
import re
from collections import Counter

import pytest
import schemathesis
from django.core import signals
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rest_framework_simplejwt.tokens import RefreshToken
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from alerts.tests.factories import (
    AlertFactory,
    HeartbeatFactory,
    IntegrationFactory,
    MaintenanceWindowFactory,
)
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, StepFactory
from incidents.tests.factories import IncidentFactory
from notifications.tests.factories import ContactMethodFactory, NotificationFactory, WebhookFactory
from openalert.tests.api_client import document
from teams.models import User
from teams.tests.cast import Cast
from teams.tests.factories import ScheduleFactory, ServiceFactory, UserFactory

EXAMPLES = int(os.environ.get("OPENALERT_SCHEMATHESIS_EXAMPLES", "2"))
ROLES = ("observer", "responder", "manager", "admin", "nobody")

pytestmark = [pytest.mark.timeout(120 + EXAMPLES * 120), pytest.mark.django_db]

HURRIED = settings(
    deadline=None,
    database=None,
    max_examples=EXAMPLES,
    derandomize="OPENALERT_SCHEMATHESIS_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


class Scene(Cast):
    """A cast with something of everything to ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.admin = UserFactory(name="Adam Admin", is_superuser=True, is_staff=True)
        service = ServiceFactory(team=self.team)
        incident = IncidentFactory(service=service)
        integration = IntegrationFactory(service=service)
        policy = PolicyFactory(team=self.team)
        StepFactory(policy=policy)
        rows = {
            "teams": self.team,
            "services": service,
            "incidents": incident,
            "integrations": integration,
            "alerts": AlertFactory(integration=integration, incident=incident),
            "heartbeats": HeartbeatFactory(),
            "maintenance-windows": MaintenanceWindowFactory(),
            "escalation-policies": policy,
            "routing-rules": RoutingRuleFactory(team=self.team, policy=policy),
            "schedules": ScheduleFactory(team=self.team),
            "webhooks": WebhookFactory(team=self.team),
            "contact-methods": ContactMethodFactory(user=self.responder),
            "notifications": NotificationFactory(user=self.responder, incident=incident),
            "users": self.responder,
            "memberships": self.team.memberships.first(),
        }
        self.ids = {name: str(row.pk) for name, row in rows.items()}

    def headers(self, role: str) -> dict[str, str]:
        user: User | None = getattr(self, role)
        return {"Authorization": f"Bearer {RefreshToken.for_user(user).access_token}"} if user else {}


@pytest.fixture
def schema():
    for signal in (signals.request_started, signals.request_finished):
        signal.disconnect(close_old_connections)  # requests are served on the test's own connection
    schema = schemathesis.openapi.from_dict(document())
    schema.app = get_wsgi_application()
    # Alerts come in by ASGI, beside Django: test_schemathesis.py sends them there.
    yield schema.exclude(
        path_regex="^(/api/v1/(alerts|changes)$|/integrations/|/v2/(enqueue|alerts)$)", method="POST"
    )
    for signal in (signals.request_started, signals.request_finished):
        signal.connect(close_old_connections)


def checks():
    """All but one: data that is valid by the document may break rules that JSON Schema cannot tell."""
    return [check for check in CHECKS.get_all() if check.__name__ != "positive_data_acceptance"]


def try_out(operation, scene, headers, statuses):
    """What is wrong with the answers; None when nothing is."""
    modes = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]
    name = operation.path.removeprefix("/api/v1/").partition("/")[0]
    first = re.search(r"\{(\w+)\}", operation.path)

    @settings(HURRIED)
    @given(case=st.one_of(*modes), is_there=st.sampled_from([True, False]))
    def check(case, is_there):
        if is_there and name in scene.ids and first:
            case.path_parameters[first[1]] = scene.ids[name]
        with transaction.atomic():
            response = case.call(headers=headers)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=checks(), headers=headers)
            transaction.set_rollback(True)

    try:
        check()
    except (Exception, BaseExceptionGroup) as fault:
        return str(fault)
    return None


@pytest.mark.parametrize("role", ROLES)
def test_every_operation_keeps_to_its_document(schema, role):
    scene, statuses, faults = Scene(), Counter(), {}
    headers = scene.headers(role)
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        if fault := try_out(operation, scene, headers, statuses):
            faults[operation.label] = fault
    print(role, len(operations), "operations:", dict(statuses))
    assert not faults, "\n\n".join(f"{where}\n{what[:1500]}" for where, what in faults.items())
