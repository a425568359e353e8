"""OpenAlert as an app: it can be installed, opens without a connection, keeps nobody's list behind, and is small."""

import json
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.test import Client

from incidents.tests.factories import IncidentFactory
from openalert.tests import every_page
from openalert.tests.browser import running_browser, sign_in, wait_until
from openalert.tests.programs import needs
from teams.tests.factories import PASSWORD, TeamFactory, UserFactory

# Of our own, uncompressed: a page's styles and scripts, the modules that these import, and the icons.
BUDGET_BYTES = 150_000
IMPORT = re.compile(r"""^\s*import\s[^"']*["'](\./[^"']+)["']""", re.MULTILINE)
ASSET = re.compile(r"""(?:src|href)=["']/static/([^"'#?]+\.(?:js|css|svg))""")
SHOWN_ROWS = "[...document.querySelectorAll('#incidents .row-title')].map((row) => row.textContent.trim())"
KEPT_LIST = "caches.has('openalert-seen-1')"


def test_the_manifest_says_where_to_begin_and_its_icons_are_there(client):
    response = client.get("/manifest.webmanifest")
    assert response["Content-Type"] == "application/manifest+json"
    manifest = json.loads(response.content)
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == (
        "/incidents/",
        "/",
        "standalone",
    )
    sizes = {}
    for icon in manifest["icons"]:
        path = Path(finders.find(icon["src"].removeprefix("/static/")))
        if icon["type"] == "image/png":
            width, height = (int.from_bytes(path.read_bytes()[at : at + 4]) for at in (16, 20))
            assert icon["sizes"] == f"{width}x{height}"
        sizes.setdefault(icon["purpose"], []).append(icon["sizes"])
    assert sizes == {"any": ["192x192", "512x512", "any"], "maskable": ["512x512"]}


@pytest.mark.timeout(180)
@needs("chromium")
def test_it_is_installed_and_opens_without_a_connection(web, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    incident = IncidentFactory(service__team=TeamFactory(responders=[ana]), title="Checkout is failing")
    with running_browser() as browser:
        context = browser.new_context(viewport={"width": 360, "height": 780})
        page = context.new_page()
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        sign_in(page, web.url, ana.email, PASSWORD)
        page.goto(f"{web.url}/incidents/")
        wait_until(page, KEPT_LIST)
        page.wait_for_selector("[data-live-state][data-state=live]")
        session = context.new_cdp_session(page)
        errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
        # A test's browser keeps nothing, like a private window.
        assert [error["errorId"] for error in errors if error["errorId"] != "in-incognito"] == []
        # The worker has the parts, too.
        page.reload()
        wait_until(
            page, "caches.open('openalert-parts-1').then(async (kept) => (await kept.keys()).length > 20)"
        )

        web.processes[0].kill()
        page.goto(f"{web.url}/incidents/?state=open")
        assert page.evaluate(SHOWN_ROWS) == [f"#{incident.number} {incident.title}"]
        page.get_by_text("No connection. This is how it was at").wait_for()
        # Styles and scripts are there.
        assert page.evaluate("getComputedStyle(document.querySelector('.topbar')).position") == "sticky"
        # What is done now is done later.
        page.get_by_label(f"Choose #{incident.number}").check()
        page.locator("#bulk").get_by_role("button", name="Acknowledge").click()
        page.locator(".toast", has_text="waits in this tab").wait_for()
        page.goto(f"{web.url}/reports/")
        page.get_by_role("heading", name="No connection").wait_for()

        web.start_web()
        page.get_by_role("link", name="Incidents as they were seen last").click()
        page.wait_for_selector("[data-live-state][data-state=live]")
        # The action that waited was sent.
        page.locator("#incidents", has_text="Acknowledged").wait_for()
        assert page.locator("[data-live-banner=interrupted]").is_hidden()

        # Who signs out leaves nothing behind.
        page.get_by_label("Ana Ruiz: your menu", exact=False).click()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/accounts/login/**")
        wait_until(page, f"{KEPT_LIST}.then((kept) => !kept)")
        assert faults == []


def asset_sizes(html):
    """Bytes of what a page loads of our own, by name."""
    wanted = set(ASSET.findall(html)) - {name for name in ASSET.findall(html) if name.startswith("vendor/")}
    sizes: dict[str, int] = {}
    while wanted:
        name = wanted.pop()
        path = Path(finders.find(name))
        sizes[name] = path.stat().st_size
        if path.suffix == ".js":
            imported = {f"js/{module.removeprefix('./')}" for module in IMPORT.findall(path.read_text())}
            wanted |= imported - sizes.keys()
    return sizes


def test_every_page_loads_less_than_150_kb_of_our_own(db, settings):
    settings.EMAIL_BACKEND = every_page.EMAIL_BACKEND
    scene = every_page.Scene.make()
    client = Client()
    client.force_login(scene.viewer)
    too_much = {}
    for page in every_page.pages(scene, client):
        sizes = asset_sizes(client.get(page.path).text)
        assert {"css/base.css", "js/times.js"} <= sizes.keys()
        if sum(sizes.values()) > BUDGET_BYTES:
            too_much[page.path] = sum(sizes.values())
    assert too_much == {}
    assert Path(finders.find("vendor/htmx/htmx.min.js")).stat().st_size < 55_000
