"""The guide from an empty installation to an answered page: without scripts, and on a phone in a real browser."""

import os
import re

import httpx
import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Alert, Integration
from alerts.tests.factories import AlertFactory
from escalations.models import EscalationPolicy, EscalationRun, PagingSettings
from incidents.enums import Status
from incidents.models import Incident
from notifications.models import MailboxMessage
from openalert import demo
from openalert.first_steps import progress
from openalert.first_steps.progress import NAMES, TEST_KEY, Progress
from openalert.management.commands import up
from openalert.tests import axe
from openalert.tests.browser import running_browser, wait_until
from openalert.tests.programs import needs
from openalert.tests.stack import eventually
from teams import first_admin, notices, oncall
from teams.models import Membership, Override, Schedule, Service, Team, User
from teams.tests.factories import UserFactory

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def admin(client):
    """An administrator of an empty installation, who is signed in."""
    admin = UserFactory(name="Ana Ruiz", is_superuser=True, is_staff=True, time_zone="Europe/Berlin")
    client.force_login(admin)
    return admin


def post(client: Client, step: str, **given: object):
    return client.post(f"/first-steps/{step}/", given)


def done() -> list[str]:
    return [name for name in NAMES if Progress().done[name]]


def team_of(client: Client) -> Team:
    post(client, "team", name="Payments", time_zone="Europe/Berlin", is_member="on")
    return Team.objects.get()


@pytest.mark.django_db
def test_guide_is_where_an_administrator_lands_until_it_is_put_away(client, admin):
    assert client.get("/").url == "/first-steps/"
    assert "First steps" in client.get("/incidents/").text  # in the menu
    for path in ("/services/", "/on-call/", "/incidents/", "/reports/"):
        assert 'href="/first-steps/"' in client.get(path).text.split("<main", 1)[1], path
    assert client.post("/first-steps/put-away/").url == "/incidents/"
    assert client.get("/").url == "/incidents/"
    assert "Show it after signing in" in client.get("/first-steps/").text
    client.post("/first-steps/put-away/", {"back": "1"})
    assert client.get("/").url == "/first-steps/"
    other = Client()
    assert other.get("/").url == "/accounts/login/"
    other.force_login(UserFactory())
    assert other.get("/").url == "/incidents/"
    assert other.get("/first-steps/").status_code == 403
    assert "/first-steps/" not in other.get("/incidents/").text
    assert client.get("/first-steps/nothing/").status_code == 404


@pytest.mark.django_db
def test_demo_has_taken_all_steps(client):
    demo.seed()
    assert done() == list(NAMES)
    client.force_login(User.objects.get(email=demo.CARLA.email))
    assert client.get("/").url == "/incidents/"
    for name in NAMES:
        assert client.get(f"/first-steps/{name}/").status_code == 200
    before = EscalationPolicy.objects.values_list("pk", "name")
    assert post(client, "policy", name="Mine").status_code in (200, 422)
    assert list(EscalationPolicy.objects.values_list("pk", "name")) == list(before)


@pytest.mark.django_db
def test_who_is_added_without_a_password_is_invited_and_again_on_request(client, admin, mailoutbox, clock):
    team_of(client)
    client.post("/first-steps/people/", {"name": "Bo Chen", "email": "bo@example.org", "role": "responder"})
    bo = User.objects.get(email="bo@example.org")
    notices.send_due()
    guide = client.get("/first-steps/people/").text
    assert guide.count("Send the invitation again") == 1
    clock.advance(minutes=6)
    answer = client.post("/first-steps/people/", {"invite": str(bo.pk)}, follow=True)
    assert "Bo Chen is mailed a link to choose a password." in answer.text
    notices.send_due()
    assert [mail.to for mail in mailoutbox] == [["bo@example.org"]] * 2
    assert all("/accounts/invitation/" in mail.body for mail in mailoutbox)
    stranger = User.objects.create_user("stranger@example.org", name="Stranger")
    for nobody in (stranger.pk, admin.pk, "x"):
        answer = client.post("/first-steps/people/", {"invite": str(nobody)}, follow=True)
        assert "Nobody was invited" in answer.text


