"""Parts of a page that could not be fetched say so, and can be tried again."""

import pytest

from alerts.tests.factories import AlertFactory
from incidents.tests.factories import IncidentFactory
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from teams.tests.factories import PASSWORD, TeamFactory, UserFactory

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
REFRESH = "document.getElementById('incident-alerts').dispatchEvent(new CustomEvent('live-refresh'))"


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_part_that_cannot_be_loaded_says_so_and_is_tried_again(web, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    incident = IncidentFactory(service__team=TeamFactory(responders=[ana]), title="Checkout is failing")
    AlertFactory(incident=incident, title="Checkout answers 503")
    with running_browser() as browser:
        page = browser.new_page(**PHONE)
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.route("**/alerts/", lambda route: route.fulfill(status=500, body="no"))
        sign_in(page, web.url, ana.email, PASSWORD)
        page.goto(f"{web.url}{incident.get_absolute_url()}")
        alerts = page.locator("#incident-alerts")
        alerts.get_by_text("This could not be loaded.").wait_for()
        assert alerts.locator(".skeleton").count() == 0
        # The rest of the page is there.
        page.locator("#incident-escalation .skeleton").first.wait_for(state="detached")

        page.unroute("**/alerts/")
        page.route("**/alerts/", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            alerts.get_by_role("button", name="Try again").tap()
        alerts.get_by_text("This could not be loaded.").wait_for()
        page.unroute("**/alerts/")
        alerts.get_by_role("button", name="Try again").tap()
        alerts.get_by_text("Checkout answers 503").first.wait_for()

        # What is there stays when it cannot be fetched again.
        page.route("**/alerts/", lambda route: route.abort())
        with page.expect_event("requestfailed"):
            page.evaluate(REFRESH)
        assert alerts.get_by_text("Checkout answers 503").first.is_visible()
        assert alerts.get_by_text("This could not be loaded.").count() == 0
        assert faults == []
