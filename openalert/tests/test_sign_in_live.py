"""The second factor in a real browser: set up, signed in by a code, and by a recovery code."""

import time

import pyotp
import pytest

from openalert.tests.browser import running_browser
from openalert.tests.programs import needs
from teams.models import SecondFactor
from teams.tests.factories import PASSWORD, UserFactory

WIDER_THAN_PHONE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def code(user, step=0):
    """Of the app: the current one, or one of the steps beside it."""
    return pyotp.TOTP(SecondFactor.objects.get(user=user).secret).at(int(time.time()) + 30 * step)


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_second_factor_is_set_up_and_asked_for(web, monkeypatch):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    ana = UserFactory(name="Ana Ruiz")
    with running_browser() as browser:
        page = browser.new_page(viewport={"width": 360, "height": 780})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))

        def sign_in():
            page.goto(f"{web.url}/accounts/login/")
            page.get_by_label("Email").fill(ana.email)
            page.get_by_label("Password").fill(PASSWORD)
            page.get_by_role("button", name="Sign in").first.click()

        def sign_out():
            page.get_by_label("your menu").click()
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_url("**/accounts/login/")

        sign_in()
        page.wait_for_url("**/incidents/**")
        page.goto(f"{web.url}/me/")
        page.locator("dt", has_text="Second factor").locator("+ dd a").click()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set it up").click()
        picture = page.get_by_role("img", name="QR code").locator("svg")
        assert picture.bounding_box()["width"] > 150
        assert page.evaluate(WIDER_THAN_PHONE) <= 0
        page.get_by_label("Code", exact=True).fill(code(ana))
        page.get_by_role("button", name="Turn it on").click()
        page.get_by_role("heading", name="Recovery codes").wait_for()
        recovery = page.locator("pre code").inner_text().split()
        assert len(recovery) == 10 and page.evaluate(WIDER_THAN_PHONE) <= 0
        page.get_by_role("link", name="I have kept them").click()
        page.get_by_text("10 left").wait_for()
        sign_out()

        sign_in()
        page.wait_for_url("**/accounts/login/code/")
        page.goto(f"{web.url}/incidents/")
        page.wait_for_url("**/accounts/login/?next=**")
        sign_in()
        page.get_by_label("Code", exact=True).fill("000000")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("That is not the code").wait_for()
        page.get_by_label("Code", exact=True).fill(code(ana, 1))  # this step's code was used
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/incidents/**")
        sign_out()

        sign_in()
        page.get_by_label("Code", exact=True).fill(recovery[0])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/incidents/**")
        page.goto(f"{web.url}/me/second-factor/")
        page.get_by_text("9 left").wait_for()
        assert faults == []
