"""The pages of outgoing webhooks: their teams' managers see and change them, nobody else."""

import pytest

from notifications.enums import WebhookDeliveryStatus, WebhookFormat
from notifications.models import Webhook, WebhookDelivery
from openalert.tests.pages import Pages
from teams.tests.cast import Cast

from .factories import WebhookDeliveryFactory, WebhookFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def pages(db):
    return Pages(Cast())


@pytest.fixture
def webhook(pages):
    return WebhookFactory(team=pages.cast.team, name="To our bot")


def given(pages, **changes):
    return {
        "team": str(pages.cast.team.pk),
        "name": "Bot",
        "url": "https://bot.example.org/x",
        "format": "openalert",
        "events": ["incident.opened"],
        **changes,
    }


def test_who_may_do_what(pages, webhook):
    delivery = WebhookDeliveryFactory(webhook=webhook)
    path = f"/webhooks/{webhook.pk}/"
    assert pages.statuses("get", "/webhooks/") == pages.answers(200, 200, 200, 200)
    assert pages.statuses("post", "/webhooks/new/", given(pages)) == pages.answers(200, 422, 422, 422)
    seen = {
        who: "To our bot" in pages.text(who, "/webhooks/") for who in ("manager", "responder", "outsider")
    }
    assert seen == {"manager": True, "responder": False, "outsider": False}
    assert pages.statuses("get", path) == pages.answers(200, 404, 404, 404)
    for action in ("enabled", "test", "remove"):
        assert pages.statuses("post", f"{path}{action}/") == pages.answers(302, 404, 404, 404)
    assert pages.statuses("post", f"{path}secret/") == pages.answers(200, 404, 404, 404)
    replay = f"/webhooks/deliveries/{delivery.pk}/replay/"
    assert pages.statuses("post", replay) == pages.answers(302, 404, 404, 404)


def test_a_webhook_is_added_and_its_secret_shown_once(pages):
    response = pages.client("manager").post("/webhooks/new/", given(pages))
    webhook = Webhook.objects.get()
    assert (webhook.team, webhook.events) == (pages.cast.team, ["incident.opened"])
    assert webhook.secret in response.text and "no-store" in response.headers["Cache-Control"]
    assert webhook.secret not in pages.text("manager", "/webhooks/")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://127.0.0.1/x"}, "an address inside a private network"),
        ({"url": "https://me:pw@example.org/"}, "A name or password is not sent"),
        ({"url": "ftp://example.org/"}, "Enter a valid URL"),
        ({"team": "019cae6b-6600-7000-9cde-475c50809e19"}, "Select a valid choice"),
        ({"events": ["nonsense"]}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_called_is_refused(pages, changes, words):
    response = pages.client("manager").post("/webhooks/new/", given(pages, **changes))
    assert (response.status_code, words in response.text) == (422, True)
    assert not Webhook.objects.exists()


def test_a_webhook_is_rotated_switched_and_removed(pages, webhook):
    manager, path, old = pages.client("manager"), f"/webhooks/{webhook.pk}/", webhook.secret
    text = manager.post(f"{path}secret/").text
    webhook.refresh_from_db()
    assert webhook.secret in text and webhook.previous_secret == old
    manager.post(f"{path}enabled/", {"is_enabled": "0"})
    assert "Switched off" in pages.text("manager", "/webhooks/")
    assert "This webhook is switched off." in manager.post(f"{path}test/", follow=True).text
    manager.post(f"{path}remove/")
    assert not Webhook.objects.exists()


def test_the_log_shows_what_was_told_and_tells_it_again(pages, webhook):
    delivery = WebhookDeliveryFactory(
        webhook=webhook,
        status=WebhookDeliveryStatus.DEAD,
        attempt_count=8,
        response_status=500,
        last_error="the webhook answered 500",
        body={"type": "incident.opened", "data": {"summary": "<b>Störung</b>"}},
    )
    text = pages.text("manager", f"/webhooks/{webhook.pk}/")
    assert "8 attempts" in text and "answered 500" in text and "Failed for good" in text
    assert "&lt;b&gt;Störung" in text
    pages.client("manager").post(f"/webhooks/deliveries/{delivery.pk}/replay/")
    again = WebhookDelivery.objects.exclude(pk=delivery.pk).get()
    assert (again.event_id, again.body, again.status) == (delivery.event_id, delivery.body, "pending")


def test_a_chats_address_is_a_secret(pages):
    WebhookFactory(
        team=pages.cast.team, url="https://hooks.slack.com/services/T0/B0/secret", format=WebhookFormat.SLACK
    )
    text = pages.text("manager", "/webhooks/")
    assert "https://hooks.slack.com/…" in text and "secret" not in text.replace("New secret", "").replace(
        "/secret/", ""
    )


def test_the_pages_take_as_many_queries_for_three_rows_as_for_one(pages, webhook):
    def add():
        WebhookFactory(team=pages.cast.team)
        WebhookDeliveryFactory(webhook=webhook)

    add()
    paths = ("/webhooks/", f"/webhooks/{webhook.pk}/")
    once = [pages.count_queries("manager", path) for path in paths]
    add()
    add()
    assert [pages.count_queries("manager", path) for path in paths] == once
