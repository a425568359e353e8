"""`manage.py take_screenshots`: every page of a running demo, wide and phone, light and dark.

A new page gets a line in PAGES: its name, who looks at it, and its path. In an installation where nobody is yet, the first
administrator is made instead, and the guide photographed step by step (FIRST_STEPS).
"""

import base64
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model
from django.urls import reverse
from playwright.sync_api import Browser, Page

from alerts.enums import Source
from alerts.models import Heartbeat, Integration, IntegrationRule
from escalations import policies
from escalations.models import EscalationPolicy, RoutingRule
from incidents import action_items, lifecycle, postmortems, roles, status_updates, task_list
from incidents.enums import Status, UpdateState
from incidents.models import Incident
from incidents.timeline import Actor
from notifications import answer_links, webhooks
from notifications.enums import Action, Channel, WebhookEvent
from notifications.models import MailboxMessage, Notification, Webhook
from openalert import acting, demo
from openalert.tests.browser import running_browser, sign_in, wait_until
from teams import api_tokens, first_admin
from teams.models import ApiToken, Schedule, Service, Team, User

SIZES = {"wide": (1280, 900), "phone": (360, 780)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
QUALITY = 60  # of WebP
TALLEST = 3000  # pixels of a phone's page
MAIL_WITHIN_SECONDS = 30
SETTLED = """document.readyState === 'complete' && !document.querySelector('.htmx-request, .skeleton')
    && !document.documentElement.hasAttribute('x-cloak')"""


@dataclass
class Demo:
    """The rows that pages are photographed with."""

    incident: Incident
    worked_on: Incident
    looked_back_at: Incident
    integration: Integration
    schedule: Schedule = field(default_factory=lambda: Schedule.objects.get(name="Payments, first line"))
    services: dict[str, Service] = field(default_factory=lambda: {s.name: s for s in Service.objects.all()})

    @property
    def service(self) -> Service:
        return self.services["Checkout"]

    @property
    def policy(self) -> EscalationPolicy:
        return _policy_of(self.service.team)

    @property
    def routing_rule(self) -> RoutingRule:
        return RoutingRule.objects.filter(team=self.service.team).earliest("position")


Address = Callable[[Demo], str | None]
ANA, CARLA, NOBODY = "ana", "carla", "nobody"
# name: (who looks at it, its path). Those of no path are left out: there is nothing to show.
PAGES: dict[str, tuple[str, Address]] = {
    "login": (NOBODY, lambda demo: reverse("login")),
    "password-reset": (NOBODY, lambda demo: reverse("password-reset")),
    "offline": (NOBODY, lambda demo: reverse("offline")),
    "incidents": (ANA, lambda demo: reverse("incidents")),
    "incidents-resolved": (ANA, lambda demo: f"{reverse('incidents')}?state=resolved"),
    "incident": (ANA, lambda demo: demo.incident.get_absolute_url()),
    "incident-worked-on": (ANA, lambda demo: demo.worked_on.get_absolute_url()),
    "incident-resolved": (ANA, lambda demo: _resolved(demo).get_absolute_url()),
    "incident-new": (ANA, lambda demo: reverse("incident-new")),
    "incident-answer": (NOBODY, lambda demo: _answer(demo)),
    "incident-merge": (ANA, lambda demo: reverse("incident-merge", args=[demo.incident.number])),
    "incident-snooze": (ANA, lambda demo: reverse("incident-snooze", args=[demo.incident.number])),
    "incident-split": (ANA, lambda demo: reverse("incident-split", args=[demo.incident.number])),
    "incident-subscribers": (ANA, lambda demo: reverse("incident-subscribers", args=[demo.worked_on.number])),
    "postmortem": (ANA, lambda demo: reverse("postmortem", args=[demo.looked_back_at.number])),
    "action-items": (ANA, lambda demo: reverse("action-items")),
    "response-settings": (CARLA, lambda demo: reverse("response-settings", args=[demo.service.team_id])),
    "filter-save": (ANA, lambda demo: f"{reverse('filter-save')}?severity=critical&mine=1"),
    "on-call": (ANA, lambda demo: reverse("on-call")),
    "my-shifts": (ANA, lambda demo: reverse("my-shifts")),
    "schedule": (ANA, lambda demo: reverse("schedule", args=[demo.schedule.pk])),
    "schedule-calendar": (ANA, lambda demo: reverse("schedule-calendar", args=[demo.schedule.pk])),
    "schedule-new": (CARLA, lambda demo: reverse("schedule-new")),
    "schedule-edit": (CARLA, lambda demo: reverse("schedule-edit", args=[demo.schedule.pk])),
    "layer": (CARLA, lambda demo: reverse("layer", args=[demo.schedule.layers.earliest("position").pk])),
    "override": (ANA, lambda demo: reverse("override-new", args=[demo.schedule.pk])),
    "hand-over-note": (ANA, lambda demo: reverse("note-new", args=[demo.schedule.pk])),
    "swap": (ANA, lambda demo: reverse("swap-new", args=[demo.schedule.pk])),
    "services": (ANA, lambda demo: reverse("services")),
    "service": (ANA, lambda demo: reverse("service", args=[demo.service.pk])),
    "maintenance": (CARLA, lambda demo: reverse("maintenance")),
    "maintenance-calendar": (CARLA, lambda demo: reverse("maintenance-calendar")),
    "maintenance-new": (ANA, lambda demo: reverse("maintenance-new")),
    "heartbeats": (CARLA, lambda demo: reverse("heartbeats")),
    "heartbeat": (CARLA, lambda demo: _heartbeat()),
    "heartbeat-new": (CARLA, lambda demo: reverse("heartbeat-new")),
    "dependency-new": (CARLA, lambda demo: reverse("dependency-new", args=[demo.service.pk])),
    "integration-new": (CARLA, lambda demo: reverse("integration-new", args=[demo.service.pk])),
    "integration": (CARLA, lambda demo: reverse("integration", args=[demo.integration.pk])),
    "integration-edit": (CARLA, lambda demo: reverse("integration-edit", args=[demo.integration.pk])),
    "integration-key": (CARLA, lambda demo: reverse("integration-key", args=[demo.integration.pk])),
    "rules": (CARLA, lambda demo: reverse("integration-rules", args=[demo.integration.pk])),
    "rule": (CARLA, lambda demo: _rule(demo)),
    "fields": (CARLA, lambda demo: _fields()),
    "escalation": (CARLA, lambda demo: reverse("escalation")),
    "policy": (CARLA, lambda demo: reverse("policy", args=[demo.policy.pk])),
    "policy-edit": (CARLA, lambda demo: reverse("policy-edit", args=[demo.policy.pk])),
    "routing-rule": (CARLA, lambda demo: reverse("routing-rule", args=[demo.routing_rule.pk])),
    "paging-settings": (CARLA, lambda demo: reverse("paging-settings", args=[demo.service.team_id])),
    "service-new": (CARLA, lambda demo: reverse("service-new")),
    "service-edit": (CARLA, lambda demo: reverse("service-edit", args=[demo.service.pk])),
    "preview": (CARLA, lambda demo: reverse("service-preview", args=[demo.service.pk])),
    "reports": (CARLA, lambda demo: f"{reverse('reports')}?period=30"),
    "report": (CARLA, lambda demo: _section("incidents")),
    "report-over-time": (CARLA, lambda demo: _section("over-time")),
    "report-pages": (CARLA, lambda demo: _section("pages")),
    "report-alerts": (CARLA, lambda demo: _section("alerts")),
    "report-delivery": (CARLA, lambda demo: _section("delivery")),
    "report-escalations": (CARLA, lambda demo: _section("escalations")),
    "report-on-call": (CARLA, lambda demo: _section("on-call")),
    "me": (ANA, lambda demo: reverse("me")),
    "profile": (ANA, lambda demo: reverse("profile")),
    "password": (ANA, lambda demo: reverse("password")),
    "second-factor": (ANA, lambda demo: reverse("second-factor")),
    "api-tokens": (CARLA, lambda demo: reverse("api-tokens")),
    "my-pages": (ANA, lambda demo: reverse("my-pages")),
    "my-deliveries": (ANA, lambda demo: reverse("my-deliveries")),
    "mailbox": (ANA, lambda demo: reverse("mailbox")),
    "mailbox-message": (ANA, lambda demo: _letter()),
    "webhooks": (CARLA, lambda demo: reverse("webhooks")),
    "webhook": (CARLA, lambda demo: reverse("webhook", args=[Webhook.objects.latest("created_at").pk])),
    "dead-letters": (CARLA, lambda demo: reverse("dead-letters")),
    "queues": (CARLA, lambda demo: reverse("queues")),
    "audit": (CARLA, lambda demo: reverse("audit")),
    "first-steps": (CARLA, lambda demo: reverse("first-steps")),
    "first-steps-people": (CARLA, lambda demo: reverse("first-step", args=["people"])),
    "first-steps-test": (CARLA, lambda demo: reverse("first-step", args=["test"])),
    "admin": (CARLA, lambda demo: reverse("admin:index")),
    "admin-services": (CARLA, lambda demo: reverse("admin:teams_service_changelist")),
    "admin-team": (CARLA, lambda demo: _in_admin(demo.service.team)),
    "admin-schedule": (CARLA, lambda demo: _in_admin(demo.schedule)),
    "admin-on-call": (CARLA, lambda demo: _in_admin(demo.schedule, "on-call/")),
    "admin-policy": (CARLA, lambda demo: _in_admin(demo.policy)),
    "admin-preview": (CARLA, lambda demo: _in_admin(demo.policy, "preview/")),
    "admin-history": (CARLA, lambda demo: _in_admin(demo.policy, "history/")),
    "admin-integration": (CARLA, lambda demo: _in_admin(demo.integration)),
    "admin-people-import": (CARLA, lambda demo: "/admin/people/import/"),
}
FIRST_EMAIL, FIRST_PASSWORD = "ana@example.org", "a fairly long one"
# In an empty installation: a picture's name and page, and what is filled in there before its main button is pressed.
FIRST_STEPS: dict[str, tuple[str, dict[str, str] | None]] = {
    "set-up": (
        "/set-up/",
        {
            "code": "",
            "name": demo.ANA.name,
            "email": FIRST_EMAIL,
            "password": FIRST_PASSWORD,
            "repeated": FIRST_PASSWORD,
        },
    ),
    "set-up-incidents": ("/incidents/", None),
    "set-up-team": ("/first-steps/team/", {"name": "Payments"}),
    "set-up-people": (
        "/first-steps/people/",
        {"name": demo.BO.name, "email": "bo@example.org", "password": FIRST_PASSWORD},
    ),
    "set-up-schedule": ("/first-steps/schedule/", {}),
    "set-up-policy": ("/first-steps/policy/", {}),
    "set-up-service": ("/first-steps/service/", {"name": "Checkout"}),
    "set-up-integration": ("/first-steps/integration/", {"name": "Probes"}),
    "set-up-waiting": ("/first-steps/integration/", None),
    "set-up-test": ("/first-steps/test/", None),
}
PEOPLE = {ANA: demo.ANA, CARLA: demo.CARLA}


def _policy_of(team: Team) -> EscalationPolicy:
    """The first that the demo made: it has most steps."""
    return EscalationPolicy.objects.filter(team=team).earliest("created_at")


def _resolved(demo: Demo) -> Incident:
    return _resolved_of(demo.service.team)


def _resolved_of(team: Team) -> Incident:
    """The newest that is over, and is not a part of another."""
    over = Incident.objects.filter(service__team=team, resolved_at__isnull=False, merged_into=None)
    return over.latest("opened_at")


def _answer(demo: Demo) -> str | None:
    page = Notification.objects.filter(incident=demo.incident, channel=Channel.EMAIL).first()
    if not page:
        return None
    return reverse("answer", args=[answer_links.sign(page.pk, Action.ACKNOWLEDGE, is_personal=True)])


def _section(slug: str) -> str:
    return f"{reverse('report', args=[slug])}?period=30"


def _in_admin(row: Model, page: str = "change/") -> str:
    return f"{reverse('admin:index')}{row._meta.app_label}/{row._meta.model_name}/{row.pk}/{page}"


def _letter() -> str | None:
    mail = MailboxMessage.objects.first()
    return reverse("mailbox-message", args=[mail.pk]) if mail else None


def _rule(demo: Demo) -> str:
    if rule := IntegrationRule.objects.first():
        return reverse("rule-edit", args=[rule.integration_id, rule.pk])
    return reverse("rule-new", args=[demo.integration.pk])


def _fields() -> str | None:
    generic = Integration.objects.filter(source=Source.GENERIC).first()
    return reverse("integration-fields", args=[generic.pk]) if generic else None


def _heartbeat() -> str | None:
    heartbeat = Heartbeat.objects.first()
    return reverse("heartbeat", args=[heartbeat.pk]) if heartbeat else None


class Command(BaseCommand):
    help = "Photograph every page of the demo, which must be running, into docs/screenshots/. Fires an alert in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", type=Path, default=settings.BASE_DIR / "docs" / "screenshots")
        parser.add_argument(
            "--only",
            nargs="*",
            choices=[*PAGES, *FIRST_STEPS],
            metavar="PAGE",
            help="names, like incident",
        )

    def handle(self, *args: Any, to: Path, only: list[str] | None, **options: Any) -> None:
        to.mkdir(parents=True, exist_ok=True)
        self.to, self.only = to, only
        # Now: once the browser runs, Django takes this thread for an asynchronous one.
        if User.objects.exists():
            scene = self.scene()
            self.take_pages({name: (who, address(scene)) for name, (who, address) in PAGES.items()})
        else:
            self.take_first_steps(first_admin.set_up_code())
        pictures = list(to.glob("*.webp"))
        megabytes = sum(picture.stat().st_size for picture in pictures) / 1e6
        self.stdout.write(f"{len(pictures)} pictures in {to}, {megabytes:.1f} MB")

    def take_pages(self, pages: dict[str, tuple[str, str | None]]) -> None:
        wanted = [(name, who, path) for name, (who, path) in pages.items() if path and self.wants(name)]
        with running_browser() as browser:
            for size in SIZES:
                for scheme in SCHEMES:
                    seen_by = {who: _open(browser, size, scheme) for who in {who for _, who, _ in wanted}}
                    for who, page in seen_by.items():
                        if person := PEOPLE.get(who):
                            sign_in(page, settings.SITE_URL, person.email, demo.PASSWORD)
                    for name, who, path in wanted:
                        self.take(name, path, seen_by[who], size, scheme)
                    for page in seen_by.values():
                        page.context.close()

    def take_first_steps(self, code: str) -> None:
        """Each step in all sizes and colours before it is taken, and then the next."""
        with running_browser() as browser:
            pages = {(size, scheme): _open(browser, size, scheme) for size in SIZES for scheme in SCHEMES}
            first, *others = pages.values()
            for name, (path, given) in FIRST_STEPS.items():
                if self.wants(name):
                    for (size, scheme), page in pages.items():
                        self.take(name, path, page, size, scheme)
                if given is None:
                    continue
                first.goto(f"{settings.SITE_URL}{path}")
                for field, value in given.items():
                    first.fill(f"[name={field}]", value or code)
                with first.expect_response(lambda response: response.request.method == "POST"):
                    first.click(".btn-primary[type=submit]")
                wait_until(first, SETTLED)
                if name == "set-up":
                    for page in others:
                        sign_in(page, settings.SITE_URL, FIRST_EMAIL, FIRST_PASSWORD)

    def wants(self, name: str) -> bool:
        return not self.only or name in self.only

    def take(self, name: str, path: str, page: Page, size: str, scheme: str) -> None:
        page.goto(f"{settings.SITE_URL}{path}")
        wait_until(page, SETTLED)
        page.wait_for_timeout(150)  # pictures and transitions
        (self.to / f"{name}-{size}-{scheme}.webp").write_bytes(_photograph(page, size))

    def scene(self) -> Demo:
        """Fires an alert, so that there is something to answer, and waits until somebody is paged for it."""
        integration = Integration.objects.filter(name=demo.FIRST_INTEGRATION).first()
        if integration is None:
            raise CommandError("This is not the demo: its integrations are missing.")
        answer = httpx.post(
            f"{settings.SITE_URL}/api/v1/alerts",
            json={
                "external_id": "checkout-down",
                "title": "Checkout is down",
                "severity": "critical",
                "metadata": {"tags": {"region": "eu-1", "version": "2026.48.1"}},
            },
            headers={"Authorization": f"Bearer {demo.integration_key(demo.FIRST_INTEGRATION)}"},
        )
        answer.raise_for_status()
        incident = Incident.objects.get(number=answer.json()["alerts"][0]["incident"])
        deadline = time.monotonic() + MAIL_WITHIN_SECONDS
        while not MailboxMessage.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.5)
        tell_more_of(_policy_of(incident.service.team))
        with acting.acting_as(acting.Source.of_user(User.objects.get(email=demo.ANA.email), via="web")):
            return Demo(incident, work_on(incident), look_back_at(incident), integration)


