"""Debian's Chromium for tests, driven by Playwright."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

OPTIONS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def running_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


TELL = """document.addEventListener("securitypolicyviolation", (event) => console.error(
    `${event.violatedDirective} forbids ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber} ${event.sample}`))"""
# A page that is an error itself, and the picture that browsers ask for when a page names none.
STATUS = "Failed to load resource: the server responded with a status of"


def note_complaints(page: Page) -> list[str]:
    """From now on, what the browser complains of on the page and in its frames, as lines: violations of the
    Content-Security-Policy, errors in the console, exceptions that nothing caught."""
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        url = message.location["url"]
        is_status = message.text.startswith(STATUS) and (url == page.url or url.endswith("/favicon.ico"))
        if message.type == "error" and not is_status:
            complaints.append(f"{page.url} {message.text} {message.location}")

    page.add_init_script(TELL)
    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(f"{page.url} {error}"))
    return complaints


def wait_until(page: Page, expression: str, *, within: float = 30) -> None:
    """Until the JavaScript `expression`, or the promise that it is, is true; fails after so many seconds.

    Playwright's wait_for_function makes code of strings in the page, which the pages' policy forbids.
    """
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if page.evaluate(expression):
                return
        except Error as error:
            if "context was destroyed" not in error.message:  # the page went to another one just then
                raise
        page.wait_for_timeout(50)
    raise AssertionError(f"not within {within} s: {expression}")


def sign_in(page: Page, url: str, email: str, password: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.fill("[name=username]", email)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda address: "/accounts/login/" not in address)
