"""Who may do what, everywhere: every address with every method, and every live room, asked for by every role.

permissions.csv has a row for each; what it says is the status that each role is answered with. 200 and the like, 302, and
400, 409 or 422 (what was sent is not enough) mean that the role may; `in` is sent to sign in or told to (401), 403 may not,
404 does not see that it exists. An address without a row fails, and so does a row without an address.
After a change that is meant, `OPENALERT_WRITE_PERMISSIONS=1 pytest openalert/tests/test_permissions.py` writes the table
anew, for its difference to be read.
"""

import csv
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from alerts.models import Heartbeat, Integration, MaintenanceSeries, MaintenanceWindow
from escalations.models import EscalationPolicy, RoutingRule
from incidents.models import ActionItem, Incident, IncidentLink, IncidentTask, SavedFilter, Subscription
from incidents.models.report import ReportSchedule
from notifications.models import (
    ContactMethod,
    MailboxMessage,
    Notification,
    NotificationRule,
    QuietHours,
    Webhook,
    WebhookDelivery,
)
from openalert.tests.permission_scene import ROLES, Scene
from openalert.tests.test_live_access import tell
from teams.models import (
    ApiToken,
    CalendarFeed,
    HandOverNote,
    Layer,
    Override,
    Schedule,
    Service,
    ServiceDependency,
    ShiftSwap,
    Team,
)

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]

TABLE = Path(__file__).with_name("permissions.csv")
HEAD = ["kind", "method", "address", *ROLES]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# Answers of theirs that hang on what runs beside the test, not on who asks.
OF_THE_MOMENT = {"readyz", "metrics"}
# Which row an id in an address names, by the address's longest beginning that is here.
ROWS = {
    "action-items/": ActionItem,
    "calendar-feeds/": CalendarFeed,
    "escalation/policies/": EscalationPolicy,
    "escalation/rules/": RoutingRule,
    "hand-over-notes/": HandOverNote,
    "hooks/twilio/": Notification,
    "heartbeats/": Heartbeat,
    "incidents/<int:number>/links/": IncidentLink,
    "incidents/<int:number>/subscribers/": Subscription,
    "incidents/<int:number>/tasks/": IncidentTask,
    "incidents/filters/": SavedFilter,
    "layers/": Layer,
    "mailbox/": MailboxMessage,
    "maintenance/": MaintenanceWindow,
    "maintenance/series/": MaintenanceSeries,
    "me/methods/": ContactMethod,
    "me/quiet-hours/": QuietHours,
    "me/rules/": NotificationRule,
    "me/tokens/": ApiToken,
    "overrides/": Override,
    "reports/schedules/": ReportSchedule,
    "schedules/": Schedule,
    "services/": Service,
    "services/dependencies/": ServiceDependency,
    "services/integrations/": Integration,
    "swaps/": ShiftSwap,
    "teams/": Team,
    "webhooks/": Webhook,
    "webhooks/deliveries/": WebhookDelivery,
}
NAMED = {
    "heartbeat_id": Heartbeat,
    "incident_id": Incident,
    "integration_id": Integration,
    "link_id": IncidentLink,
    "service_id": Service,
    "team": Team,
    "team_id": Team,
    "webhook_id": Webhook,
}


class Place(NamedTuple):
    kind: str
    address: str
    pattern: URLPattern

    @property
    def view(self) -> Any:
        return getattr(self.pattern.callback, "cls", None)

    @property
    def methods(self) -> list[str]:
        if self.kind == "admin":
            return ["GET", "POST"]
        if self.view is None:
            return list(METHODS)
        actions = getattr(self.pattern.callback, "actions", None)
        known = actions if actions else vars_of(self.view)
        names = self.view.http_method_names
        found = [method for method in METHODS if method.lower() in known and method.lower() in names]
        return found or ["GET"]


def vars_of(view: Any) -> set[str]:
    return {method.lower() for method in METHODS if hasattr(view, method.lower())}


def places(resolver: URLResolver | None = None, before: str = "") -> Iterator[Place]:
    for pattern in (resolver or get_resolver()).url_patterns:
        address = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from places(pattern, address)
        else:
            first = address.lstrip("^").split("/", 1)[0]
            yield Place({"api": "api", "admin": "admin"}.get(first, "page"), address, pattern)


