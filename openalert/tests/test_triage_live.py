"""A storm is triaged by keyboard, in a real browser."""

import pytest

from incidents.enums import Severity, Status
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from openalert.tests.browser import note_complaints, running_browser, sign_in, wait_until
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams.tests.factories import PASSWORD, ServiceFactory, TeamFactory, UserFactory


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_storm_is_triaged_by_keyboard(stack, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    service = ServiceFactory(team=TeamFactory(responders=[ana]))
    for severity in Severity:
        IncidentFactory(service=service, title=f"A {severity} one", severity=severity)

    def statuses():
        return list(Incident.objects.order_by("number").values_list("status", flat=True))

    with running_browser() as browser:
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, stack.url, ana.email, PASSWORD)
        page.wait_for_selector("[data-live-state][data-state=live]")
        assert not page.locator("#bulk").is_visible()

        # Worst first: choose the first and the third, and acknowledge both.
        for key in "jxjjx":
            page.keyboard.press(key)
        page.get_by_text("2 chosen").wait_for()
        page.keyboard.press("a")
        page.locator(".toast", has_text="2 incidents acknowledged").wait_for()
        eventually(
            lambda: statuses() == [Status.ACKNOWLEDGED, Status.OPEN, Status.ACKNOWLEDGED, Status.OPEN],
            within=5,
            what="two are acknowledged",
        )
        # The list was fetched again: what is open stands first now, and nothing is chosen.
        page.locator("#incidents li:nth-child(3)", has_text="A critical one").wait_for()
        wait_until(page, "!document.querySelector('#incidents [name=number]:checked')")
        assert not page.locator("#bulk").is_visible()

        # Without a choice, a key answers for the row that has the focus.
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("j")
        page.keyboard.press("r")
        eventually(lambda: statuses()[1] == Status.RESOLVED, within=5, what="the high one is resolved")
        page.locator("#incidents li", has_text="A high one").wait_for(state="detached")

        # What is chosen stays chosen when something else happens.
        low = page.locator("#incidents li", has_text="A low one")
        low.locator("[name=number]").check()
        page.locator("#incidents li", has_text="A medium one").get_by_role("button", name="Resolve").click()
        page.locator("#incidents li", has_text="A medium one").wait_for(state="detached")
        low.locator("[name=number]:checked").wait_for(state="attached")  # the list was just fetched again

        page.keyboard.press("/")
        page.keyboard.type("critical")
        page.wait_for_url("**/incidents/?*q=critical*")
        page.locator("#incidents li", has_text="A low one").wait_for(state="detached")
        page.get_by_role("link", name="Keep this filter").click()
        page.get_by_label("Name").fill("Criticals")
        page.get_by_role("button", name="Keep", exact=True).click()
        page.get_by_role("link", name="Criticals").wait_for()
        page.reload()
        assert page.get_by_role("link", name="Criticals").get_attribute("aria-current") == "page"

        # The list cannot be fetched: said in place, and it can be tried again.
        page.route("**/incidents/?*", lambda route: route.fulfill(status=500, body="no"))
        page.locator("input[name=severity][value=low]").check(force=True)
        page.get_by_text("The list could not be loaded.").wait_for()
        page.unroute("**/incidents/?*")
        page.get_by_role("button", name="Try again").click()
        page.get_by_text("The list could not be loaded.").wait_for(state="hidden")
        assert faults == []


# Fetches the list again and presses a key in the very moment after it was replaced.
PRESS_AFTER_SWAP = """(key) => new Promise((pressed) => {
    const press = ({target}) => {
        if (target.id !== "incidents") return;
        document.removeEventListener("htmx:afterSwap", press);
        queueMicrotask(() => {
            const event = new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true});
            document.activeElement.dispatchEvent(event);
            pressed(document.activeElement.closest("li")?.textContent ?? "nothing");
        });
    };
    document.addEventListener("htmx:afterSwap", press);
    document.getElementById("incidents").dispatchEvent(new CustomEvent("live-refresh"));
})"""
REFRESH = "document.getElementById('incidents').dispatchEvent(new CustomEvent('live-refresh'))"


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_row_stays_chosen_while_the_list_is_replaced_under_it(web, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    service = ServiceFactory(team=TeamFactory(responders=[ana]))
    first, second, third, fourth = (IncidentFactory(service=service, title=f"Disk {n}") for n in range(4))

    def row(incident):
        return page.locator("#incidents li", has_text=incident.title)

    def has_focus(incident):
        wait_until(page, f"document.activeElement.id === 'row-{incident.number}'")

    with running_browser() as browser:
        page = browser.new_page()
        complaints = note_complaints(page)
        sign_in(page, web.url, ana.email, PASSWORD)
        page.wait_for_selector("[data-live-state][data-state=live]")
        page.evaluate("window.isTheSamePage = true")
        page.locator("#incidents li", has_text="Disk 3").wait_for()
        shown = [text.split()[-1] for text in page.locator("#incidents .row-title").all_inner_texts()]
        order = sorted([first, second, third, fourth], key=lambda each: shown.index(each.title.split()[-1]))
        one, two, three, four = order

        # A key that comes as the list was just replaced does what it says, and not by leaving the page.
        page.keyboard.press("j")
        has_focus(one)
        assert one.title in page.evaluate(PRESS_AFTER_SWAP, "r")
        page.locator(".toast", has_text="resolved").first.wait_for()
        row(one).wait_for(state="detached")
        assert page.evaluate("window.isTheSamePage")

        # The row is gone: the next step goes to what stands in its place.
        page.keyboard.press("j")
        has_focus(two)

        # A list that comes while an answer is on its way waits for it: nobody would hear what became of it.
        held = []
        page.route("**/acknowledge/", lambda route: held.append(route))
        with page.expect_request("**/acknowledge/"):
            page.keyboard.press("a")
        with page.expect_response("**/incidents/"):
            page.evaluate(REFRESH)
        has_focus(two)
        held[0].continue_()
        page.locator(".toast", has_text="cknowledged").first.wait_for()
        row(two).get_by_text("Acknowledged").first.wait_for()
        page.unroute("**/acknowledge/")
        has_focus(two)

        # Nor does it take a click away that is half done.
        box = row(three).locator("[name=number]")
        place = row(three).locator(".row-choice").bounding_box()
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        page.mouse.down()
        with page.expect_response("**/incidents/"):
            page.evaluate(REFRESH)
        page.mouse.up()
        page.get_by_text("1 chosen").wait_for()
        assert box.is_checked()

        # From anywhere in a row, a step leads to its neighbour, also when a row's button had the focus.
        page.keyboard.press("x")
        page.get_by_text("0 chosen").wait_for(state="attached")
        row(three).get_by_role("button", name="Resolve").focus()
        with page.expect_response("**/incidents/"):
            page.evaluate(REFRESH)
        has_focus(three)
        page.keyboard.press("j")
        has_focus(four)
        assert complaints == []
    one.refresh_from_db(), two.refresh_from_db()
    assert (one.status, two.status) == (Status.RESOLVED, Status.ACKNOWLEDGED)
