"""Slack with its buttons, Microsoft Teams, and what Apprise speaks: over real HTTP."""

import json
import time
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from slack_sdk.signature import SignatureVerifier

from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.timeline import Actor
from notifications import chat, tasks
from notifications.enums import Channel, Purpose, ReplyOutcome
from notifications.exceptions import DeliveryError
from notifications.messages import render
from notifications.models import Reply
from notifications.transports import TRANSPORTS, messenger, messenger_answers
from teams.tests.factories import MembershipFactory, ServiceFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory
from .provider import Answer, Drip, Hang, Reset, as_json

pytestmark = pytest.mark.django_db
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SENT = as_json({"ok": True, "channel": "D024BE91L", "ts": "1503435956.000247"})


def make_page(channel, address, **values):
    method = ContactMethodFactory(user=UserFactory(name="Ana Ruiz"), channel=channel, address=address)
    page = NotificationFactory(
        user=method.user,
        contact_method=method,
        incident__title="Disk <!channel> *full* & [x](http://evil.example.org)",
        incident__severity=Severity.CRITICAL,
        incident__service=ServiceFactory(name="Payments"),
        **values,
    )
    MembershipFactory(team=page.incident.service.team, user=method.user)
    return page


def send(page):
    return TRANSPORTS[Channel(page.channel)].send(render(page))


@pytest.fixture(autouse=True)
def quick(settings):
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    settings.SITE_URL = "https://alerts.example.org"


@pytest.fixture
def slack(web, settings, reachable):
    settings.SLACK_BOT_TOKEN, settings.SLACK_SIGNING_SECRET = "xoxb-token", SECRET
    settings.SLACK_API_URL = web.url
    web.usual = SENT
    return web


@pytest.fixture
def page(db):
    return make_page(Channel.SLACK, "U024BE7LH")


# Slack: what is sent


def test_a_message_has_buttons_and_no_markup_of_an_alerts(slack, page):
    assert send(page) == "D024BE91L:1503435956.000247"
    [taken] = slack.taken
    assert (taken.path, taken.headers["Authorization"]) == ("/api/chat.postMessage", "Bearer xoxb-token")
    body = taken.json
    assert body["channel"] == "U024BE7LH"
    assert "&lt;!channel&gt;" in body["text"] and "<" not in body["text"]
    kinds = [block["type"] for block in body["blocks"]]
    assert kinds == ["header", "section", "section", "actions"]
    assert body["blocks"][1]["text"] == {
        "type": "plain_text",
        "text": "Payments: Disk <!channel> *full* & [x](http://evil.example.org)",
        "emoji": False,
    }
    buttons = body["blocks"][3]["elements"]
    assert [(b["action_id"], b.get("value"), b.get("url")) for b in buttons] == [
        ("acknowledge", str(page.pk), None),
        ("resolve", str(page.pk), None),
        ("open", None, f"https://alerts.example.org/incidents/{page.incident.number}/"),
    ]


def test_a_test_page_can_be_answered_and_a_code_cannot(slack, page):
    page.incident = None
    for page.purpose in (Purpose.TEST, Purpose.VERIFICATION):
        send(page)
    test, code = (taken.json["blocks"] for taken in slack.taken)
    assert [block["type"] for block in code] == ["header", "section"]
    assert [button["action_id"] for button in test[2]["elements"]] == ["acknowledge", "open"]


def refused(error, **more):
    return as_json({"ok": False, "error": error, **more})


@pytest.mark.parametrize(
    ("answer", "permanent", "breaks_method", "retry_after"),
    [
        # Slack's way of failing is a 200.
        (refused("channel_not_found"), True, True, None),
        (refused("is_archived"), True, True, None),
        (refused("msg_too_long"), True, False, None),
        (refused("invalid_auth"), False, False, None),
        (refused("internal_error"), False, False, None),
        (as_json({"ok": False}), False, False, None),
        (
            as_json({"ok": False, "error": "ratelimited"}, 429, Retry_After="30"),
            False,
            False,
            timedelta(seconds=30),
        ),
        (refused("ratelimited"), False, False, timedelta(seconds=30)),
        (Answer(500, b"oops"), False, False, None),
        (Answer(200, b"<html>welcome</html>", {"Content-Type": "text/html"}), False, False, None),
        (as_json({"ok": True}), False, False, None),
        (Reset, False, False, None),
        (Hang, False, False, None),
    ],
)
def test_a_failure_of_slack(slack, page, answer, permanent, breaks_method, retry_after):
    slack.answers = [answer]
    with pytest.raises(DeliveryError) as caught:
        send(page)
    failure = caught.value
    assert (failure.permanent, failure.breaks_method, failure.retry_after) == (
        permanent,
        breaks_method,
        retry_after,
    )
    assert len(slack.taken) == 1 and "xoxb" not in str(failure)