def path_of(place: Place, scene: Scene) -> str:
    """The address with the scene's rows in it."""
    address = place.address
    names = re.findall(r"<(?:\w+:)?(\w+)>", address)
    values = {name: value_of(name, place, scene) for name in names}
    path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(values[found[1]]), address)
    if place.address.startswith("^integrations-inbound"):
        return "/integrations-inbound/sendgrid/key/"
    path = re.sub(r"\(\?P<\w+>[^)]*\)\$?", "nothing", path)
    return "/" + path.replace("^", "").rstrip("$")


def value_of(name: str, place: Place, scene: Scene) -> object:
    address = place.address
    if name in NAMED:
        return scene.rows[NAMED[name]].pk
    if name == "number":
        return scene.incident.number
    if name == "rule_id":
        return scene.rule.pk
    if name in ("object_id", "content_type_id"):
        models = (
            model
            for model in admin.site._registry
            if f"admin/{model._meta.app_label}/{model._meta.model_name}/" in address
        )
        row = scene.rows.get(next(models, None))
        return row.pk if row else "01900000-0000-7000-8000-000000000000"
    if name == "pk" and place.view is not None:
        return scene.rows[place.view.queryset.model].pk
    if name == "pk":
        begins = max((known for known in ROWS if address.startswith(known)), key=len, default="")
        assert begins, f"say in ROWS which row the id in {address} names"
        return scene.rows[ROWS[begins]].pk
    table = "by-severity" if address.endswith(".csv") else "email"
    return {"slug": "incidents", "name": table}.get(name, "nothing")


def bodies(scene: Scene) -> dict[tuple[str, str], dict[str, Any]]:
    """What is sent to addresses where only a whole body tells who may."""
    now = timezone.now()
    soon, later = now + timedelta(hours=1), now + timedelta(hours=2)
    span = {"starts_at": soon.isoformat(), "ends_at": later.isoformat()}
    team, service, schedule = str(scene.team.pk), str(scene.service.pk), str(scene.rows[Schedule].pk)
    other = str(scene.other.pk)
    own = "api/v1/"
    post = {
        "teams": {"name": "New"},
        "memberships": {"team": team, "user": str(scene.newcomer.pk), "role": "responder"},
        "services": {"team": team, "name": "New"},
        "service-dependencies": {"service": str(scene.upstream.pk), "upstream": str(scene.third.pk)},
        "schedules": {"team": team, "name": "New"},
        "schedule-overrides": {"schedule": schedule, "user": other, **span},
        "shift-swaps": {"schedule": schedule, "to": None, **span},
        "hand-over-notes": {"schedule": schedule, "text": "All quiet."},
        "api-tokens": {"name": "New", "scopes": ["read"], "team": team},
        "incidents": {"service": service, "title": "New", "severity": "low"},
        "incidents/<str:pk>/merge": {"into": str(scene.second_incident.pk)},
        "incidents/<str:pk>/notes": {"text": "A note."},
        "incidents/<str:pk>/severity": {"severity": "low"},
        "incidents/<str:pk>/snooze": {"minutes": 10},
        "incidents/<uuid:incident_id>/reassign": {"user": other},
        "integrations": {"service": service, "name": "New"},
        "heartbeats": {"service": service, "name": "New"},
        "maintenance-windows": {"team": team, "title": "New", **span},
        "maintenance-series": {
            "team": team,
            "title": "New",
            "repeats": "weekly",
            "time_zone": "UTC",
            **span,
        },
        "integrations/<uuid:integration_id>/rules": {
            "name": "New",
            "conditions": [{"test": "equals", "field": "labels.env", "value": "x"}],
            "actions": [{"do": "drop"}],
        },
        "integrations/<uuid:integration_id>/rules/order": {"rules": [str(scene.rule.pk)]},
        "webhooks": {"team": team, "name": "New", "url": "https://hooks.example.org/x"},
        "escalation-policies": {
            "team": team,
            "name": "New",
            "steps": [{"delay_seconds": 300, "targets": [{"kind": "user", "id": other}]}],
        },
        "routing-rules": {"team": team, "policy": str(scene.rows[EscalationPolicy].pk)},
        "routing-rules/reorder": {"team": team, "rules": [str(scene.rows[RoutingRule].pk)]},
        "dead-letters/replay": {"ids": [str(scene.rows[Notification].pk)]},
        "dead-letters/discard": {"ids": [str(scene.rows[Notification].pk)]},
    }
    pages = {
        "incidents/new/": {"service": service, "title": "New", "severity": "low"},
        "incidents/bulk/": {"action": "acknowledge", "number": [scene.incident.number]},
    }
    return {("POST", own + address): body for address, body in post.items()} | {
        ("POST", address): body for address, body in pages.items()
    }