def tell_more_of(policy: EscalationPolicy) -> None:
    """Changes it as its manager does, so that it has a history."""
    carla = User.objects.get(email=demo.CARLA.email)
    with acting.acting_as(acting.Source.of_user(carla, via="admin")):
        policy.description = "First line, then second line, then whoever is there."
        policies.save_policy(policy)


def work_on(incident: Incident) -> Incident:
    """The incident of the team that somebody works on longest, with what people write on one; and what a team has besides."""
    ana, bo, carla = (User.objects.get(email=person.email) for person in (demo.ANA, demo.BO, demo.CARLA))
    team = incident.service.team
    acknowledged = Incident.objects.filter(service__team=team, status=Status.ACKNOWLEDGED)
    worked_on = acknowledged.exclude(pk=incident.pk).earliest("opened_at")
    if not worked_on.tasks.exists():
        by: dict[str, Any] = {"incident_id": worked_on.pk, "actor": Actor.person(ana, via="web")}
        roles.assign(**by, role="Commander", user=ana)
        task_list.add_task(**by, text="Ask the bank whether it is theirs", assignee=bo)
        task_list.add_task(**by, text="Tell support what to say")
        lifecycle.set_summary(
            **by,
            text="The bank answers slowly since its release. **No payment is lost**: they wait and are sent.",
        )
        lifecycle.add_note(
            **by,
            text="Seen from both regions:\n\n- eu-1: 8 s\n- us-1: 11 s\n\nTimeouts are at `15 s`, so it still works.",
        )
        status_updates.publish(
            **by, state=UpdateState.IDENTIFIED, text="Bank transfers take some minutes longer than usual."
        )
    if not Webhook.objects.filter(team=team).exists():
        hook = Webhook(team=team, name="Deployment bot", url="https://bot.example.org/openalert")
        hook.events = [WebhookEvent.OPENED, WebhookEvent.RESOLVED]
        webhooks.create(hook)
    if not ApiToken.objects.filter(team=team).exists():
        api_tokens.create_token(by=carla, name="Status page", scopes=["incidents:read"], team=team)
    return worked_on