@pytest.mark.django_db
def test_steps_are_taken_without_scripts_and_faulty_forms_keep_what_was_typed(client, admin):
    # What comes later waits, and says for what.
    assert "This comes after" in client.get("/first-steps/schedule/").text
    assert post(client, "service", name="Checkout").status_code == 200
    assert not Service.objects.exists()

    assert post(client, "team", name="", time_zone="Mars/Olympus").status_code == 422
    team = team_of(client)
    assert (team.time_zone, done()) == ("Europe/Berlin", ["team"])
    assert Membership.objects.get().role == "manager"
    post(client, "team", name="Payments and cards", time_zone="Europe/Paris")
    assert Team.objects.get().name == "Payments and cards"

    faulty = post(client, "people", name="Bo Chen", email="bo", phone="0151", role="responder")
    assert faulty.status_code == 422 and 'value="Bo Chen"' in faulty.text and 'value="0151"' in faulty.text
    bo = {"name": "Bo Chen", "email": "bo@example.org", "role": "responder"}
    assert "too short" in post(client, "people", **bo, password="short").text
    assert post(client, "people", **bo, password="a fairly long one").url == "/first-steps/people/"
    assert "in the team already" in post(client, "people", **bo).text
    UserFactory(email="carla@example.org", name="Carla Haas")
    post(client, "people", name="Carla", email="Carla@example.org", role="observer")
    assert set(Membership.objects.values_list("user__name", "role")) == {
        ("Ana Ruiz", "manager"),
        ("Bo Chen", "responder"),
        ("Carla Haas", "observer"),
    }
    assert Client().login(username="bo@example.org", password="a fairly long one")
    assert done() == ["team", "people"]

    bo = User.objects.get(email="bo@example.org")
    turns = {f"turn_{bo.pk}": "1", f"turn_{admin.pk}": "2"}
    rotation = {
        "name": "First line",
        "hand_over_day": 1,
        "hand_over_time": "09:00",
        "time_zone": "Europe/Berlin",
    }
    assert "at least one person" in post(client, "schedule", **rotation).text
    assert post(client, "schedule", **{**rotation, "hand_over_time": "25:00"}, **turns).status_code == 422
    assert post(client, "schedule", **rotation, **turns).url == "/first-steps/policy/"
    assert oncall.on_call(Schedule.objects.get(), timezone.now()) == [bo]
    # Changed: whoever is on call stays so, and there is still one.
    post(client, "schedule", **{**rotation, "hand_over_day": 3}, **turns)
    assert oncall.on_call(Schedule.objects.get(), timezone.now()) == [bo]

    targets = {"first": f"schedule:{Schedule.objects.get().pk}", "then": f"user:{admin.pk}"}
    policy = {"name": "Payments", "minutes": 5, "repeat_count": 1}
    assert post(client, "policy", **{**policy, "minutes": 0}, **targets).status_code == 422
    assert post(client, "policy", **policy, **targets).url == "/first-steps/service/"
    assert PagingSettings.objects.get().default_policy == EscalationPolicy.objects.get()
    assert [step.delay_seconds for step in EscalationPolicy.objects.get().steps.all()] == [300, 300]
    post(client, "policy", **{**policy, "minutes": 7}, **targets)
    assert [step.delay_seconds for step in EscalationPolicy.objects.get().steps.all()] == [420, 420]

    assert post(client, "service", name="Checkout").url == "/first-steps/integration/"
    assert done() == ["team", "people", "schedule", "policy", "service"]
    shown = post(client, "integration", name="Probes", source="openalert")
    [key] = set(re.findall(r"Bearer ([0-9a-f]{32})", shown.text))
    assert Integration.objects.get().key_hash == Integration.hash_key(key)
    again = client.get("/first-steps/integration/").text
    assert key not in again and "Waiting for the first event" in again
    assert post(client, "integration", name="Another", source="openalert").status_code == 200
    assert Integration.objects.count() == 1


