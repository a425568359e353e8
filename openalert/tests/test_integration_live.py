"""Setting an integration up, with a real browser watching what comes in."""

import httpx
import pytest

from alerts.enums import Source
from alerts.tests.factories import IntegrationFactory
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from teams.tests.factories import PASSWORD, ServiceFactory, TeamFactory, UserFactory


@pytest.mark.timeout(180)
@needs("chromium")
def test_first_events_appear_by_themselves(stack, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory()
    service = ServiceFactory(team=TeamFactory(managers=[ana]))
    integration = IntegrationFactory(service=service, name="Probes", source=Source.OPENALERT)
    alerts, key = f"{stack.url}/api/v1/alerts", {"Authorization": f"Bearer {integration.key}"}

    with running_browser() as browser:
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, stack.url, ana.email, PASSWORD)
        page.goto(f"{stack.url}/services/{service.pk}/")
        page.get_by_role("link", name="Probes").click()
        page.get_by_text("Waiting for the first event").wait_for()

        assert httpx.post(alerts, headers=key, json={"titel": "Disk full"}).status_code == 400
        page.get_by_text("The last event was refused").wait_for(timeout=10_000)
        page.get_by_text('"titel": "Disk full"').wait_for()

        page.wait_for_timeout(1100)  # at most one sample a second is kept
        assert httpx.post(alerts, headers=key, json={"title": "Disk full"}).status_code == 202
        page.get_by_text("Events come in").wait_for(timeout=10_000)
        page.get_by_role("link", name="Disk full").wait_for()

        page.get_by_label("More actions").click()
        page.get_by_role("button", name="Switch off").click()
        page.get_by_text("It is switched off").wait_for()
        page.get_by_label("More actions").click()
        page.get_by_role("link", name="Delete…").click()
        page.locator("#dialog").get_by_role("button", name="Delete").click()
        page.get_by_text("No integrations yet").wait_for()
        assert faults == []
