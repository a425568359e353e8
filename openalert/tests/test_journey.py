"""The whole road in a real browser: an alert comes in, a person sees it live and answers, the paging stops."""

import re
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from alerts.tests.factories import IntegrationFactory
from escalations.models import EscalationRun
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.enums import Status
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams.tests.factories import PASSWORD, TeamFactory, UserFactory


@pytest.mark.timeout(180)
@needs("chromium")
def test_alert_is_seen_live_and_acknowledged_and_no_second_level_is_paged(stack, monkeypatch):
    walk(stack, monkeypatch)


def walk(stack, monkeypatch):
    """The journey, on any stack that runs."""
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana, bo = UserFactory(name="Ana Ruiz"), UserFactory(name="Bo Chen")
    team = TeamFactory(responders=[ana, bo])
    integration = IntegrationFactory(service__team=team)
    policy = PolicyFactory(team=team, levels=[[ana], [bo]], levels__delay_minutes=1)
    RoutingRuleFactory(team=team, policy=policy)

    with running_browser() as browser:
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, stack.url, ana.email, PASSWORD)
        # Open before the alert comes: what follows arrives over the WebSocket.
        page.wait_for_selector("[data-live-state][data-state=live]")

        answer = httpx.post(
            f"{stack.url}/api/v1/alerts",
            json={"external_id": "checkout", "title": "Checkout is failing", "severity": "critical"},
            headers={"Authorization": f"Bearer {integration.key}"},
        )
        assert answer.status_code == 202
        page.locator(".toast", has_text="Checkout is failing").wait_for(timeout=5000)
        page.locator("#incidents").get_by_role("link", name="Checkout is failing").click(timeout=5000)
        page.wait_for_url(f"{stack.url}/incidents/{answer.json()['alerts'][0]['incident']}/")

        incident = Incident.objects.get()
        mail = eventually(MailboxMessage.objects.first, within=3, what="Ana's mailbox shows the page")
        assert mail.recipient == ana.email
        page.get_by_text(re.compile("Paged Ana Ruiz .*by email")).first.wait_for(timeout=5000)
        # Shorten the wait for the second level, which would otherwise make this test a minute long.
        due_at = timezone.now() + timedelta(seconds=6)
        assert EscalationRun.objects.filter(step=1, due_at__isnull=False).update(due_at=due_at) == 1
        page.get_by_role("button", name="Acknowledge").first.click()
        page.get_by_text("Ana Ruiz acknowledged").first.wait_for(timeout=5000)
        assert faults == []

    incident.refresh_from_db()
    assert (incident.status, incident.acknowledged_by) == (Status.ACKNOWLEDGED, ana)
    eventually(lambda: timezone.now() > due_at + timedelta(seconds=3), within=15, what="Bo's turn has passed")
    assert set(MailboxMessage.objects.values_list("recipient", flat=True)) == {ana.email}