@pytest.mark.django_db
def test_test_page_takes_the_way_of_any_alert_and_a_second_click_changes_nothing(client, admin):
    team = team_of(client)
    post(client, "service", name="Checkout")
    post(client, "integration", name="Probes", source="openalert")
    assert "no policy is in charge" in post(client, "test").text  # and nothing was opened
    assert not Incident.objects.exists()
    bo = UserFactory(name="Bo Chen")
    Membership.objects.create(team=team, user=bo)
    rotation = {"name": "First line", "hand_over_day": 1, "hand_over_time": "09:00", "time_zone": "UTC"}
    post(client, "schedule", **rotation, **{f"turn_{bo.pk}": "1"})
    schedule = Schedule.objects.get()
    post(client, "policy", name="P", minutes=5, repeat_count=0, first=f"schedule:{schedule.pk}")
    assert "Put me on call for an hour first" in client.get("/first-steps/test/").text

    assert post(client, "test", takes_over="1").url == "/first-steps/test/"
    assert Override.objects.get().user == admin
    assert post(client, "test", takes_over="1").status_code == 302
    incident = Incident.objects.get()
    assert EscalationRun.objects.get().incident == incident
    assert (Alert.objects.get().dedup_key, Alert.objects.get().count) == (TEST_KEY, 1)
    assert "integration" not in done()  # nothing came from outside
    state = client.get("/first-steps/test/state/").text
    assert "Acknowledge" in state and "every 2s" in state
    client.post(f"/incidents/{incident.number}/acknowledge/", {"next": "/first-steps/test/"})
    assert "Ana Ruiz acknowledged it" in client.get("/first-steps/test/state/").text
    post(client, "test")
    assert sorted(Incident.objects.values_list("status", flat=True)) == [Status.OPEN, Status.RESOLVED]


@pytest.mark.django_db
def test_last_test_page_is_told_until_much_else_came_in(client, admin, monkeypatch):
    team_of(client)
    post(client, "service", name="Checkout")
    post(client, "integration", name="Probes", source="openalert")
    integration = Integration.objects.get()
    first, second = (
        AlertFactory(
            integration=integration, dedup_key=TEST_KEY, is_current=False, status="resolved"
        ).incident
        for _ in range(2)
    )
    assert Progress().test == second
    AlertFactory(integration=integration)
    monkeypatch.setattr(progress, "RECENT", 1)
    assert Progress().test is None
    Alert.objects.filter(incident=first).update(is_current=True, status="firing", resolved_at=None)
    assert Progress().test == first


@pytest.mark.django_db
def test_terminal_says_where_to_begin(monkeypatch):
    monkeypatch.setattr(up.connections, "close_all", lambda: None)  # the test's own
    code = first_admin.set_up_code()
    assert code in " ".join(up.Command().where_to_begin())
    demo.seed()
    assert up.Command().where_to_begin() == demo.first_steps()
    User.objects.filter(email=demo.ANA.email).update(email="ana@example.org")
    assert up.Command().where_to_begin() == []


def tap(page, name):
    page.locator("#step-open").get_by_role("button", name=name).tap()


def wait_for_step(page, title):
    page.locator("#step-open h2", has_text=title).wait_for()


