"""Every page in a real browser: WCAG 2.2 AA in light and dark, at home on a phone, small, and without a complaint of the
browser's: no violation of the Content-Security-Policy, no error in the console."""

import pytest
from django.test import Client

from openalert import demo
from openalert.tests import axe, every_page
from openalert.tests.browser import note_complaints, running_browser, sign_in, wait_until
from openalert.tests.programs import needs

PHONE, WIDE = {"width": 360, "height": 780}, {"width": 1280, "height": 900}
LOADED = "document.readyState === 'complete' && !document.querySelector('.htmx-request')"
UNFOLD = "document.querySelectorAll('details.disclosure').forEach((each) => { each.open = true; })"
WIDER_THAN_PHONE = """() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const wide = [...document.querySelectorAll(":is(main, #main) *")].filter((each) => each.getBoundingClientRect().right > width);
    return wide.slice(-3).map((each) => `scrolls sideways: ${each.tagName} ${each.className}`);
}"""
# On a phone: a button that lies over the code it copies, a table that scrolls up and down within the page.
IN_THE_WAY = """() => [
    ...[...document.querySelectorAll(".code:has(> .btn)")].filter((each) => each.checkVisibility()
        && each.querySelector(".btn").getBoundingClientRect().left < each.querySelector("pre").getBoundingClientRect().right),
    ...[...document.querySelectorAll(".table-wrap")].filter((each) => each.checkVisibility() && each.scrollHeight > each.clientHeight + 1),
].map((each) => `is in the way: ${each.className} ${each.textContent.trim().slice(0, 40)}`)"""
# What is pressed with a thumb at 3 a.m.
MAIN_ACTIONS = ".btn-primary, .btn-danger, .action-bar .btn, .nav a, .form-actions .btn"
SMALL_ACTIONS = """(selector) => [...document.querySelectorAll(selector)].flatMap((each) => {
    const {width, height} = each.getBoundingClientRect();
    return each.checkVisibility() && (width < 44 || height < 44)
        ? [`${Math.round(width)} × ${Math.round(height)} px: ${each.textContent.trim()}`] : [];
})"""
# The rest is the same on the same document.
DIFFERS_BY_WIDTH = [
    "color-contrast",
    "label-content-name-mismatch",
    "scrollable-region-focusable",
    "target-size",
]
LONE_PAGES = ["/accounts/login/", "/accounts/reset/", "/no-such-page/"]
# The admin is Unfold's, mended by static/css/admin.css and static/js/admin.js: {} is a row of the scene.
ADMIN_PAGES = {
    "/admin/": None,
    "/admin/incidents/incident/": None,
    "/admin/escalations/escalationpolicy/{}/change/": "policy",
    "/admin/escalations/escalationpolicy/{}/delete/": "policy",
    "/admin/escalations/escalationpolicy/{}/preview/": "policy",
    "/admin/alerts/integration/{}/change/": "integration",
    "/admin/alerts/integration/{}/test-alert/": "integration",
    "/admin/alerts/integration/{}/add-rule/": "integration",
    "/admin/teams/schedule/{}/change/": "schedule",
    "/admin/teams/schedule/{}/on-call/": "schedule",
    "/admin/teams/layer/{}/people/": "layer",
    "/admin/teams/team/{}/change/": "team",
    "/admin/teams/user/{}/change/": "viewer",
    "/admin/teams/user/{}/password/": "viewer",
    "/admin/teams/team/{}/history/": "team",
    "/admin/notifications/contactmethod/texts/": None,
    "/admin/people/import/": None,
}
PEOPLE = {"name": "people.csv", "mimeType": "text/csv", "buffer": b"email,name\n"}
# Of others' making, and only to be without complaints.
PAGES_OF_OTHERS = [
    "/admin/alerts/integration/add/",
    "/admin/alerts/integration/",
    "/admin/teams/membership/",
    "/admin/teams/override/add/",
    "/admin/django_celery_beat/periodictask/add/",
    "/api/docs/",
]


# Colours change over a moment.
PAINTED = "Promise.allSettled(document.getAnimations().map((each) => each.finished)).then(() => true)"


def paint(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.evaluate(PAINTED)


def look(page, url, path, script):
    """What is wrong with a page, as lines: on a phone in light, wide in dark."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(PHONE)
    page.goto(f"{url}{path}")
    wait_until(page, LOADED)
    page.evaluate(UNFOLD)
    # In its whole length: what stays in place at the bottom hides nothing then.
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({**PHONE, "height": max(height, PHONE["height"])})
    found = axe.violations(page, script)
    found += page.evaluate(WIDER_THAN_PHONE) + page.evaluate(IN_THE_WAY)
    found += page.evaluate(SMALL_ACTIONS, MAIN_ACTIONS)
    page.set_viewport_size(WIDE)
    paint(page, "dark")
    found += axe.violations(page, script, DIFFERS_BY_WIDTH)
    return [f"{path} {line}" for line in dict.fromkeys(found)]


def look_at_admin(page, url, path, script):
    """The same, but for sizes. Unfold asks for the colour scheme when a page is opened."""
    found = []
    for scheme, size, rules in (("light", PHONE, ()), ("dark", WIDE, DIFFERS_BY_WIDTH)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size(size)
        page.goto(f"{url}{path}")
        wait_until(page, f"{LOADED} && !document.documentElement.hasAttribute('x-cloak')")
        page.evaluate(PAINTED)
        found += [f"{scheme}: {line}" for line in axe.violations(page, script, rules)]
        found += page.evaluate(WIDER_THAN_PHONE)
    return [f"{path} {line}" for line in found]


@pytest.mark.timeout(900)
@needs("chromium", "node", "npm")
def test_every_page_can_be_read_and_used_by_everybody(web, monkeypatch, tmp_path, settings):
    settings.EMAIL_BACKEND = every_page.EMAIL_BACKEND
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    script = axe.fetch_script(tmp_path)
    scene = every_page.Scene.make()
    client = Client()
    client.force_login(scene.viewer)
    pages = every_page.pages(scene, client)
    assert len(pages) > 40
    found = []
    with running_browser() as browser:
        page = browser.new_page(viewport=PHONE, has_touch=True, is_mobile=True)
        complaints = note_complaints(page)
        asked = set()
        page.on("request", lambda request: asked.add(request.url))
        for path in LONE_PAGES:
            found += look(page, web.url, path, script)
        sign_in(page, web.url, demo.CARLA.email, demo.PASSWORD)
        for each in pages:
            found += look(page, web.url, each.path, script)
        for path, row in ADMIN_PAGES.items():
            found += look_at_admin(page, web.url, path.format(row and getattr(scene, row).pk), script)
        # It is on the last of them: Unfold's script shows the name of a file that is chosen.
        page.set_input_files("input[type=file]", files=[PEOPLE])
        assert page.locator("input[type=text][disabled]").get_attribute("value") == PEOPLE["name"]
        for path in PAGES_OF_OTHERS:
            page.goto(f"{web.url}{path}")
            page.wait_for_load_state("networkidle")
        found += complaints
        found += [
            f"asks another host: {url}"
            for url in asked
            if not url.startswith((f"{web.url}/", "data:", "blob:"))
        ]
        # It would complain.
        page.goto(f"{web.url}/offline/")
        with page.expect_console_message(lambda said: "style-src-attr forbids inline" in said.text):
            page.evaluate("document.body.innerHTML += '<p style=\"color: red\">'")
    assert not found, "\n".join(found)
