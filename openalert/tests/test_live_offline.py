"""The server goes away under an open page, and things happen: the page catches up, and its actions are done once."""

import os
import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from incidents import lifecycle, on_call_watch
from incidents.enums import Kind, Status
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import Stack, eventually
from teams import overrides
from teams.tests.factories import PASSWORD, ScheduleFactory, TeamFactory, UserFactory

# A minute; `LIVE_OUTAGE_SECONDS=12` is long enough for some retries, for whoever works on it.
OUTAGE_SECONDS = float(os.environ.get("LIVE_OUTAGE_SECONDS", "60"))
# The longest pause between retries, and the page itself.
BACK_WITHIN_MS = 45_000


@pytest.fixture
def web(transactional_db):
    stack = Stack()
    try:
        stack.start_web()
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def ana(db):
    return UserFactory(name="Ana Ruiz")


@pytest.fixture
def incident(ana):
    return IncidentFactory(service__team=TeamFactory(responders=[ana]), title="Checkout is failing")


@pytest.fixture
def page(web, ana, incident, monkeypatch):
    """The incident's page, open and live, with no fault in its scripts at the end."""
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with running_browser() as browser:
        page = browser.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, web.url, ana.email, PASSWORD)
        page.goto(f"{web.url}{incident.get_absolute_url()}")
        page.wait_for_selector("[data-live-state][data-state=live]")
        yield page
        assert faults == []


@pytest.mark.timeout(300)
@needs("chromium")
def test_a_page_outlives_its_server(web, page, incident):
    page.evaluate("window.isStillTheSamePage = true")
    web.processes[0].kill()
    page.wait_for_selector("[data-live-state]:not([data-state=live])", timeout=30_000)
    lifecycle.add_note(incident_id=incident.pk, text="It was DNS after all", actor=SYSTEM)

    page.get_by_role("button", name="Acknowledge").first.click()
    page.locator(".toast", has_text="“Acknowledge” waits in this tab").wait_for()
    page.locator("#note textarea").fill("I am looking into it")
    page.get_by_role("button", name="Add note").click()
    page.locator(".toast", has_text="“Add note” waits in this tab").wait_for()
    page.locator("[data-live-banner=interrupted]").get_by_text("2 actions wait").wait_for(timeout=20_000)
    time.sleep(OUTAGE_SECONDS)
    assert [entry.kind for entry in incident.timeline.all()] == [Kind.NOTE]

    web.start_web()
    page.wait_for_selector("[data-live-state][data-state=live]", timeout=BACK_WITHIN_MS)
    timeline = page.locator("#incident-timeline")
    for text in ("It was DNS after all", "Ana Ruiz acknowledged", "I am looking into it"):
        timeline.get_by_text(text).wait_for(timeout=10_000)
    assert page.evaluate("window.isStillTheSamePage")
    incident.refresh_from_db()
    assert incident.status == Status.ACKNOWLEDGED
    assert [entry.kind for entry in incident.timeline.all()] == [Kind.NOTE, Kind.ACKNOWLEDGED, Kind.NOTE]


@pytest.mark.timeout(180)
@needs("chromium")
def test_an_action_whose_answer_was_lost_is_not_done_twice(page, incident):
    lost = []

    def lose_the_first_answer(route):
        lost.append(route.request.headers["idempotency-key"])
        if len(lost) == 1:
            assert route.fetch().status == 200
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/notes/", lose_the_first_answer)
    page.locator("#note textarea").fill("Said once")
    page.get_by_role("button", name="Add note").click()
    page.locator(".toast", has_text="“Add note” waits in this tab").wait_for()
    eventually(lambda: page.wait_for_timeout(200) or len(lost) > 1, within=15)
    page.locator("#incident-timeline").get_by_text("Said once").wait_for()
    page.wait_for_timeout(500)
    assert lost[0] == lost[1]
    assert [entry.data["text"] for entry in incident.timeline.all()] == ["Said once"]


@pytest.mark.timeout(180)
@needs("chromium")
def test_people_see_who_else_is_looking(web, page, incident):
    bo = UserFactory(name="Bo Chen")
    incident.service.team.memberships.create(user=bo)
    other = page.context.browser.new_context().new_page()
    sign_in(other, web.url, bo.email, PASSWORD)
    other.goto(f"{web.url}{incident.get_absolute_url()}")
    page.get_by_text("Bo Chen is looking at this too.").wait_for(timeout=10_000)
    other.get_by_text("Ana Ruiz is looking at this too.").wait_for(timeout=10_000)
    other.goto(f"{web.url}/incidents/")
    page.get_by_text("Bo Chen is looking at this too.").wait_for(state="hidden", timeout=10_000)


CONNECT_WITH_TOKENS = """
async ([address, tokens]) => {
  const { LiveConnection } = await import(address);
  const url = new URL("/ws/live/", location.href.replace(/^http/, "ws"));
  const seen = { renewals: [], states: [], kinds: [] };
  window.seen = seen;
  const connection = new LiveConnection(url, {
    token: async (isRenewal) => {
      seen.renewals.push(isRenewal);
      return tokens[Math.min(seen.renewals.length, tokens.length) - 1];
    },
  });
  connection.addEventListener("state", () => seen.states.push(connection.state));
  connection.addEventListener("event", ({ detail }) => seen.kinds.push(detail.kind));
  connection.open();
}
"""


def token_for(user, seconds):
    token = AccessToken.for_user(user)
    token.set_exp(lifetime=timedelta(seconds=seconds))
    return str(token)


@pytest.mark.timeout(180)
@needs("chromium")
def test_the_client_renews_its_token_over_the_same_connection(web, ana, incident, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    address = f"{settings.STATIC_URL}js/live-connection.js"
    with running_browser() as browser:
        page = browser.new_page(bypass_csp=True)  # a script of the test's own runs in it
        page.goto(f"{web.url}{reverse(settings.LOGIN_URL)}")
        page.evaluate(CONNECT_WITH_TOKENS, [address, [token_for(ana, 5), token_for(ana, 300)]])
        page.wait_for_function("seen.renewals.length === 2", timeout=15_000)
        page.wait_for_timeout(6_000)  # the first one has ended
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
        page.wait_for_function("seen.kinds.includes('incident.acknowledged')", timeout=10_000)
        assert page.evaluate("seen.renewals") == [False, True]
        assert page.evaluate("seen.states") == ["live"]


@pytest.mark.timeout(180)
@needs("chromium")
def test_the_on_call_board_follows_who_is_on_call(web, page, ana, incident):
    schedule = ScheduleFactory(team=incident.service.team)
    on_call_watch.tell_changes()
    page.goto(f"{web.url}{reverse('on-call')}")
    page.wait_for_selector("[data-live-state][data-state=live]")
    page.evaluate("window.isStillTheSamePage = true")
    board = page.locator("#on-call")
    assert board.get_by_text("Ana Ruiz").count() == 0
    now = timezone.now()
    overrides.add_override(
        schedule=schedule, user=ana, starts_at=now, ends_at=now + timedelta(hours=2), by=ana
    )
    on_call_watch.tell_changes()
    board.get_by_text("Ana Ruiz").first.wait_for(timeout=10_000)
    assert page.evaluate("window.isStillTheSamePage")
