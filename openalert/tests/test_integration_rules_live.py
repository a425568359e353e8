"""Any JSON is made into alerts, and rules are written, by somebody with a real browser."""

import httpx
import pytest

from alerts.enums import Source
from alerts.models import Alert, Integration
from alerts.tests.factories import IntegrationFactory
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from teams.tests.factories import PASSWORD, ServiceFactory, TeamFactory, UserFactory

PAYLOAD = {"site": "eu-1", "problems": [{"what": "Disk full", "where": {"host name": "db1"}, "prio": "P2"}]}


@pytest.mark.timeout(240)
@needs("chromium")
def test_payload_becomes_alerts_by_fields_and_rules_that_are_tried_first(stack, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory()
    service = ServiceFactory(team=TeamFactory(managers=[ana]))
    integration = IntegrationFactory(service=service, name="Probes", source=Source.GENERIC)
    address = f"{stack.url}/integrations/generic/{integration.key}"

    with running_browser() as browser:
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        sign_in(page, stack.url, ana.email, PASSWORD)
        page.goto(f"{stack.url}/services/integrations/{integration.pk}/")
        page.get_by_role("link", name="Fields").click()
        page.get_by_text("Waiting for the first event").wait_for()
        page.get_by_text("Nothing has come yet to try the fields on.").wait_for()

        # It appears by itself, and so does what would come of it.
        assert httpx.post(address, json=PAYLOAD).status_code == 202
        page.get_by_role("button", name='"what"').wait_for(timeout=10_000)
        preview = page.locator("#preview")
        preview.get_by_text("Fires").wait_for()

        # A key that is pressed is put where somebody writes; the preview follows.
        page.get_by_label("Alerts", exact=True).fill("problems")
        page.get_by_label("Title").focus()
        page.get_by_role("button", name='"what"').click()
        assert page.get_by_label("Title").input_value() == "what"
        preview.locator(".row-title", has_text="Disk full").wait_for()
        page.get_by_label("Title").fill("{{ payload.what }} at {{ whole.site }")
        preview.get_by_text("This is not a template").wait_for()
        page.get_by_label("Title").fill("{{ payload.what }} at {{ whole.site }}")
        preview.get_by_text("Disk full at eu-1", exact=True).wait_for()
        page.get_by_label("Source").focus()
        page.get_by_role("button", name='"host name"').click()
        assert page.get_by_label("Source").input_value() == 'where."host name"'
        page.get_by_label("Severity", exact=True).fill("prio")
        page.get_by_label("What its values stand for").fill("P2 = critical")
        preview.get_by_text("Critical").wait_for()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("The fields are saved").wait_for()

        assert httpx.post(address, json=PAYLOAD).status_code == 202
        fired = Alert.objects.order_by("-pk")[0]
        assert (fired.title, fired.source, fired.severity) == ("Disk full at eu-1", "db1", "critical")

        # Another payload is chosen; the preview follows.
        other = {"site": "us-1", "problems": [{"what": "Fan broken"}]}
        page.wait_for_timeout(1100)  # at most one sample a second is kept
        assert httpx.post(address, json=other).status_code == 202
        preview.get_by_text("Fan broken at us-1", exact=True).wait_for(timeout=10_000)
        page.get_by_label("Which payload").select_option(index=2)
        preview.get_by_text("Disk full at eu-1", exact=True).wait_for()

        # A rule, tried while it is written.
        page.goto(f"{stack.url}/services/integrations/{integration.pk}/rules/")
        page.get_by_role("link", name="New rule").first.click()
        page.get_by_label("Name").fill("Not from db1")
        tried = page.locator("#tried")
        tried.get_by_text("It is tried as soon as it says when").wait_for()
        row = page.get_by_role("group", name="Condition 1")
        row.get_by_label("Field").fill("source")
        tried.get_by_text("Still to do:").wait_for()
        row.get_by_label("Value", exact=True).fill("db1")
        page.get_by_text("Drop it", exact=True).click()
        tried.get_by_text("It has a say in 1 of the last 3 alerts").wait_for()
        tried.get_by_text("dropped", exact=True).wait_for()
        # Which parts a condition has follows from its test.
        page.get_by_role("button", name="Add a condition").click()
        second = page.get_by_role("group", name="Condition 2")
        second.get_by_label("Test").select_option("hours")
        second.get_by_label("From").fill("00:00")
        assert not second.get_by_label("Field").is_visible()
        tried.get_by_text("Condition 2, until: This field is required.").wait_for()
        page.get_by_role("button", name="Remove condition 2").click()
        tried.get_by_text("It has a say in 1 of the last 3 alerts").wait_for()
        assert row.get_by_label("Value", exact=True).input_value() == "db1"
        # Enter saves; it does not press the first button that removes something.
        page.get_by_label("Name").press("Enter")
        page.get_by_text("The rule Not from db1 is saved").wait_for()
        page.get_by_text("When source is “db1”: drop it.").wait_for()

        assert httpx.post(address, json=PAYLOAD).json()["alerts"][0]["outcome"] == "dropped"

        # A second one, moved up with the keyboard, which keeps its place.
        page.get_by_role("link", name="New rule").click()
        page.get_by_label("Name").fill("Wait")
        page.get_by_role("button", name="Remove condition 1").click()
        page.get_by_text("it is for every alert of the integration").wait_for()
        page.get_by_label("Until it has lasted (minutes)").fill("5")
        page.get_by_role("button", name="Save").last.click()
        page.get_by_text("Always: hold it until it has lasted 5 min.").wait_for()
        assert titles(page) == ["Not from db1", "Wait"]
        page.get_by_role("button", name="Move Wait up").press("Enter")
        page.locator("#rules li", has_text="Wait").get_by_text("1", exact=True).wait_for()
        assert titles(page) == ["Wait", "Not from db1"]
        page.get_by_label("More for Not from db1").click()
        page.get_by_role("link", name="Remove…").click()
        page.locator("#dialog").get_by_role("button", name="Remove").click()
        page.get_by_text("The rule Not from db1 is removed").wait_for()

        assert httpx.post(address, json=PAYLOAD | {"site": "eu-2"}).status_code == 202
        assert (
            httpx.post(address, json={"problems": [{"what": "New"}]}).json()["alerts"][0]["outcome"] == "held"
        )
        page.locator("#held").get_by_text("Held until it has lasted 5 min.").first.wait_for(timeout=15_000)
        assert faults == []
    assert Integration.objects.get().rules.get().name == "Wait"


def titles(page):
    return page.locator("#rules > section").first.locator(".row-title").all_inner_texts()
