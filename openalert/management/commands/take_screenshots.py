"""`manage.py take_screenshots`: every page of a running demo, wide and phone, light and dark.

A new page gets a line in PAGES: its name, who looks at it, and its path.
"""

import base64
import time
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page

from alerts.enums import Source
from alerts.models import Heartbeat, Integration, IntegrationRule
from escalations.models import EscalationPolicy, RoutingRule
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert import demo
from openalert.tests.browser import running_browser, sign_in, wait_until
from teams.models import Schedule, Service

SIZES = {"wide": (1280, 900), "phone": (360, 780)}
SCHEMES = ("light", "dark")
QUALITY = 80  # of WebP
TALLEST = 4000  # pixels of a phone's page
MAIL_WITHIN_SECONDS = 30
SETTLED = "document.readyState === 'complete' && !document.querySelector('.htmx-request, .skeleton')"


@dataclass
class Demo:
    """The rows that pages are photographed with."""

    incident: Incident
    integration: Integration
    schedule: Schedule = field(default_factory=lambda: Schedule.objects.get(name="Payments, first line"))
    services: dict[str, Service] = field(default_factory=lambda: {s.name: s for s in Service.objects.all()})

    @property
    def service(self) -> Service:
        return self.services["Checkout"]

    @property
    def policy(self) -> EscalationPolicy:
        return EscalationPolicy.objects.filter(team=self.service.team).latest("created_at")

    @property
    def routing_rule(self) -> RoutingRule:
        return RoutingRule.objects.filter(team=self.service.team).earliest("position")


Address = Callable[[Demo], str | None]
ANA, CARLA, NOBODY = "ana", "carla", "nobody"
# name: (who looks at it, its path). Those of no path are left out: there is nothing to show.
PAGES: dict[str, tuple[str, Address]] = {
    "login": (NOBODY, lambda demo: reverse("login")),
    "offline": (NOBODY, lambda demo: reverse("offline")),
    "incidents": (ANA, lambda demo: reverse("incidents")),
    "incidents-resolved": (ANA, lambda demo: f"{reverse('incidents')}?state=resolved"),
    "incident": (ANA, lambda demo: demo.incident.get_absolute_url()),
    "incident-resolved": (ANA, lambda demo: _resolved(demo).get_absolute_url()),
    "incident-new": (ANA, lambda demo: reverse("incident-new")),
    "incident-merge": (ANA, lambda demo: reverse("incident-merge", args=[demo.incident.number])),
    "incident-snooze": (ANA, lambda demo: reverse("incident-snooze", args=[demo.incident.number])),
    "on-call": (ANA, lambda demo: reverse("on-call")),
    "my-shifts": (ANA, lambda demo: reverse("my-shifts")),
    "schedule": (ANA, lambda demo: reverse("schedule", args=[demo.schedule.pk])),
    "schedule-calendar": (ANA, lambda demo: reverse("schedule-calendar", args=[demo.schedule.pk])),
    "schedule-edit": (CARLA, lambda demo: reverse("schedule-edit", args=[demo.schedule.pk])),
    "layer": (CARLA, lambda demo: reverse("layer", args=[demo.schedule.layers.earliest("position").pk])),
    "override": (ANA, lambda demo: reverse("override-new", args=[demo.schedule.pk])),
    "swap": (ANA, lambda demo: reverse("swap-new", args=[demo.schedule.pk])),
    "services": (ANA, lambda demo: reverse("services")),
    "service": (ANA, lambda demo: reverse("service", args=[demo.service.pk])),
    "maintenance": (ANA, lambda demo: reverse("maintenance")),
    "maintenance-calendar": (ANA, lambda demo: reverse("maintenance-calendar")),
    "maintenance-new": (ANA, lambda demo: reverse("maintenance-new")),
    "heartbeats": (CARLA, lambda demo: reverse("heartbeats")),
    "heartbeat": (CARLA, lambda demo: _heartbeat()),
    "heartbeat-new": (CARLA, lambda demo: reverse("heartbeat-new")),
    "dependency-new": (CARLA, lambda demo: reverse("dependency-new", args=[demo.service.pk])),
    "integration-new": (CARLA, lambda demo: reverse("integration-new", args=[demo.service.pk])),
    "integration": (CARLA, lambda demo: reverse("integration", args=[demo.integration.pk])),
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
    "report": (CARLA, lambda demo: f"{reverse('report', args=['incidents'])}?period=30"),
    "me": (ANA, lambda demo: reverse("me")),
    "profile": (ANA, lambda demo: reverse("profile")),
    "password": (ANA, lambda demo: reverse("password")),
    "my-pages": (ANA, lambda demo: reverse("my-pages")),
    "my-deliveries": (ANA, lambda demo: reverse("my-deliveries")),
    "mailbox": (ANA, lambda demo: reverse("mailbox")),
    "mailbox-message": (ANA, lambda demo: _letter()),
    "webhooks": (CARLA, lambda demo: reverse("webhooks")),
    "dead-letters": (CARLA, lambda demo: reverse("dead-letters")),
    "queues": (CARLA, lambda demo: reverse("queues")),
}
PEOPLE = {ANA: demo.ANA, CARLA: demo.CARLA}


def _resolved(demo: Demo) -> Incident:
    return Incident.objects.filter(service__team=demo.service.team, resolved_at__isnull=False).latest(
        "opened_at"
    )


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
        parser.add_argument("--only", nargs="*", choices=PAGES, metavar="PAGE", help="names, like incident")

    def handle(self, *args: Any, to: Path, only: list[str] | None, **options: Any) -> None:
        to.mkdir(parents=True, exist_ok=True)
        scene = self.scene()
        # Now: once the browser runs, Django takes this thread for an asynchronous one.
        found = [(name, who, address(scene)) for name, (who, address) in PAGES.items()]
        wanted = [(name, who, path) for name, who, path in found if path and (not only or name in only)]
        with running_browser() as browser:
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    contexts: dict[str, BrowserContext] = {}
                    for who in {who for _, who, _ in wanted}:
                        contexts[who] = browser.new_context(
                            color_scheme=scheme,
                            viewport={"width": width, "height": height},
                            has_touch=size == "phone",
                            is_mobile=size == "phone",
                            reduced_motion="reduce",
                        )
                        if person := PEOPLE.get(who):
                            sign_in(contexts[who].new_page(), settings.SITE_URL, person.email, demo.PASSWORD)
                        else:
                            contexts[who].new_page()
                    for name, who, path in wanted:
                        [page] = contexts[who].pages
                        page.goto(f"{settings.SITE_URL}{path}")
                        wait_until(page, SETTLED)
                        page.wait_for_timeout(150)  # pictures and transitions
                        (to / f"{name}-{size}-{scheme}.webp").write_bytes(_photograph(page, size))
                    for context in contexts.values():
                        context.close()
        pictures = list(to.glob("*.webp"))
        megabytes = sum(picture.stat().st_size for picture in pictures) / 1e6
        self.stdout.write(f"{len(pictures)} pictures in {to}, {megabytes:.1f} MB")

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
        return Demo(incident, integration)


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
