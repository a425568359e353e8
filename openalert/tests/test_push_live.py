"""A push message in a real browser: shown by our service worker, answered by its button."""

import json

import pytest

from incidents.enums import Status
from notifications.enums import Channel
from notifications.messages import render
from notifications.models import ContactMethod, Reply
from notifications.tests.factories import NotificationFactory
from notifications.transports import web_push
from openalert.tests.browser import running_browser, sign_in
from openalert.tests.programs import needs
from openalert.tests.stack import eventually, running_stack
from teams.tests.factories import PASSWORD, MembershipFactory, UserFactory

SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications()).map(
    ({title, body, tag, actions}) => ({title, body, tag, actions: actions.map(({action}) => action)}))"""


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_page_is_shown_and_answered_in_a_browser(stack, monkeypatch, settings):
    # Playwright's synchronous API runs an event loop in this thread; the ORM is used beside it, not in it.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    settings.SITE_URL = stack.url
    ana = UserFactory(name="Ana Ruiz")
    method = ContactMethod.objects.create(
        user=ana,
        channel=Channel.WEB_PUSH,
        address="https://push.example.org/x",
        keys={"p256dh": "x", "auth": "y"},
    )
    page_of_ana = NotificationFactory(user=ana, contact_method=method, incident__title="Disk full")
    incident = page_of_ana.incident
    MembershipFactory(team=incident.service.team, user=ana)
    payload = web_push.payload(render(page_of_ana))

    with running_browser() as browser:
        context = browser.new_context()
        context.grant_permissions(["notifications"], origin=stack.url)
        page = context.new_page()
        sign_in(page, stack.url, ana.email, PASSWORD)
        page.goto(f"{stack.url}/me/")
        cdp = context.new_cdp_session(page)
        registrations: list[str] = []
        cdp.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: registrations.extend(r["registrationId"] for r in event["registrations"]),
        )
        cdp.send("ServiceWorker.enable")
        page.evaluate("navigator.serviceWorker.register('/service-worker.js')")
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        page.wait_for_timeout(300)
        cdp.send(
            "ServiceWorker.deliverPushMessage",
            {"origin": stack.url, "registrationId": registrations[-1], "data": payload},
        )
        [shown] = eventually(lambda: page.evaluate(SHOWN), within=10, what="the notification")
        assert shown == {
            "title": f"[HIGH] #{incident.number} Disk full",
            "body": f"{incident.service.name}: Disk full",
            "tag": str(page_of_ana.pk),
            "actions": ["acknowledge", "resolve"],
        }

        # What the worker does when a button is pressed: a POST without a session to the signed address, and its answer
        # in the place of the page. (Only the browser itself can make a click that counts as one.)
        [worker] = context.service_workers
        given = json.loads(payload)
        data = {"href": given["href"], "title": given["title"]}
        worker.evaluate(
            "([address, data, tag]) => answer(address, data, tag)",
            [given["answers"]["acknowledge"], data, given["tag"]],
        )
        [shown] = page.evaluate(SHOWN)
        assert (shown["title"], shown["actions"]) == (f"Incident {incident.number} acknowledged by you.", [])
    incident.refresh_from_db()
    assert (incident.status, incident.acknowledged_by) == (Status.ACKNOWLEDGED, ana)
    assert Reply.objects.get().channel == Channel.WEB_PUSH


# A real subscription is made by the browser's own push service, which tests do not reach.
SUBSCRIBE = """PushManager.prototype.subscribe = async function (options) {
    window.subscribedFor = options.applicationServerKey;
    return {toJSON: () => ({
        endpoint: "https://push.example.org/wpush/1",
        expirationTime: null,
        keys: {
            p256dh: "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            auth: "BTBZMqHH6r4Tts7J_aSIgg",
        },
    })};
};"""


@pytest.mark.timeout(180)
@needs("chromium")
def test_a_person_sends_their_pages_to_the_browser_at_hand(transactional_db, monkeypatch):
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    monkeypatch.setenv("WEB_PUSH_PRIVATE_KEY", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA")
    monkeypatch.setenv("WEB_PUSH_CONTACT", "mailto:admin@example.org")
    ana = UserFactory()
    with running_stack() as stack, running_browser() as browser:
        context = browser.new_context()
        context.grant_permissions(["notifications"], origin=stack.url)
        page = context.new_page()
        page.add_init_script(SUBSCRIBE)
        sign_in(page, stack.url, ana.email, PASSWORD)
        page.goto(f"{stack.url}/me/")
        button = page.get_by_role("button", name="Push to this browser")
        key = button.get_attribute("data-push-key")
        button.click()
        page.get_by_text("Pages come to this browser now").wait_for()
        page.get_by_text("push.example.org …push/1").wait_for()  # the list has fetched itself again
        assert page.evaluate("window.subscribedFor") == key
        assert button.is_visible()
    method = ContactMethod.objects.get(user=ana, channel=Channel.WEB_PUSH)
    assert method.is_usable and method.rules.count() == 2 and "Chrom" in method.label
