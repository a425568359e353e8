"""Merging and dependencies in a real browser."""

import pytest

from alerts.tests.factories import AlertFactory, IntegrationFactory
from incidents.tests.factories import IncidentFactory
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from teams.models import ServiceDependency
from teams.tests.factories import PASSWORD, ServiceFactory, TeamFactory, UserFactory


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_dependency_is_declared_and_its_incidents_are_merged(stack, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    team = TeamFactory(managers=[ana])
    checkout, database, mail = (
        ServiceFactory(team=team, name=name) for name in ("Checkout", "Payments DB", "Mail")
    )
    cause = IncidentFactory(service=database, title="No connections left on db1")
    slow = IncidentFactory(service=checkout, title="Checkout is slow")
    failing = IncidentFactory(service=checkout, title="Payments are failing")
    IncidentFactory(service=mail, title="Queue is long")
    AlertFactory(incident=slow, integration=IntegrationFactory(service=checkout), title="p99 is 9 s")

    with running_browser() as browser:
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, stack.url, ana.email, PASSWORD)

        page.goto(f"{stack.url}/services/{checkout.pk}/")
        page.locator("#service-dependencies").get_by_role("link", name="Add").click()
        dialog = page.locator("#dialog")
        dialog.get_by_label("Depends on", exact=True).select_option("Payments DB")
        dialog.get_by_role("button", name="Add").click()
        page.locator("#service-dependencies").get_by_text("merging is suggested").wait_for(timeout=5000)
        dependency = ServiceDependency.objects.get()
        assert (dependency.service, dependency.upstream) == (checkout, database)

        # One click, on what is suggested.
        page.goto(f"{stack.url}{slow.get_absolute_url()}")
        page.locator("#incident-related").get_by_role("button", name="Merge into it").click()
        page.locator("#confirm-dialog").get_by_role("button", name="Merge").click()
        page.locator("#incident-header").get_by_text("merged into").wait_for(timeout=5000)
        page.locator("#incident-related").wait_for(state="hidden", timeout=5000)

        # Searched for.
        page.goto(f"{stack.url}{failing.get_absolute_url()}")
        page.get_by_label("More actions").click()
        page.get_by_role("link", name="Merge into…").click()
        dialog.get_by_label("Merge it into").press_sequentially("connections", delay=20)
        dialog.get_by_text("Queue is long").wait_for(state="detached", timeout=5000)
        dialog.get_by_text("No connections left on db1").click()
        dialog.get_by_role("button", name="Merge").click()
        page.locator("#incident-header").get_by_text("merged into").wait_for(timeout=5000)

        page.goto(f"{stack.url}{cause.get_absolute_url()}")
        page.locator("#incident-alerts").get_by_text("from Checkout, which depends on Payments DB").wait_for()
        merged = page.locator("#incident-merged")
        for title in ("Checkout is slow", "Payments are failing"):
            merged.get_by_role("link", name=title).wait_for(timeout=5000)
        assert faults == []
