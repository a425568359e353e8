"""Maintenance on a phone: it is planned, keeps quiet what fires, is seen by others, and pages at its end."""

from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from alerts import maintenance
from alerts.models import MaintenanceWindow
from alerts.tests.factories import IntegrationFactory
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams.tests.factories import PASSWORD, TeamFactory, UserFactory

PHONE = {"width": 360, "height": 740}


@pytest.mark.timeout(180)
@needs("chromium")
def test_maintenance_is_planned_on_a_phone_and_what_still_fires_pages_at_its_end(stack, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana, bo = UserFactory(name="Ana Ruiz", time_zone="Europe/Berlin"), UserFactory(name="Bo Chen")
    team = TeamFactory(responders=[ana, bo])
    integration = IntegrationFactory(service__team=team)
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[ana]]))

    with running_browser() as browser:
        faults: list[str] = []
        other = browser.new_context().new_page()
        phone = browser.new_context(viewport=PHONE).new_page()
        for page in (other, phone):
            page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(other, stack.url, bo.email, PASSWORD)  # has the list open
        other.wait_for_selector("[data-live-state][data-state=live]")
        sign_in(phone, stack.url, ana.email, PASSWORD)

        phone.goto(f"{stack.url}/services/{integration.service_id}/")
        phone.get_by_role("link", name="Plan maintenance").click()
        phone.get_by_label("What is done").fill("Upgrade of the database")
        phone.get_by_label("From").fill(f"{timezone.localtime(timezone=ana.tzinfo):%Y-%m-%dT%H:%M}")
        phone.get_by_role("button", name="Plan it").click()
        phone.locator(".toast", has_text="The maintenance is planned").wait_for()
        phone.locator(".banner", has_text="Upgrade of the database").wait_for()
        other.locator(".banner", has_text="Upgrade of the database").wait_for(timeout=10_000)
        window = MaintenanceWindow.objects.get()
        assert list(window.services.all()) == [integration.service]

        answer = httpx.post(
            f"{stack.url}/api/v1/alerts",
            json={"external_id": "db", "title": "Database is away", "severity": "critical"},
            headers={"Authorization": f"Bearer {integration.key}"},
        )
        assert answer.status_code == 202
        incident = eventually(Incident.objects.first, within=5)
        phone.goto(f"{stack.url}/incidents/{incident.number}/")
        phone.get_by_text("In maintenance (Upgrade of the database)").first.wait_for()
        # Two ticks have passed and nobody was paged.
        eventually(lambda: timezone.now() > incident.created_at + timedelta(seconds=3), within=5)
        assert not MailboxMessage.objects.exists()

        phone.goto(f"{stack.url}/maintenance/")
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        phone.get_by_role("button", name="30 min longer").click()
        phone.locator(".toast", has_text="It lasts until").wait_for()
        phone.get_by_role("button", name="End now").click()
        # What changes meanwhile does not take the question's answer away.
        maintenance.change_window(window.pk, title="Upgrade of the database, part one")
        phone.wait_for_timeout(1500)
        phone.get_by_role("button", name="End it").click()
        phone.locator(".toast", has_text="what still fires pages now").wait_for()
        mail = eventually(MailboxMessage.objects.first, within=5, what="Ana is paged at the window's end")
        assert mail.recipient == ana.email
        other.locator(".banner", has_text="Upgrade of the database").wait_for(
            state="detached", timeout=10_000
        )
        assert faults == []