def status_of(response: Any) -> str:
    if response.status_code == 401:
        return "in"
    if response.status_code == 302 and re.search(r"/login/\?next=", response["Location"]):
        return "in"
    return str(response.status_code)


def walk(scene: Scene, kind: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    clients, cookies = {}, {}
    for role, person in scene.people.items():
        clients[role] = Client(raise_request_exception=False)
        if person:
            clients[role].force_login(person)
        cookies[role] = clients[role].cookies
    given = bodies(scene)
    for place in places():
        if place.kind != kind:
            continue
        path = path_of(place, scene)
        for method in place.methods:
            body = given.get((method, place.address), {})
            cache.clear()
            found = []
            for role in reversed(ROLES):  # who may most tells whether there is such a method
                if found == ["405"]:
                    break
                options: dict[str, Any] = {"data": body}
                if place.kind == "api" or method not in ("GET", "POST"):
                    options = {"data": body if method != "GET" else {}, "content_type": "application/json"}
                    if method == "GET":
                        options = {}
                clients[role].cookies = cookies[role].copy()  # some addresses sign out
                with transaction.atomic():
                    response = getattr(clients[role], method.lower())(path, **options)
                    transaction.set_rollback(True)
                found.append(status_of(response))
            if found == ["405"]:
                continue
            found.reverse()
            if place.address in OF_THE_MOMENT:
                found = ["any"] * len(ROLES)
            yield (place.kind, method, place.address), found


def compare(kind: str, found: dict[tuple[str, ...], list[str]]) -> None:
    with TABLE.open(newline="") as file:
        rows = {tuple(row[:3]): row[3:] for row in list(csv.reader(file))[1:]}
    if os.environ.get("OPENALERT_WRITE_PERMISSIONS"):
        rows = {row: told for row, told in rows.items() if row[0] != kind} | found
        with TABLE.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows([HEAD, *([*row, *told] for row, told in sorted(rows.items()))])
    known = {row: told for row, told in rows.items() if row[0] == kind}
    print(f"permissions, {kind}: {len(found)} rows × {len(ROLES)} roles = {len(found) * len(ROLES)} answers")
    broken = {row: told for row, told in found.items() if "500" in told}
    assert broken == {}, "they failed"
    differ = {row: (known.get(row), found.get(row)) for row in known.keys() | found.keys()}
    assert {row: pair for row, pair in differ.items() if pair[0] != pair[1]} == {}, "in the table, and found"


@pytest.mark.parametrize("kind", ["api", "page", "admin"])
def test_every_address_answers_each_role_as_the_table_says(settings, kind):
    settings.EMAIL_BACKEND = "notifications.mailbox.MailboxBackend"  # else there is no mailbox
    compare(kind, dict(walk(Scene(), kind)))


@pytest.mark.django_db(transaction=True)
def test_every_live_room_is_open_to_whom_the_table_says():
    scene = Scene()
    rooms = {
        "incident": f"incident:{scene.incident.pk}",
        "service": f"service:{scene.service.pk}",
        "team": f"team:{scene.team.pk}",
        "user (the responder’s)": f"user:{scene.people['responder'].pk}",
    }
    heard = {}
    for person in scene.people.values():

        async def story(socket, person=person):
            token = {"token": str(AccessToken.for_user(person))} if person else {}
            await socket.say(type="hello", rooms=dict.fromkeys(rooms.values()), **token)
            told = [await socket.hear()]
            while told[-1]["type"] == "error" and told[-1].get("room"):
                told.append(await socket.hear())
            return told[-1].get("rooms")

        entered = tell(story, origin=None)
        for kind, room in rooms.items():
            status = "in" if entered is None else "200" if room in entered else "404"
            heard.setdefault(("room", "HEAR", kind), []).append(status)
    compare("room", heard)
