"""Every page of ours, found by its route: what each is opened with, so that a new page cannot be forgotten.

A route with arguments takes them from the longest of PLACES that it begins with. One that has no place, or answers
neither with a page, a fragment, a redirect nor “only POST”, must be given a place, or a reason in NO_PAGES.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from django.core import signing
from django.test import Client
from django.urls import get_resolver
from django.urls.resolvers import URLPattern, URLResolver
from django.utils import timezone

from alerts import heartbeats
from alerts.enums import Source
from alerts.models import Heartbeat, Integration, MaintenanceSeries, MaintenanceWindow
from alerts.tests.factories import (
    AlertFactory,
    ChangeFactory,
    HeartbeatFactory,
    HeldAlertFactory,
    IntegrationFactory,
    MaintenanceSeriesFactory,
    MaintenanceWindowFactory,
    RuleFactory,
)
from escalations.models import EscalationPolicy
from escalations.tests.factories import PagingSettingsFactory, RunFactory
from incidents import subscriptions
from incidents.enums import Kind, LinkKind, Severity, Status, UpdateState
from incidents.models import (
    ActionItem,
    IncidentLink,
    IncidentTask,
    Postmortem,
    RoleAssignment,
    SavedFilter,
    Stakeholder,
    StatusUpdate,
    Subscription,
)
from incidents.tests.factories import IncidentFactory, TimelineEntryFactory
from notifications import answer_links
from notifications.enums import Action, Channel, NotificationStatus
from notifications.models import MailboxMessage, Notification, Webhook
from notifications.tests.factories import (
    ContactMethodFactory,
    NotificationFactory,
    NotificationRuleFactory,
    QuietHoursFactory,
    WebhookDeliveryFactory,
    WebhookFactory,
)
from openalert import demo
from teams import api_tokens
from teams.models import ApiToken, Schedule, Service, User
from teams.tests.factories import (
    CalendarFeedFactory,
    FallbackFactory,
    HandOverNoteFactory,
    LayerFactory,
    OverrideFactory,
    ScheduleFactory,
    ServiceDependencyFactory,
    ServiceFactory,
    ShiftSwapFactory,
    UserFactory,
)

# Beginnings of routes that are no pages of ours, and why.
NO_PAGES = {
    "admin/": "Django's and Unfold's pages",
    "api/": "for programs; its documentation is Swagger's page",
    "v2/": "for programs",
    "ping/": "for programs",
    "^ping/": "for programs",
    "hooks/": "for programs",
    "integrations-inbound/": "for programs",
    "healthz": "for programs",
    "readyz": "for programs",
    "metrics": "for programs",
    "calendar/": "for calendars",
    "service-worker.js": "a script",
    "manifest.webmanifest": "for browsers",
    "reports/<slug:slug>/<slug:name>.csv": "a file",
    "set-up/": "is there only while there is nobody (openalert/tests/test_first_steps.py looks at it)",
    "accounts/oidc/": "leads to the identity provider and back; without one it is not there",
    "audit/export": "a file",
    "incidents/<int:number>/postmortem.md": "a file",
    "mailbox/<uuid:pk>/letter/": "somebody's mail, in a frame",
}
# Its page shows the mailbox only where that is in use.
EMAIL_BACKEND = "notifications.mailbox.MailboxBackend"
ANSWERS_OF_OTHERS = (204, 301, 302, 405)


class Scene(SimpleNamespace):
    """The demo, and a row of everything that a page is about; looked at by its administrator, who is in both teams."""

    @classmethod
    def make(cls) -> "Scene":
        demo.seed()
        carla = User.objects.get(email=demo.CARLA.email)
        service = Service.objects.get(name="Checkout")
        integration = Integration.objects.get(name=demo.FIRST_INTEGRATION)
        Integration.objects.filter(pk=integration.pk).update(source=Source.GENERIC)
        incident = IncidentFactory(service=service, title="Checkout is down", severity=Severity.CRITICAL)
        policy = EscalationPolicy.objects.filter(team=service.team).latest("name")
        found = cls(
            viewer=carla,
            team=service.team,
            service=service,
            integration=integration,
            incident=incident,
            policy=policy,
            schedule=Schedule.objects.get(name="Payments, first line"),
        )
        found.upstream = ServiceDependencyFactory(
            service=service, upstream=Service.objects.get(name="Databases")
        )
        PagingSettingsFactory(team=service.team, default_policy=policy)
        RunFactory(incident=incident, policy=policy, due_at=timezone.now() + timedelta(hours=1))
        Postmortem.objects.create(incident=incident, body="## What happened", edited_at=timezone.now())
        found.stakeholder = Stakeholder.objects.create(
            address="reader@example.org", confirmed_at=timezone.now()
        )
        found.grow()
        found.rule = RuleFactory(integration=integration, position=20)
        found.layer = found.schedule.layers.first()
        found.method = carla.contact_methods.filter(channel=Channel.EMAIL).earliest("pk")
        found.webhook = Webhook.objects.latest("pk")
        found.mail = MailboxMessage.objects.latest("pk")
        found.routing_rule = service.team.routing_rules.first()
        page = Notification.objects.filter(user=carla, channel=Channel.EMAIL).latest("pk")
        found.token = answer_links.sign(page.pk, Action.ACKNOWLEDGE, is_personal=True)
        return found

    def grow(self) -> None:
        """One more of everything that pages list: no page may ask more of the database for it."""
        carla, incident, service, now = self.viewer, self.incident, self.service, timezone.now()
        mate = UserFactory()
        alert = AlertFactory(incident=incident, integration=self.integration, count=30)
        TimelineEntryFactory(incident=incident, kind=Kind.NOTE, data={"text": f"See **{alert.title}**."})
        for status in Status:
            other = IncidentFactory(
                service=service, title="Checkout is down again", status=status, assigned_to=mate
            )
            AlertFactory(incident=other, integration=self.integration)
        IncidentFactory(service=service, status=Status.RESOLVED, merged_into=incident)
        SavedFilter.objects.create(
            user=carla, name=f"Filter {now.timestamp()}", query=urlencode({"severity": "low", "q": now})
        )
        ServiceFactory(team=service.team)
        IntegrationFactory(service=service)
        ServiceDependencyFactory(service=service, upstream=ServiceFactory(team=service.team))
        MaintenanceWindowFactory(team=service.team, services=[service])
        MaintenanceWindowFactory(team=service.team, services=[service], starts_at=now + timedelta(days=1))
        MaintenanceWindowFactory(team=service.team, services=[service], starts_at=now - timedelta(days=1))
        MaintenanceSeriesFactory(team=service.team, services=[service])
        heartbeats.ping(HeartbeatFactory(integration=self.integration).pk, body="done")
        ChangeFactory(integration=self.integration)
        RuleFactory(integration=self.integration, position=self.integration.rules.count())
        HeldAlertFactory(integration=self.integration)
        IncidentTask.objects.create(incident=incident, text="Look at the disks", assignee=mate)
        RoleAssignment.objects.create(incident=incident, role=f"Role {now.timestamp()}", user=mate)
        linked = IncidentFactory(service=service, title="Disks are full")
        IncidentLink.objects.create(incident=incident, other=linked, kind=LinkKind.CAUSED_BY)
        StatusUpdate.objects.create(incident=incident, state=UpdateState.MONITORING, text="It is **better**.")
        Subscription.objects.create(user=mate, incident=incident)
        ActionItem.objects.create(incident=incident, text="Larger disks", assignee=mate)
        LayerFactory(schedule=self.schedule, participants=[carla, mate])
        ScheduleFactory(team=service.team, on_call=[mate])
        OverrideFactory(schedule=self.schedule, user=carla)
        if not self.schedule.fallbacks.exists():
            FallbackFactory(schedule=self.schedule, user=carla)
        ShiftSwapFactory(schedule=self.schedule, asker=mate)
        HandOverNoteFactory(schedule=self.schedule, author=mate)
        api_tokens.create_token(by=carla, name=f"Token {now.timestamp()}", scopes=["read"], team=service.team)
        CalendarFeedFactory(user=carla, schedule=ScheduleFactory(team=service.team))
        method = ContactMethodFactory(user=carla, verified_at=None)
        NotificationRuleFactory(user=carla, contact_method=ContactMethodFactory(user=carla))
        if not carla.quiet_hours.exists():
            QuietHoursFactory(user=carla, allowed=[method])
        for status in (NotificationStatus.DEAD, NotificationStatus.SENT):
            NotificationFactory(incident=incident, user=carla, status=status, last_error="refused")
        in_app = (
            ContactMethodFactory(user=carla, channel=Channel.IN_APP)
            if not (found := carla.contact_methods.filter(channel=Channel.IN_APP).first())
            else found
        )
        NotificationFactory(incident=incident, user=carla, contact_method=in_app, status="sent")
        WebhookDeliveryFactory(webhook=WebhookFactory(team=service.team))
        MailboxMessage.objects.create(
            sender="openalert@example.org", recipient=carla.email, subject="[CRITICAL] Down", text="Down."
        )


def of_incident(scene: Scene, rows: Any) -> dict[str, Any]:
    return {"number": scene.incident.number, "pk": rows.latest("pk").pk}


# The beginning of a route with its arguments: what they are.
PLACES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "incidents/<int:number>/": lambda scene: {"number": scene.incident.number},
    "incidents/filters/<uuid:pk>/": lambda scene: {"pk": SavedFilter.objects.latest("pk").pk},
    "reports/<slug:slug>/": lambda scene: {"slug": "incidents"},
    "services/<uuid:pk>/": lambda scene: {"pk": scene.service.pk},
    "services/integrations/<uuid:pk>/": lambda scene: {"pk": scene.integration.pk},
    "services/integrations/<uuid:pk>/rules/<uuid:rule_id>/": lambda scene: {
        "pk": scene.integration.pk,
        "rule_id": scene.rule.pk,
    },
    "incidents/<int:number>/links/<uuid:pk>/": lambda scene: of_incident(scene, scene.incident.links),
    "incidents/<int:number>/subscribers/<uuid:pk>/": lambda scene: of_incident(
        scene, scene.incident.subscriptions
    ),
    "incidents/<int:number>/tasks/<uuid:pk>/": lambda scene: of_incident(scene, scene.incident.tasks),
    "action-items/<uuid:pk>/": lambda scene: {"pk": scene.incident.action_items.latest("pk").pk},
    "teams/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "subscriptions/confirm/<str:token>/": lambda scene: {
        "token": signing.dumps(str(scene.stakeholder.pk), salt=subscriptions.CONFIRM)
    },
    "subscriptions/end/<str:token>/": lambda scene: {
        "token": signing.dumps(
            ["s", str(scene.stakeholder.pk), str(scene.incident.pk)], salt=subscriptions.END
        )
    },
    "maintenance/<uuid:pk>/": lambda scene: {"pk": MaintenanceWindow.objects.latest("pk").pk},
    "maintenance/series/<uuid:pk>/": lambda scene: {"pk": MaintenanceSeries.objects.latest("pk").pk},
    "first-steps/<slug:name>/": lambda scene: {"name": "test"},
    "heartbeats/<uuid:pk>/": lambda scene: {"pk": Heartbeat.objects.latest("pk").pk},
    "services/dependencies/<uuid:pk>/": lambda scene: {"pk": scene.upstream.pk},
    "escalation/policies/new/<uuid:team>/": lambda scene: {"team": scene.team.pk},
    "escalation/policies/<uuid:pk>/": lambda scene: {"pk": scene.policy.pk},
    "escalation/rules/new/<uuid:team>/": lambda scene: {"team": scene.team.pk},
    "escalation/rules/<uuid:pk>/": lambda scene: {"pk": scene.routing_rule.pk},
    "escalation/settings/<uuid:team>/": lambda scene: {"team": scene.team.pk},
    "schedules/<uuid:pk>/": lambda scene: {"pk": scene.schedule.pk},
    "layers/<uuid:pk>/": lambda scene: {"pk": scene.layer.pk},
    "webhooks/<uuid:pk>/": lambda scene: {"pk": scene.webhook.pk},
    "mailbox/<uuid:pk>/": lambda scene: {"pk": scene.mail.pk},
    "accounts/invitation/<str:uidb64>/<str:token>/": lambda scene: {"uidb64": "none", "token": "none"},
    "accounts/reset/<str:uidb64>/<str:token>/": lambda scene: {"uidb64": "none", "token": "none"},
    "answer/<str:token>/": lambda scene: {"token": scene.token},
    "me/methods/<uuid:pk>/": lambda scene: {"pk": scene.method.pk},
    "me/tokens/<uuid:pk>/": lambda scene: {"pk": ApiToken.objects.latest("pk").pk},
    # Only POST.
    "queues/providers/<slug:name>/": lambda scene: {"name": "twilio"},
    "reports/schedules/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "me/rules/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "me/quiet-hours/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "webhooks/deliveries/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "hand-over-notes/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "swaps/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "calendar-feeds/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
    "overrides/<uuid:pk>/": lambda scene: {"pk": scene.team.pk},
}
# What a page is asked for with, beside its path.
QUERIES = {
    "incidents/": "?state=all",
    "incidents/<int:number>/roles/": "?role=Commander",
    "reports/": "?period=30",
    "reports/<slug:slug>/": "?period=30",
    "incidents/filters/": "?state=open&severity=high",
}


@dataclass(frozen=True)
class Route:
    route: str
    path: str


def routes(scene: Scene) -> list[Route]:
    """All routes of ours with the paths for the scene. Fails where one has no place."""
    return [Route(route, path_of(route, scene)) for route in all_routes()]


def all_routes() -> list[str]:
    return [route for route in walk() if not any(route.startswith(beginning) for beginning in NO_PAGES)]


def path_of(route: str, scene: SimpleNamespace) -> str:
    path = route
    if "<" in route:
        fitting = [place for place in PLACES if route.startswith(place)]
        assert fitting, f"{route}: say in PLACES of {__file__} which row it is opened with"
        place = max(fitting, key=len)
        for name, value in PLACES[place](scene).items():
            part = next(part for part in path.split("/") if part.endswith(f":{name}>"))
            path = path.replace(part, str(value))
        assert "<" not in path, f"{route}: {place} in PLACES does not name all of its arguments"
    return f"/{path}{QUERIES.get(route, '')}"


def pages(scene: Scene, client: Client) -> list[Route]:
    """Those that are whole pages. Fails where an answer is none that a page, a fragment or an action gives."""
    found = []
    for route in routes(scene):
        response = client.get(route.path)
        assert response.status_code in (200, *ANSWERS_OF_OTHERS), (
            f"{route.path}: {response.status_code}; see {__file__}"
        )
        if response.status_code == 200 and response.text.lstrip().lower().startswith("<!doctype html"):
            found.append(route)
    return found


def walk() -> list[str]:
    """All routes that there are."""
    return sorted(set(_walk(get_resolver().url_patterns)))


def _walk(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, route)
        else:
            yield route.removeprefix("^").removesuffix("$")