def look_back_at(incident: Incident) -> Incident:
    """One that is over, with a postmortem and something to do."""
    old = _resolved_of(incident.service.team)
    ana = User.objects.get(email=demo.ANA.email)
    by: dict[str, Any] = {"incident_id": old.pk, "actor": Actor.person(ana, via="web")}
    postmortems.start(**by)
    if not old.action_items.exists():
        action_items.add_item(**by, text="Alert before the queue is full, not after", assignee=ana)
    return old


def _open(browser: Browser, size: str, scheme: Literal["light", "dark"]) -> Page:
    width, height = SIZES[size]
    return browser.new_context(
        color_scheme=scheme,
        viewport={"width": width, "height": height},
        has_touch=size == "phone",
        is_mobile=size == "phone",
        reduced_motion="reduce",
    ).new_page()


def _photograph(page: Page, size: str) -> bytes:
    """As WebP, which Playwright itself does not write; a phone's page in its whole length."""
    width, height = SIZES[size]
    if size == "phone":
        height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
        page.set_viewport_size({"width": width, "height": max(height, SIZES[size][1])})
    given = {"format": "webp", "quality": QUALITY}
    session = page.context.new_cdp_session(page)
    picture = session.send("Page.captureScreenshot", given)["data"]
    session.detach()
    if size == "phone":
        page.set_viewport_size({"width": width, "height": SIZES[size][1]})
    return base64.b64decode(picture)