# Slack: what is pressed


@pytest.fixture
def told(monkeypatch):
    """What is to be said in Slack afterwards, as the task gets it."""
    words = []
    monkeypatch.setattr("notifications.hooks.slack.wake", lambda task, *args: words.append((task, *args)))
    return words


def press(
    page, action="acknowledge", *, user="U024BE7LH", secret=SECRET, at=None, key="trigger-1", body=None
):
    payload = {
        "type": "block_actions",
        "user": {"id": user, "name": "ana"},
        "trigger_id": key,
        "response_url": "https://hooks.slack.com/actions/T0/1/x",
        "message": {"blocks": [{"type": "header"}, {"type": "actions"}]},
        "actions": [{"action_id": action, "value": str(page.pk), "action_ts": "1.2"}],
    }
    content = urlencode({"payload": json.dumps(payload)})
    timestamp = str(int(time.time() if at is None else at))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=content)
    return Client().post(
        "/hooks/slack/",
        content if body is None else body,
        content_type="application/x-www-form-urlencoded",
        headers={"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature},
    )


def test_a_button_acts_for_whoever_pressed_it(slack, page, told):
    for _ in range(2):  # Slack sends again what it got no answer for in time
        assert press(page).status_code == 200
    entry = page.incident.timeline.get(kind=Kind.ACKNOWLEDGED)
    assert (entry.actor, entry.via) == (page.user, "slack")
    assert Reply.objects.count() == 1
    task, address, answer = told[0]
    words = f"Incident {page.incident.number} acknowledged by ana."
    assert (task, address) == ("notifications.tasks.tell_slack", "https://hooks.slack.com/actions/T0/1/x")
    assert json.loads(answer) == {
        "replace_original": True,
        "text": words,
        "blocks": [
            {"type": "header"},
            {"type": "section", "text": {"type": "plain_text", "text": words, "emoji": False}},
        ],
    }


def test_in_a_channel_it_is_whoever_pressed(slack, page, told):
    bo = ContactMethodFactory(user=UserFactory(name="Bo"), channel=Channel.SLACK, address="U0BO12345").user
    MembershipFactory(team=page.incident.service.team, user=bo)
    press(page, "resolve", user="U0BO12345")
    page.incident.refresh_from_db()
    assert (page.incident.status, page.incident.resolved_by) == (Status.RESOLVED, bo)


def test_who_was_first_is_told(slack, page, told):
    lifecycle.resolve(incident_id=page.incident.pk, actor=Actor.person(UserFactory(name="Bo"), via="web"))
    press(page)
    assert (
        json.loads(told[0][2])["text"]
        == f"Incident {page.incident.number} is already resolved by Bo, just now."
    )


def test_a_stranger_does_nothing_and_is_told_how_to_be_known(slack, page, told, caplog):
    press(page, user="U0STRANGER")
    page.incident.refresh_from_db()
    assert (page.incident.status, Reply.objects.get().outcome) == (Status.OPEN, ReplyOutcome.STRANGER)
    answer = json.loads(told[0][2])
    assert (answer["response_type"], answer["replace_original"]) == ("ephemeral", False)
    assert "U0STRANGER" in answer["text"] and "U0STRANGER" in caplog.text


def test_only_slack_is_listened_to(slack, page, told, settings):
    now = time.time()
    refused = [
        press(page, secret="another"),
        press(page, at=now - 400),
        press(page, at=now + 400),
        press(page, body=urlencode({"payload": "{}"})),
        Client().post("/hooks/slack/", {"payload": "{}"}),
        Client().post("/hooks/slack/", {"payload": "{}"}, headers={"X-Slack-Request-Timestamp": "soon"}),
    ]
    settings.SLACK_SIGNING_SECRET = ""
    refused.append(press(page))
    assert {(r.status_code, r.json()["errors"][0]["code"]) for r in refused} == {(403, "bad_signature")}
    assert not Reply.objects.exists() and told == []


@pytest.mark.parametrize(
    "payload", ["", "null", "[]", "{}", '{"actions": []}', '{"actions": [{"action_id": "open"}]}', "[" * 9999]
)
def test_what_is_no_button_of_ours_is_passed_over(slack, payload):
    content = urlencode({"payload": payload})
    timestamp = str(int(time.time()))
    signature = SignatureVerifier(SECRET).generate_signature(timestamp=timestamp, body=content)
    headers = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": signature}
    kind = "application/x-www-form-urlencoded"
    assert Client().post("/hooks/slack/", content, content_type=kind, headers=headers).status_code == 200


def test_the_words_go_to_the_address_that_slack_gave(web, reachable, settings, caplog):
    tasks.tell_slack(f"{web.url}/actions/1", '{"text": "done"}')
    assert (web.taken[0].path, web.taken[0].json) == ("/actions/1", {"text": "done"})
    web.usual = Answer(404)
    chat.tell_slack(f"{web.url}/actions/1", "{}")
    settings.OUTGOING_ALLOWED_NETWORKS = []
    chat.tell_slack(f"{web.url}/actions/1", "{}")
    assert len(web.taken) == 2 and "404" in caplog.text and "not a public address" in caplog.text


# Microsoft Teams


@pytest.fixture
def in_teams(web, reachable):
    web.usual = Answer(202)
    return make_page(Channel.TEAMS, f"{web.url}/workflows/secret")


def test_a_card_has_links_and_no_markup_of_an_alerts(web, in_teams):
    assert send(in_teams) == ""
    [taken] = web.taken
    [attachment] = taken.json["attachments"]
    assert (taken.json["type"], attachment["contentType"]) == (
        "message",
        "application/vnd.microsoft.card.adaptive",
    )
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][1]["text"] == r"Payments: Disk \<!channel\> \*full\* & \[x\](http://evil.example.org)"
    assert card["body"][2]["facts"][0] == {"title": "Service", "value": "Payments"}
    assert [(action["type"], action["title"]) for action in card["actions"]] == [
        ("Action.OpenUrl", "Acknowledge"),
        ("Action.OpenUrl", "Resolve"),
        ("Action.OpenUrl", "Open"),
    ]


