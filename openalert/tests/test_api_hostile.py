"""Input that nobody sends in good faith: every field and parameter of the document, one wrong value at a time.

A refusal is fine, and so is taking it; a fault of ours (5xx), or an answer that the document does not
describe, is not.
"""

import re
from urllib.parse import urlencode

import pytest
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from alerts.enums import Source
from alerts.tests.factories import (
    AlertFactory,
    ChangeFactory,
    HeartbeatFactory,
    MaintenanceSeriesFactory,
    MaintenanceWindowFactory,
    RuleFactory,
)
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory, RunFactory
from incidents.enums import LinkKind
from incidents.models import ActionItem, IncidentLink, IncidentTask, Postmortem, Subscription
from incidents.tests.factories import IncidentFactory
from notifications.enums import NotificationStatus
from notifications.tests.factories import (
    ContactMethodFactory,
    NotificationFactory,
    NotificationRuleFactory,
    QuietHoursFactory,
    WebhookDeliveryFactory,
)
from openalert.ids import uuid7
from teams import api_tokens
from teams.tests.cast import Cast
from teams.tests.factories import (
    CalendarFeedFactory,
    HandOverNoteFactory,
    OverrideFactory,
    ScheduleFactory,
    ServiceDependencyFactory,
    ServiceFactory,
    ShiftSwapFactory,
)

from .api_client import document

VALUES = [
    None,
    True,
    -1,
    10**30,
    "",
    "\0",
    "x" * 5000,
    "9999-12-31T23:59:59.999999-14:00",
    "0001-01-01T00:00:00+14:00",
    str(uuid7()),
    [],
    ["\0"],
    [{}],
    [[["deep"]]],
    {},
    {"": {"\0": []}},
]
TEXTS = ["", "\0", "-1", "9" * 40, "x" * 2000, "9999-12-31T23:59:59-14:00", "\ud7ff%", "NaN"]

INTAKE = "alerts_send"


def operations(*methods):
    return [
        pytest.param(method, path, id=described[method]["operationId"])
        for path, described in sorted(document()["paths"].items())
        for method in methods
        if method in described and not described[method]["operationId"].startswith(INTAKE)
    ]


@pytest.fixture
def world(db):
    """A superuser's client, and an id of each kind of thing for the paths."""
    cast = Cast()
    cast.manager.is_superuser = True
    service = ServiceFactory(team=cast.team)
    method = ContactMethodFactory(user=cast.manager)
    policy = PolicyFactory(team=cast.team, levels=[[cast.manager]])
    run = RunFactory(incident__service=service, policy=policy)
    alert = AlertFactory(incident=run.incident, integration__source=Source.GENERIC)
    schedule = ScheduleFactory(team=cast.team, on_call=[cast.manager, cast.responder])
    delivery = WebhookDeliveryFactory(webhook__team=cast.team)
    incident = run.incident
    Postmortem.objects.create(incident=incident, body="It was the disks.", edited_at=timezone.now())
    linked = IncidentLink.objects.create(incident=incident, other=IncidentFactory(), kind=LinkKind.CAUSED_BY)
    cast.ids = {
        "action-items": ActionItem.objects.create(incident=incident, text="Larger disks"),
        "api-tokens": api_tokens.create_token(by=cast.manager, name="deploys", scopes=["read"])[0],
        "links": linked,
        "maintenance-series": MaintenanceSeriesFactory(team=cast.team, services=[service]),
        "subscriptions": Subscription.objects.create(user=cast.manager, incident=incident),
        "tasks": IncidentTask.objects.create(incident=incident, text="Look at the disks"),
        "alerts": alert,
        "changes": ChangeFactory(integration=alert.integration),
        "contact-methods": method,
        "escalation-policies": policy,
        "escalation-runs": run,
        "dead-letters": NotificationFactory(incident=run.incident, status=NotificationStatus.DEAD),
        "incidents": run.incident,
        "integrations": alert.integration,
        "maintenance-windows": MaintenanceWindowFactory(team=cast.team, services=[service]),
        "memberships": cast.team.memberships.first(),
        "notification-rules": NotificationRuleFactory(user=cast.manager, contact_method=method),
        "notifications": NotificationFactory(incident=run.incident),
        "quiet-hours": QuietHoursFactory(user=cast.manager),
        "rules": RuleFactory(integration=alert.integration),
        "routing-rules": RoutingRuleFactory(team=cast.team, policy=policy),
        "schedule-overrides": OverrideFactory(schedule=schedule),
        "schedules": schedule,
        "service-dependencies": ServiceDependencyFactory(service=service),
        "services": service,
        "shift-swaps": ShiftSwapFactory(schedule=schedule, asker=cast.responder, asked=cast.manager),
        "heartbeats": HeartbeatFactory(integration=alert.integration),
        "hand-over-notes": HandOverNoteFactory(schedule=schedule),
        "calendar-feeds": CalendarFeedFactory(user=cast.manager),
        "teams": cast.team,
        "users": cast.manager,
        "webhook-deliveries": delivery,
        "webhooks": delivery.webhook,
    }
    return cast


def address(world, path):
    return re.sub(r"([\w-]+)/\{\w+\}", lambda found: f"{found[1]}/{world.ids[found[1]].pk}", path)


def send(world, method, path, body=None):
    cache.clear()  # the throttles count there
    with transaction.atomic():
        response = getattr(world.api("manager"), method)(path, body)
        transaction.set_rollback(True)
    assert response.status_code < 500
    return response


def fields(method, path):
    content = document()["paths"][path][method].get("requestBody", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
    return document()["components"]["schemas"].get(reference.rpartition("/")[2], {}).get("properties", {})


@pytest.mark.parametrize(("method", "path"), operations("post", "patch"))
def test_bodies(world, method, path):
    target = address(world, path)
    for body in VALUES:
        send(world, method, target, body)
    for name in fields(method, path):
        for value in VALUES:
            send(world, method, target, {name: value})


@pytest.mark.parametrize(("method", "path"), operations("patch"))
def test_changes_of_one_nested_value(world, method, path):
    """What a GET answers is taken back, and each value in its lists is then made wrong or left out in turn."""
    target = address(world, path)
    seen = world.api("manager").get(target).json()
    names = [name for name in fields(method, path) if name in seen]
    assert send(world, method, target, {name: seen[name] for name in names}).status_code == 200
    for name in names:
        rows = seen[name] if isinstance(seen[name], list) else []
        for key in rows[0] if rows and isinstance(rows[0], dict) else ():
            without = {other: rows[0][other] for other in rows[0] if other != key}
            send(world, method, target, {name: [without]})
            for value in VALUES:
                send(world, method, target, {name: [{**without, key: value}]})


@pytest.mark.parametrize(("method", "path"), operations("get"))
def test_queries(world, method, path):
    target = address(world, path)
    for parameter in document()["paths"][path][method].get("parameters", ()):
        for text in TEXTS if parameter["in"] == "query" else ():
            send(world, method, f"{target}?{urlencode({parameter['name']: text})}")