@pytest.mark.timeout(300)
@needs("chromium", "npm")
def test_from_nothing_to_an_answered_page_on_a_phone(stack, monkeypatch, tmp_path):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    script = axe.fetch_script(tmp_path)
    faults = []
    with running_browser() as browser:
        page = browser.new_page(**PHONE, reduced_motion="reduce", timezone_id="America/New_York")
        page.set_default_timeout(20_000)
        look = Look(page, script, faults)

        # The code is in the log of the web process.
        [web] = [process for process in stack.processes if process.name == "web"]
        [code] = eventually(
            lambda: re.findall(r"set-up code ((?:[A-Z2-7]{4}-){5}[A-Z2-7]{4})", web.output),
            within=20,
            what="the code is in the log",
        )
        page.goto(stack.url)
        page.wait_for_url("**/set-up/")
        wait_until(page, "document.querySelector('[name=time_zone]').value === 'America/New_York'")
        look("set-up")
        page.get_by_label("Set-up code").fill("AAAA-BBBB")
        page.get_by_label("Your name").fill("Ana Ruiz")
        page.get_by_label("Your email address").fill("ana@example.org")
        page.get_by_label("Password", exact=True).fill("a fairly long one")
        page.get_by_label("The password again").fill("a fairly long one")
        page.get_by_role("button", name="Begin").tap()
        page.get_by_text("is not the set-up code").wait_for()
        look("set-up-faulty")
        page.get_by_label("Set-up code").fill(code)
        page.get_by_label("Password", exact=True).fill("a fairly long one")
        page.get_by_label("The password again").fill("a fairly long one")
        page.get_by_role("button", name="Begin").tap()
        page.wait_for_url("**/first-steps/")
        page.wait_for_selector("[data-live-state][data-state=live]")  # scripts are there

        look("team")
        page.get_by_label("Name", exact=True).fill("Payments")
        tap(page, "Make the team")
        wait_for_step(page, "Add its people")
        page.get_by_label("Name", exact=True).fill("Bo Chen")
        page.get_by_label("Email address").fill("bo@example.org")
        page.get_by_label("A password to begin with").fill("short")
        tap(page, "Add")
        page.get_by_text("too short").wait_for()
        look("people-faulty")
        page.get_by_label("A password to begin with").fill("another long one")
        tap(page, "Add")
        page.locator(".rows", has_text="bo@example.org").wait_for()
        page.get_by_role("link", name="Go on").tap()
        wait_for_step(page, "who is on call")
        look("schedule")
        # Bo begins: the page is to come to Ana all the same.
        page.get_by_label("Ana Ruiz", exact=True).select_option("2")
        page.get_by_label("Bo Chen", exact=True).select_option("1")
        tap(page, "Make the schedule")
        wait_for_step(page, "whom to page")
        assert page.get_by_label("Page first").input_value().startswith("schedule:")
        look("policy")
        tap(page, "Make the policy")
        wait_for_step(page, "Name what the team runs")
        look("service")
        page.get_by_label("Name", exact=True).fill("Checkout")
        tap(page, "Make the service")
        wait_for_step(page, "Connect")
        look("integration-new")
        page.get_by_label("Name", exact=True).fill("Probes")
        tap(page, "Make it and show its key")
        page.get_by_text("Waiting for the first event").wait_for()
        look("integration-waiting")
        [key] = set(re.findall(r"Bearer ([0-9a-f]{32})", page.locator(".instructions").inner_text()))
        sent = {"external_id": "disk", "title": "Disk full on db1", "severity": "low"}
        httpx.post(
            f"{stack.url}/api/v1/alerts", json=sent, headers={"Authorization": f"Bearer {key}"}
        ).raise_for_status()
        page.get_by_text("Events come in").wait_for()
        look("integration-received")
        page.get_by_role("link", name="Go on").tap()

        wait_for_step(page, "Send a test page")
        page.get_by_label("Put me on call for an hour first").check()
        look("test")
        tap(page, "Send a test page")
        state = page.locator("#test-state")
        state.locator("[data-tone=success]", has_text="Email").wait_for(timeout=20_000)
        look("test-sent")
        ana = User.objects.get(email="ana@example.org")
        eventually(
            lambda: MailboxMessage.objects.filter(
                recipient=ana.email, subject__contains="Test page"
            ).exists(),
            within=20,
            what="the mail has arrived",
        )
        state.get_by_role("button", name="Acknowledge").tap()
        page.get_by_text("Ana Ruiz acknowledged it").wait_for()
        page.get_by_text("It works.").wait_for()
        look("test-acknowledged")
        incident = Incident.objects.get(alerts__dedup_key=TEST_KEY)
        assert (incident.status, incident.acknowledged_by) == (Status.ACKNOWLEDGED, ana)
        page.goto(f"{stack.url}/first-steps/")
        page.get_by_text("It works.").wait_for()
        look("done")
        page.goto(stack.url)
        page.wait_for_url("**/incidents/")
    assert faults == []


class Look:
    """What axe finds wrong with the page as it is, in light and dark; and a picture, for whoever works on the pages."""

    def __init__(self, page, script: str, faults: list[str]) -> None:
        self.page, self.script, self.faults = page, script, faults

    def __call__(self, name: str) -> None:
        page = self.page
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.evaluate(
                "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
                ".then(() => Promise.allSettled(document.getAnimations().map((each) => each.finished))).then(() => 1)"
            )
            rules = [] if scheme == "light" else ["color-contrast"]
            self.faults += [
                f"{name}, {scheme}: {fault}" for fault in axe.violations(page, self.script, rules)
            ]
            if folder := os.environ.get("OPENALERT_PHOTOGRAPHS"):
                page.screenshot(path=f"{folder}/{name}-phone-{scheme}.png", full_page=True)
                page.set_viewport_size({"width": 1280, "height": 900})
                page.screenshot(path=f"{folder}/{name}-wide-{scheme}.png", full_page=True)
                page.set_viewport_size(PHONE["viewport"])
        if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
            self.faults.append(f"{name}: scrolls sideways")
