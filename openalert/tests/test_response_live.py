"""Responders work on an incident side by side, in real browsers: tasks by keyboard, and a postmortem that loses nothing."""

import os
import re
from pathlib import Path

import pytest

from alerts.tests.factories import AlertFactory
from incidents.enums import Severity
from incidents.models import IncidentTask, Postmortem
from incidents.tests.factories import IncidentFactory
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams.tests.factories import PASSWORD, ServiceFactory, TeamFactory, UserFactory

SAVED = re.compile("^Saved$")  # and not “Not saved”


@pytest.mark.timeout(240)
@needs("chromium")
def test_two_work_on_an_incident_side_by_side(stack, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana, bo = UserFactory(name="Ana Ruiz"), UserFactory(name="Bo Lind")
    service = ServiceFactory(team=TeamFactory(responders=[ana, bo]), name="Checkout")
    incident = IncidentFactory(service=service, title="Checkout is slow", severity=Severity.CRITICAL)
    AlertFactory.create_batch(2, incident=incident)
    address = f"{stack.url}{incident.get_absolute_url()}"
    faults: list[str] = []

    with running_browser() as browser:

        def window(person):
            page = browser.new_context().new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            sign_in(page, stack.url, person.email, PASSWORD)
            page.goto(address)
            page.wait_for_selector("[data-live-state][data-state=live]")
            return page

        hers, his = window(ana), window(bo)

        # Tasks, one after the other without the mouse.
        hers.keyboard.press("t")
        for text in ("Check the replicas @bo due 30m", "Ask the provider"):
            hers.keyboard.type(text)
            hers.keyboard.press("Enter")
            hers.locator(".task-main", has_text=text.split(" @")[0]).wait_for()
        his.locator(".task-main", has_text="Ask the provider").wait_for()
        his.locator(".task-main", has_text="Bo Lind").wait_for()
        his.get_by_role("button", name="Done: Ask the provider").click()
        hers.locator("[data-state=done]", has_text="Ask the provider").wait_for()

        # A role is taken, and is at the top of the other page.
        hers.locator(".role", has_text="Commander").click()
        hers.locator("#dialog").get_by_role("button", name="Assign").click()
        his.locator(".role", has_text="Ana Ruiz").wait_for()

        # Subscribers are told by keyboard, and both see it.
        his.keyboard.press("u")
        his.locator("#dialog [name=text]").fill("We look at **it**.")
        his.locator("#dialog").get_by_role("button", name="Tell them").click()
        hers.locator("#incident-updates strong", has_text="it").wait_for()

        # The postmortem: both write, the second is told and decides; nothing is lost.
        hers.goto(f"{address}postmortem/")
        hers.get_by_role("button", name="Start it").click()
        hers.locator("[name=body]").wait_for()
        his.goto(f"{address}postmortem/")
        hers.locator("[name=body]").fill("# Hers")
        hers.locator("[data-save-state]", has_text=SAVED).wait_for()
        his.locator("[name=body]").fill("# His")
        his.locator("[data-conflict-words]", has_text="Ana Ruiz has saved").wait_for()
        his.locator("[data-preview] h2", has_text="His").wait_for()
        his.get_by_role("button", name="Keep mine").click()
        his.locator("[data-save-state]", has_text=SAVED).wait_for()
        revisions = Postmortem.objects.get().revisions.order_by("version")
        eventually(
            lambda: [r.body for r in revisions.all()][1:] == ["# Hers", "# His"],
            within=5,
            what="both are kept",
        )

        # No connection, and the tab is closed: the text is there again. The tab itself is without one to its end: what
        # the debugger takes from it, it has again while it closes, and saves the text yet.
        his.evaluate("() => { window.fetch = () => Promise.reject(new TypeError('Failed to fetch')) }")
        his.locator("[name=body]").fill("# His, on a train")
        his.locator("[data-save-state]", has_text="Not saved").wait_for()
        context = his.context
        his.close(run_before_unload=False)
        again = context.new_page()

        def is_offered() -> bool:
            # Another process of the browser sees a moment later what was kept.
            again.goto(f"{address}postmortem/")
            return again.get_by_role("button", name="Take it").is_visible()

        eventually(is_offered, within=30, what="the text that was not saved is offered")
        again.get_by_role("button", name="Take it").click()
        again.locator("[data-save-state]", has_text=SAVED).wait_for()
        assert Postmortem.objects.get().body == "# His, on a train"

        # Nothing is wider than a phone.
        hers.set_viewport_size({"width": 360, "height": 780})
        for path in ("", "postmortem/", "split/", "subscribers/"):
            hers.goto(f"{address}{path}")
            assert hers.evaluate("document.documentElement.scrollWidth") == 360, path
        photograph(browser, stack.url, ana, incident)

    assert IncidentTask.objects.filter(done_at=None).get().assignee == bo
    assert not faults


def photograph(browser, url, person, incident):
    """For whoever works on the pages: OPENALERT_PHOTOGRAPHS names a folder."""
    folder = os.environ.get("OPENALERT_PHOTOGRAPHS")
    if not folder:
        return
    path = incident.get_absolute_url()
    pages = {
        "incident": path,
        "postmortem": f"{path}postmortem/",
        "split": f"{path}split/",
        "import": f"{path}postmortem/import/",
        "items": "/action-items/",
        "subscribers": f"{path}subscribers/",
        "settings": f"/teams/{incident.service.team_id}/response/",
    }
    for size, (width, height) in {"wide": (1280, 900), "phone": (360, 780)}.items():
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
            page = context.new_page()
            sign_in(page, url, person.email, PASSWORD)
            for name, address in pages.items():
                page.goto(url + address)
                page.wait_for_timeout(900)
                page.screenshot(path=Path(folder) / f"{name}-{size}-{scheme}.png", full_page=True)
            context.close()
