"""`manage.py take_screenshots`: every page of a running demo, wide and phone, light and dark."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.urls import reverse

from alerts.enums import Source
from alerts.models import Integration
from escalations.models import EscalationPolicy
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert import demo
from openalert.tests.browser import running_browser, sign_in
from teams.models import Schedule

SIZES = {"wide": (1280, 900), "phone": (360, 780)}
SCHEMES = ("light", "dark")


class Command(BaseCommand):
    help = "Photograph every page of the demo, which must be running, into docs/screenshots/."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", type=Path, default=settings.BASE_DIR / "docs" / "screenshots")
        parser.add_argument("--only", nargs="*", help="names of pages, like incident")

    def handle(self, *args: Any, to: Path, only: list[str] | None, **options: Any) -> None:
        to.mkdir(parents=True, exist_ok=True)
        sign_in_as = demo.demo_sign_ins()[0]
        pages = self.pages()  # now: once the browser runs, Django takes this thread for an asynchronous one
        with running_browser() as browser:
            for size, (width, height) in SIZES.items():
                for scheme in SCHEMES:
                    context = browser.new_context(
                        color_scheme=scheme,
                        viewport={"width": width, "height": height},
                        reduced_motion="reduce",
                    )
                    page = context.new_page()
                    page.goto(settings.SITE_URL + reverse("login"))
                    if not only or "login" in only:
                        page.screenshot(path=to / f"login-{size}-{scheme}.png")
                    sign_in(page, settings.SITE_URL, sign_in_as.email, sign_in_as.password)
                    for name, path in pages.items():
                        if only and name not in only:
                            continue
                        page.goto(settings.SITE_URL + path)
                        page.wait_for_load_state("networkidle")
                        page.screenshot(path=to / f"{name}-{size}-{scheme}.png", full_page=size == "phone")
                    context.close()
        self.stdout.write(f"{len(list(to.glob('*.png')))} pictures in {to}")

    def pages(self) -> dict[str, str]:
        """The pages by name: of the incident, the service and the schedule, the newest that has a story."""
        incident = Incident.objects.unresolved().first() or Incident.objects.first()
        mail = MailboxMessage.objects.first()
        letter = {"mailbox-message": reverse("mailbox-message", args=[mail.pk])} if mail else {}
        policy = EscalationPolicy.objects.filter(team=incident.service.team).order_by("-name").first()
        schedule = Schedule.objects.filter(team=incident.service.team).order_by("-name").first()
        integration = incident.service.integrations.order_by("name").first()
        of_integration = {"integration": "integration", "rules": "integration-rules"}
        generic = Integration.objects.filter(source=Source.GENERIC).first()
        return {
            "incidents": reverse("incidents"),
            "incident": incident.get_absolute_url(),
            "reports": f"{reverse('reports')}?period=30",
            "services": reverse("services"),
            "service": reverse("service", args=[incident.service_id]),
            "on-call": reverse("on-call"),
            "schedule": reverse("schedule", args=[schedule.pk]),
            "override": reverse("override-new", args=[schedule.pk]),
            "escalation": reverse("escalation"),
            "policy": reverse("policy", args=[policy.pk]),
            "preview": reverse("service-preview", args=[incident.service_id]),
            "incident-new": reverse("incident-new"),
            "me": reverse("me"),
            "my-pages": reverse("my-pages"),
            "my-deliveries": reverse("my-deliveries"),
            "dead-letters": reverse("dead-letters"),
            "webhooks": reverse("webhooks"),
            "mailbox": reverse("mailbox"),
            **{
                name: reverse(view, args=[integration.pk])
                for name, view in of_integration.items()
                if integration
            },
            **({"fields": reverse("integration-fields", args=[generic.pk])} if generic else {}),
            **letter,
        }
