"""A manager makes a service and says what it needs, and plans maintenance of some of its alerts, in a browser."""

import httpx
import pytest
from django.utils import timezone

from alerts.models import MaintenanceWindow
from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from notifications.models import MailboxMessage
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams.models import Service
from teams.tests.factories import PASSWORD, ServiceFactory, TeamFactory, UserFactory

PHONE = {"width": 360, "height": 740}


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_service_is_made_and_part_of_it_is_in_maintenance(stack, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz", time_zone="Europe/Berlin")
    team = TeamFactory(managers=[ana])
    database = ServiceFactory(team=team, name="Database")
    integration = IntegrationFactory(service=database, grouping="none")
    policy = PolicyFactory(team=team, name="Database on call", levels=[[ana]])
    RoutingRuleFactory(team=team, policy=policy)

    def fire(key, cluster):
        answer = httpx.post(
            f"{stack.url}/api/v1/alerts",
            json={
                "external_id": key,
                "title": f"Disk of {key}",
                "severity": "critical",
                "metadata": {"tags": {"cluster": cluster}},
            },
            headers={"Authorization": f"Bearer {integration.key}"},
        )
        assert answer.status_code == 202

    with running_browser() as browser:
        faults: list[str] = []
        page = browser.new_context(viewport=PHONE).new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, stack.url, ana.email, PASSWORD)

        page.goto(f"{stack.url}/services/")
        page.get_by_role("link", name="New service").click()
        page.get_by_label("Name", exact=True).fill("Checkout")
        page.get_by_label(f"{team} · Database").check()
        page.get_by_label("Escalation policy").select_option("Database on call")
        page.get_by_role("button", name="Make it").click()
        page.locator("#service-dependencies", has_text="Database").wait_for()
        page.locator("#service-health", has_text="Well").wait_for()
        page.locator("#service-history svg[role=img]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        checkout = Service.objects.get(name="Checkout")

        # The other way round would be a circle: it is said where it was asked for.
        page.goto(f"{stack.url}/services/{database.pk}/edit/")
        page.get_by_label(f"{team} · Checkout").check()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Checkout itself depends on Database").wait_for()
        assert not database.dependencies.exists()

        page.goto(f"{stack.url}/services/{database.pk}/")
        page.get_by_role("link", name="Plan maintenance").click()
        page.get_by_label("What is done").fill("Disks of eu-1")
        page.get_by_label("Only alerts with these labels").fill("cluster = eu-1")
        page.get_by_label("From").fill(f"{timezone.localtime(timezone=ana.tzinfo):%Y-%m-%dT%H:%M}")
        page.get_by_role("button", name="Plan it").click()
        page.locator(".banner", has_text="cluster = eu-1").wait_for()
        assert MaintenanceWindow.objects.get().conditions_in_words == ["cluster = eu-1"]

        fire("quiet", "eu-1")
        fire("loud", "us-1")
        mail = eventually(MailboxMessage.objects.first, within=10)
        assert "loud" in mail.subject
        # It is open all the same, and what needs the service is told of it.
        page.locator("#service-incidents", has_text="Disk of quiet").wait_for()
        page.locator("#service-health", has_text="Likely affected").get_by_text("Checkout").wait_for()
        page.goto(f"{stack.url}{database.incidents.get(title='Disk of quiet').get_absolute_url()}")
        page.get_by_text("In maintenance (Disks of eu-1)").first.wait_for()
        page.locator("#incident-services", has_text="Likely affected").get_by_text(checkout.name).wait_for()
        assert MailboxMessage.objects.count() == 1
        assert faults == []