@pytest.mark.parametrize(
    ("answer", "permanent", "breaks_method", "retry_after"),
    [
        (Answer(404), True, True, None),
        (Answer(410), True, True, None),
        (Answer(400, b"bad card"), True, False, None),
        (Answer(429, b"", {"Retry-After": "17"}), False, False, timedelta(seconds=17)),
        (Answer(500), False, False, None),
        (Answer(302, b"", {"Location": "http://127.0.0.1:1/"}), True, False, None),
        (Reset, False, False, None),
        (Hang, False, False, None),
        (Drip, False, False, None),
        # Older connectors answer 200 whatever happens.
        (
            Answer(
                200,
                b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
            ),
            False,
            False,
            timedelta(seconds=30),
        ),
        (Answer(200, b"Error: the card could not be posted"), False, False, None),
    ],
)
def test_a_failure_of_teams(web, in_teams, answer, permanent, breaks_method, retry_after):
    web.answers = [answer]
    with pytest.raises(DeliveryError) as caught:
        send(in_teams)
    failure = caught.value
    assert (failure.permanent, failure.breaks_method, failure.retry_after) == (
        permanent,
        breaks_method,
        retry_after,
    )
    assert len(web.taken) == 1 and "secret" not in str(failure)


@pytest.mark.parametrize("body", [b"", b"1"])
def test_teams_says_yes_in_two_ways(web, in_teams, body):
    web.usual = Answer(200, body)
    send(in_teams)


