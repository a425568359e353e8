"""What people do with it, in a real browser: a page is answered on a phone; a shift changes hands; a report becomes CSV.

Others of the kind: test_triage_live.py (a storm by keyboard), test_journey.py (an alert, live and answered).
"""

import csv
import re
from datetime import timedelta

import httpx
import pytest
from django.utils import timezone

from alerts.tests.factories import IntegrationFactory
from escalations.enums import RunStatus
from escalations.models import EscalationRun
from escalations.tests.factories import PolicyFactory, RoutingRuleFactory
from incidents.enums import Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from notifications.models import MailboxMessage
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams.tests.factories import PASSWORD, ScheduleFactory, ServiceFactory, TeamFactory, UserFactory

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def browser(monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with running_browser() as browser:
        yield browser


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_page_is_answered_on_a_phone(stack, browser):
    ana, bo = UserFactory(name="Ana Ruiz"), UserFactory(name="Bo Chen")
    team = TeamFactory(responders=[ana, bo])
    integration = IntegrationFactory(service__team=team)
    RoutingRuleFactory(team=team, policy=PolicyFactory(team=team, levels=[[ana], [bo]]))
    httpx.post(
        f"{stack.url}/api/v1/alerts",
        json={"external_id": "checkout", "title": "Checkout is failing", "severity": "critical"},
        headers={"Authorization": f"Bearer {integration.key}"},
    ).raise_for_status()
    mail = eventually(MailboxMessage.objects.first, within=10, what="Ana's mailbox has the page")
    incident = Incident.objects.get()
    [address] = set(re.findall(rf"{stack.url}/incidents/{incident.number}/", mail.text))

    page = browser.new_page(**PHONE)
    page.goto(address)
    # Signed out: after signing in she is where the page sent her.
    page.fill("[name=username]", ana.email)
    page.fill("[name=password]", PASSWORD)
    page.locator("[type=submit]").tap()
    page.wait_for_url(address)
    button = page.get_by_role("button", name="Acknowledge")
    # It has none while what it stands in is being replaced.
    place = eventually(button.bounding_box, within=10, what="the button has its place")
    assert place["y"] > 780 * 2 / 3 and place["height"] >= 44  # in the thumb's reach
    button.tap()
    page.get_by_text("Ana Ruiz acknowledged").first.wait_for()
    page.get_by_role("button", name="Resolve").wait_for()  # what comes next stands there now
    incident.refresh_from_db()
    assert (incident.status, incident.acknowledged_by) == (Status.ACKNOWLEDGED, ana)
    assert EscalationRun.objects.get().status == RunStatus.STOPPED


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_shift_changes_hands_and_a_report_becomes_csv(web, browser, tmp_path):
    ana, bo = UserFactory(name="Ana Ruiz"), UserFactory(name="Bo Chen")
    team = TeamFactory(name="Payments", managers=[ana], responders=[bo])
    ScheduleFactory(name="First line", team=team, on_call=[ana])

    # Ana leaves a note and lets Bo take over for two hours.
    page = browser.new_page()
    sign_in(page, web.url, ana.email, PASSWORD)
    page.get_by_role("link", name="On call", exact=True).click()
    page.get_by_role("link", name="First line").first.click()
    page.wait_for_selector("[data-live-state][data-state=live]")  # scripts are there
    page.get_by_role("link", name="Write").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_role("textbox").fill("The replica is being rebuilt until noon.")
    dialog.locator("[type=submit]").click()
    page.locator("#schedule").get_by_text("The replica is being rebuilt").wait_for()
    page.get_by_role("link", name="Add an override").click()
    dialog.get_by_label("Who is on call").select_option(label=str(bo))
    dialog.get_by_role("button", name="Put on call").click()
    page.locator("#schedule .next-up", has_text="Bo Chen").wait_for()

    # Bo sees both where he looks first.
    theirs = browser.new_page(**PHONE)
    sign_in(theirs, web.url, bo.email, PASSWORD)
    theirs.get_by_role("link", name="On call", exact=True).tap()
    theirs.locator(".next-up", has_text="You are on call for First line").wait_for()
    theirs.get_by_text("The replica is being rebuilt").wait_for()

    # What is on the page of reports is in the file.
    for name, count in {"Checkout": 3, "Invoicing": 1}.items():
        service = ServiceFactory(team=team, name=name)
        for _ in range(count):
            IncidentFactory(service=service, opened_at=timezone.now() - timedelta(hours=1))
    page.get_by_role("link", name="Reports", exact=True).click()
    shown = page.get_by_role("region", name="By service", exact=True)
    shown.get_by_role("row").nth(2).wait_for()
    seen = [row.locator("th, td").all_inner_texts()[:3] for row in shown.locator("tbody tr").all()]
    with page.expect_download() as download:
        page.get_by_role("link", name="By service as CSV").click()
    assert re.fullmatch(r"openalert-by-service-[\d-]+\.csv", download.value.suggested_filename)
    download.value.save_as(tmp_path / "report.csv")
    titles, *rows = csv.reader((tmp_path / "report.csv").read_text(encoding="utf-8-sig").splitlines())
    assert titles[:3] == ["Service", "Team", "Incidents"]
    assert (
        [row[:3] for row in rows] == seen == [["Checkout", "Payments", "3"], ["Invoicing", "Payments", "1"]]
    )