def test_no_card_leads_into_our_network(web, in_teams, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises(DeliveryError, match="not a public address") as caught:
        send(in_teams)
    assert caught.value.breaks_method and web.taken == []


# Apprise


@pytest.fixture
def ntfy(web, reachable):
    web.usual = as_json({"id": "x"})
    return make_page(Channel.APPRISE, f"ntfy://127.0.0.1:{web.port}/pages")


def test_a_messenger_gets_the_page_with_its_links(web, ntfy):
    send(ntfy)
    [taken] = web.taken
    body = taken.json
    assert body["topic"] == "pages"
    assert (
        body["title"]
        == f"[CRITICAL] #{ntfy.incident.number} Disk <!channel> *full* & [x](http://evil.example.org)"
    )
    lines = body["message"].splitlines()
    assert lines[0] == "Payments: Disk <!channel> *full* & [x](http://evil.example.org)"
    assert lines[4].startswith("Acknowledge: https://alerts.example.org/answer/")
    assert lines[-1] == f"https://alerts.example.org/incidents/{ntfy.incident.number}/"


LIES = [
    as_json({"error": "queue full"}),
    Answer(200),
    Answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"}),
]


@pytest.mark.parametrize("fault", [Answer(500), Answer(403), Answer(503), Reset, Hang, Drip, *LIES])
def test_a_failure_of_a_messenger_is_tried_again(web, ntfy, fault):
    web.usual = fault
    with pytest.raises(DeliveryError, match=r"did not take it|could not be reached|answered") as caught:
        send(ntfy)
    assert not caught.value.permanent and len(web.taken) == 1


def test_a_messenger_is_not_believed_because_a_redirect_led_to_a_page(web, ntfy):
    """A POST that is redirected becomes a GET: what it is answered says nothing of the message."""
    web.answers = [Answer(301, b"", {"Location": f"{web.url}/welcome"})]
    with pytest.raises(DeliveryError, match="301") as caught:
        send(ntfy)
    assert caught.value.permanent and len(web.taken) == 1


DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544"
PUSHOVER = f"pover://{'u' * 30}@{'a' * 30}"
# Of a good status or not: how it fails, as (permanent, breaks_method, retry_after); None when it is taken.
ANSWERS = [
    (TELEGRAM, as_json({"ok": True, "result": {"message_id": 7}}), None),
    (TELEGRAM, as_json({"ok": False, "description": "Internal"}), (False, False, None)),
    (TELEGRAM, as_json({"ok": False, "description": "Bad Request: chat not found"}, 400), (True, True, None)),
    (TELEGRAM, as_json({"ok": False, "description": "Bad Request: too long"}, 400), (True, False, None)),
    (
        TELEGRAM,
        as_json({"ok": False, "description": "Forbidden: bot was blocked by the user"}, 403),
        (True, True, None),
    ),
    (
        TELEGRAM,
        as_json({"ok": False, "parameters": {"retry_after": 9}}, 429),
        (False, False, timedelta(seconds=9)),
    ),
    (DISCORD, Answer(204), None),
    (DISCORD, as_json({"id": "88"}), None),
    (DISCORD, as_json({"message": "Service resource is being rate limited."}), (False, False, None)),
    (DISCORD, as_json({"message": "Unknown Webhook", "code": 10015}, 404), (True, True, None)),
    (DISCORD, as_json({"retry_after": 3.5}, 429), (False, False, timedelta(seconds=3.5))),
    (PUSHOVER, as_json({"status": 1, "request": "647d2300"}), None),
    (PUSHOVER, as_json({"status": 0, "errors": ["the servers are busy"]}), (False, False, None)),
    (PUSHOVER, as_json({"status": 0, "errors": ["user identifier is not valid"]}, 400), (True, True, None)),
]


@pytest.mark.parametrize(("address", "answer", "fails"), ANSWERS)
def test_what_a_messenger_answers_counts_and_not_its_status_alone(
    web, reachable, monkeypatch, address, answer, fails
):
    service = type(messenger.service_at(address))
    monkeypatch.setattr(service, "notify_url", f"{web.url}/bot")
    web.usual = answer
    page = make_page(Channel.APPRISE, address)
    if fails is None:
        send(page)
    else:
        with pytest.raises(DeliveryError) as caught:
            send(page)
        failure = caught.value
        assert (failure.permanent, failure.breaks_method, failure.retry_after) == fails
        assert address.partition("://")[2][:9] not in str(failure)
    assert len(web.taken) == 1, "nor does Apprise try again, or wait, itself"


def test_an_attempt_keeps_a_messengers_name_for_the_message(web, ntfy):
    web.usual = as_json({"id": "hwQ2YpKdmg", "event": "message"})
    assert send(ntfy) == "hwQ2YpKdmg"


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        ({"success": False}, True),
        ({"errcode": 40001, "errmsg": "invalid"}, True),
        ({"errcode": 0, "errmsg": "ok"}, False),
        ({"status": "error"}, True),
        ({"status": "ok", "error": None}, False),
        ({}, False),
    ],
)
def test_an_error_in_the_body_of_a_service_that_we_do_not_know(body, is_error):
    assert messenger_answers.says_error(body) is is_error


def test_an_address_does_not_change_how_we_send(web, ntfy):
    ntfy.address += "?retry=5&wait=30&optional=yes&verify=no&rto=600&cto=600"
    web.usual = Answer(500)
    with pytest.raises(DeliveryError):
        send(ntfy)
    assert len(web.taken) == 1
    service = messenger.service_at(ntfy.address)
    assert (service.verify_certificate, service.retry, service.optional) == (True, 0, False)


def test_no_messenger_leads_into_our_network_not_even_by_a_redirect(web, ntfy, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises(DeliveryError):
        send(ntfy)
    assert web.taken == []


@pytest.mark.parametrize(
    "address",
    [
        "json://127.0.0.1/x",
        "mailto://me:pw@example.org",
        "syslog://",
        "file:///etc/passwd",
        "dbus://",
        "tgram://",
        "x",
    ],
)
def test_services_that_are_not_allowed_are_none(address, db):
    with pytest.raises(DeliveryError) as caught:
        messenger.service_at(address)
    assert caught.value.breaks_method
