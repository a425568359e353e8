"""SMS and calls: what Twilio is sent, by its own description, and what becomes of what it tells."""

import base64
import threading
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from twilio.request_validator import RequestValidator

from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.timeline import Actor
from notifications import fallback, outbox, receipts
from notifications.enums import (
    AttemptStatus,
    Channel,
    NotificationStatus,
    Purpose,
    Receipt,
    ReplyOutcome,
)
from notifications.exceptions import DeliveryError
from notifications.messages import render
from notifications.models import Notification, Reply
from notifications.transports import TRANSPORTS
from teams.tests.factories import MembershipFactory, ServiceFactory, UserFactory

from . import twilio_spec
from .factories import ContactMethodFactory, DeliveryAttemptFactory, NotificationFactory
from .provider import Answer, Hang, Reset, as_json
from .recorder import Recorder, work

pytestmark = pytest.mark.django_db

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "an auth token"
NUMBER = "+14155550123"
SID = "SM" + "a" * 32
CALL_SID = "CA" + "b" * 32


@pytest.fixture
def twilio(web, settings):
    """An account, and its API on this machine, which takes what Twilio's own description says."""
    settings.TWILIO_ACCOUNT_SID, settings.TWILIO_AUTH_TOKEN = ACCOUNT, TOKEN
    settings.TWILIO_FROM_NUMBER = "+15005550006"
    settings.TWILIO_API_URL = web.url
    settings.FEATURE_VOICE_CALLS = True
    settings.SITE_URL = "https://alerts.example.org"
    settings.PROVIDER_TIMEOUT_SECONDS = 1
    web.usual = partial(twilio_spec.answer, sid=SID, status="queued")
    return web


def make_page(channel=Channel.SMS, **values):
    method = ContactMethodFactory(user=UserFactory(name="Ana Ruiz"), channel=channel, address=NUMBER)
    page = NotificationFactory(user=method.user, contact_method=method, **values)
    MembershipFactory(team=page.incident.service.team, user=method.user)
    return page


@pytest.fixture
def sms(db):
    return make_page(
        incident__title="Checkout errors above 5 %", incident__service=ServiceFactory(name="Payments"),
        incident__severity=Severity.CRITICAL,
    )  # fmt: skip


@pytest.fixture
def call(db):
    return make_page(
        Channel.VOICE,
        incident__title="Disk <full> & failing",
        incident__service=ServiceFactory(name="Payments"),
    )


def send(page):
    return TRANSPORTS[Channel(page.channel)].send(render(page))


def post(path, fields, *, token=TOKEN, origin="https://alerts.example.org"):
    """What Twilio sends: a form, signed by its own means over the address that it was given."""
    form = {"AccountSid": ACCOUNT, **fields}
    signature = RequestValidator(token).compute_signature(origin + path, form)
    return Client().post(path, form, headers={"X-Twilio-Signature": signature})


def text_message(body, *, sender=NUMBER, sid="SM1", **more):
    fields = {"From": sender, "To": "+15005550006", "Body": body, "MessageSid": sid, **more}
    response = post(reverse("twilio-sms"), fields)
    assert response.status_code == 200
    return [message.text for message in ElementTree.fromstring(response.text).iter("Message")]


# What is sent


def test_a_text_message_is_what_twilio_takes(twilio, sms):
    assert send(sms) == SID
    [taken] = twilio.taken
    twilio_spec.check(taken)
    credentials = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert (taken.path, taken.headers["Authorization"]) == (
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        f"Basic {credentials}",
    )
    number = sms.incident.number
    assert taken.fields == {
        "To": NUMBER,
        "From": "+15005550006",
        "Body": f"CRITICAL #{number} Payments: Checkout errors above 5 %\nReply A {number} to ack, R {number} to resolve",
        "StatusCallback": f"https://alerts.example.org/hooks/twilio/messages/{sms.pk}/status/",
        "ValidityPeriod": "3600",
    }


def test_a_messaging_service_may_be_the_sender(twilio, settings, sms):
    settings.TWILIO_FROM_NUMBER, settings.TWILIO_MESSAGING_SERVICE_SID = "", "MG" + "0" * 32
    send(sms)
    twilio_spec.check(twilio.taken[0])
    assert twilio.taken[0].fields["MessagingServiceSid"] == "MG" + "0" * 32
    assert "From" not in twilio.taken[0].fields


def test_a_call_is_what_twilio_takes(twilio, call):
    twilio.usual = partial(twilio_spec.answer, sid=CALL_SID, status="queued")
    assert send(call) == CALL_SID
    [taken] = twilio.taken
    twilio_spec.check(taken)
    assert taken.path == f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
    assert taken.form == {
        "To": [NUMBER],
        "From": ["+15005550006"],
        "Url": [f"https://alerts.example.org/hooks/twilio/calls/{call.pk}/"],
        "Method": ["POST"],
        "StatusCallback": [f"https://alerts.example.org/hooks/twilio/calls/{call.pk}/status/"],
        "StatusCallbackEvent": ["ringing", "completed"],
        "StatusCallbackMethod": ["POST"],
        "MachineDetection": ["DetectMessageEnd"],
        "Timeout": ["45"],
    }


@pytest.mark.parametrize(
    ("channel", "setting"), [(Channel.SMS, "TWILIO_ACCOUNT_SID"), (Channel.VOICE, "FEATURE_VOICE_CALLS")]
)
def test_without_credentials_it_is_off_and_says_so(channel, setting):
    transport = TRANSPORTS[channel]
    assert not transport.is_configured() and setting in transport.why_off()
    with pytest.raises(DeliveryError, match=setting) as caught:
        send(make_page(channel))
    assert caught.value.permanent


def test_calls_hang_on_their_flag_too(twilio, settings, call):
    settings.FEATURE_VOICE_CALLS = False
    assert TRANSPORTS[Channel.SMS].is_configured() and not TRANSPORTS[Channel.VOICE].is_configured()
    with pytest.raises(DeliveryError):
        send(call)
    assert twilio.taken == []


# What can go wrong


def refusal(status, code):
    return as_json({"code": code, "message": "why", "more_info": "", "status": status}, status)


@pytest.mark.parametrize(
    ("answer", "permanent", "breaks_method", "retry_after"),
    [
        (refusal(400, 21211), True, True, None),
        (refusal(400, 21610), True, True, None),
        (refusal(400, 21614), True, True, None),
        (refusal(400, 21602), True, False, None),
        (refusal(400, 21606), False, False, None),
        (refusal(401, 20003), False, False, None),
        (refusal(500, 20500), False, False, None),
        (Answer(502, b"<html>bad gateway</html>"), False, False, None),
        (Answer(404, b"not Twilio"), True, False, None),
        (Answer(503, b"", {"Retry-After": "7"}), False, False, None),
        (as_json({"code": 20429}, 429, Retry_After="90"), False, False, timedelta(seconds=90)),
        (as_json({"code": 20429}, 429), False, False, timedelta(seconds=30)),
        (as_json({"code": 20429}, 429, Retry_After="99999999"), False, False, timedelta(hours=1)),
        (Reset, False, False, None),
        (Hang, False, False, None),
        # Lies: a success that is none.
        (Answer(201, b"<html>welcome</html>"), False, False, None),
        (Answer(200, b"[]"), False, False, None),
        (as_json({"sid": SID, "status": "failed", "error_code": 30005}, 201), True, True, None),
        (as_json({"sid": SID, "status": "failed", "error_code": 30007}, 201), True, False, None),
        (as_json({"status": "queued", "error_code": None}, 201), False, False, None),
    ],
)
def test_a_failure_knows_what_follows_from_it(twilio, sms, answer, permanent, breaks_method, retry_after):
    twilio.answers = [answer]
    with pytest.raises(DeliveryError) as caught:
        send(sms)
    failure = caught.value
    assert (failure.permanent, failure.breaks_method, failure.retry_after) == (
        permanent,
        breaks_method,
        retry_after,
    )
    assert len(twilio.taken) == 1  # to try again is the outbox's to decide
    assert TOKEN not in str(failure)


def test_a_closed_port_is_no_reason_to_give_up(twilio, sms):
    twilio.close()
    with pytest.raises(DeliveryError) as caught:
        send(sms)
    assert not caught.value.permanent


# Answers by text message


def test_the_person_answers_and_is_answered(twilio, sms):
    number = sms.incident.number
    assert text_message(f"A {number}") == [f"Incident {number} acknowledged by you."]
    sms.incident.refresh_from_db()
    assert (sms.incident.status, sms.incident.acknowledged_by) == (Status.ACKNOWLEDGED, sms.user)
    entry = sms.incident.timeline.get(kind=Kind.ACKNOWLEDGED)
    assert (entry.actor_name, entry.via) == ("Ana Ruiz", "sms")
    assert text_message(f"r{number}!", sid="SM2") == [f"Incident {number} resolved by you."]


@pytest.mark.parametrize(
    "body", ["ack", "4", "A", "Ack, on my way", " acknowledge. ", "ACK #{} please", "a{}", "4 {}"]
)
def test_many_ways_to_acknowledge(twilio, sms, body):
    Notification.objects.update(status=NotificationStatus.SENT, sent_at=sms.created_at)
    number = sms.incident.number
    assert text_message(body.format(number)) == [f"Incident {number} acknowledged by you."]


@pytest.mark.parametrize(
    "body", ["", "hello", "42", "4444", "R2D2 is down", "💥", "\x00", "acknowledge" * 200]
)
def test_what_is_not_understood_is_helped_with_and_does_nothing(twilio, sms, body):
    assert text_message(body) == [
        "Reply A 42 to acknowledge incident 42, R 42 to resolve it."
    ] or body.startswith("R2")
    sms.incident.refresh_from_db()
    assert sms.incident.status == Status.OPEN


def test_the_same_message_twice_is_one_answer(twilio, sms):
    number = sms.incident.number
    first = text_message(f"A {number}")
    lifecycle.unacknowledge(incident_id=sms.incident.pk, actor=Actor.person(sms.user, via="web"))
    assert text_message(f"A {number}") == first
    sms.incident.refresh_from_db()
    assert sms.incident.status == Status.OPEN
    assert Reply.objects.count() == 1


def test_who_was_first_is_told(twilio, sms, clock):
    bo = UserFactory(name="Bo Lind")
    lifecycle.resolve(incident_id=sms.incident.pk, actor=Actor.person(bo, via="web"))
    clock.advance(minutes=2, seconds=20)
    number = sms.incident.number
    assert text_message(f"A {number}") == [
        f"Incident {number} is already resolved by Bo Lind, 2 minutes ago."
    ]
    assert text_message(f"R {number}", sid="SM2") == [
        f"Incident {number} is already resolved by Bo Lind, 2 minutes ago."
    ]
    assert {reply.outcome for reply in Reply.objects.all()} == {ReplyOutcome.ALREADY}


def test_what_monitoring_resolved_has_its_name(twilio, sms, clock):
    lifecycle.resolve(incident_id=sms.incident.pk, actor=Actor.integration("Prometheus", via="alert"))
    assert text_message(f"R {sms.incident.number}") == [
        f"Incident {sms.incident.number} is already resolved by Prometheus, just now."
    ]


def test_a_stranger_does_nothing_is_told_nothing_and_is_logged(twilio, sms, caplog):
    assert text_message(f"A {sms.incident.number}", sender="+14155550199") == []
    sms.incident.refresh_from_db()
    reply = Reply.objects.get()
    assert (sms.incident.status, reply.outcome, reply.user) == (Status.OPEN, ReplyOutcome.STRANGER, None)
    assert "+14155550199" in caplog.text


@pytest.mark.parametrize("lost", ["verified_at", "is_active"])
def test_a_number_nobody_proved_or_somebody_who_left_is_a_stranger(twilio, sms, lost):
    if lost == "verified_at":
        sms.contact_method.verified_at = None
        sms.contact_method.save()
    else:
        sms.user.is_active = False
        sms.user.save()
    assert text_message(f"A {sms.incident.number}") == []
    assert Reply.objects.get().outcome == ReplyOutcome.STRANGER


def test_other_teams_incidents_do_not_exist(twilio, sms):
    other = NotificationFactory()
    numbers = f"{sms.incident.number} {other.incident.number} 999999"
    assert text_message(f"A {numbers}") == [
        f"Incident {sms.incident.number} acknowledged by you. There is no incident {other.incident.number} for you. "
        "There is no incident 999999 for you."
    ]
    other.incident.refresh_from_db()
    assert other.incident.status == Status.OPEN


def test_whoever_was_paged_may_answer_without_being_in_the_team(twilio, sms):
    sms.user.memberships.all().delete()
    assert text_message(f"A {sms.incident.number}") == [
        f"Incident {sms.incident.number} acknowledged by you."
    ]


def test_a_bare_ack_is_not_guessed_when_several_wait(twilio, sms, clock):
    second = NotificationFactory(user=sms.user, contact_method=sms.contact_method)
    Notification.objects.update(status=NotificationStatus.SENT, sent_at=clock.now)
    numbers = sorted((sms.incident.number, second.incident.number))
    [words] = text_message("ack")
    assert words.startswith("2 incidents wait. Which one? Reply A ")
    assert all(f"A {number}" in words for number in numbers)
    assert text_message(f"A {numbers[0]} {numbers[1]}", sid="SM2") == [
        f"Incident {numbers[0]} acknowledged by you. Incident {numbers[1]} acknowledged by you."
    ]
    assert text_message("ack", sid="SM3")[0].startswith("Incident ")


def test_a_test_page_is_answered_when_it_came_last(twilio, clock, sms):
    Notification.objects.update(status=NotificationStatus.SENT, sent_at=clock.now)
    clock.advance(minutes=1)
    test = outbox.send_test(user=sms.user, contact_method=sms.contact_method)
    outbox.deliver(test.pk)
    assert twilio.taken[0].fields["Body"].endswith("Reply A to see that your answer arrives.")
    assert text_message("A") == ["Your answer to the test page has arrived."]
    assert (test.replies.get().outcome, sms.incident.timeline.count()) == (ReplyOutcome.DONE, 0)
    assert text_message("A", sid="SM2") == [f"Incident {sms.incident.number} acknowledged by you."]


def test_nothing_was_paged_here(twilio, sms):
    assert text_message("ack") == [
        "You were paged about nothing here. Reply A 42 to acknowledge incident 42, R 42 to resolve it."
    ]


def test_of_several_people_with_one_number_it_is_who_was_paged_last(twilio, sms, clock):
    bo = ContactMethodFactory(user=UserFactory(name="Bo Lind"), channel=Channel.SMS, address=NUMBER).user
    assert text_message(f"A {sms.incident.number}") == []  # nobody was paged here: it could be either
    NotificationFactory(
        user=bo,
        contact_method=bo.contact_methods.get(),
        incident=sms.incident,
        status=NotificationStatus.SENT,
    )
    text_message(f"A {sms.incident.number}", sid="SM2")
    sms.incident.refresh_from_db()
    assert sms.incident.acknowledged_by == bo


@pytest.mark.parametrize("more", [{"OptOutType": "STOP"}, {}])
def test_stop_and_start(twilio, sms, more):
    """Twilio answers them itself, and refuses every message in between. No page has to fail to find that out."""
    owner = sms.user.email
    assert text_message("Stop" if not more else "ARRET", **more) == []
    method = sms.contact_method
    method.refresh_from_db()
    assert "STOP" in method.broken_reason
    assert Notification.objects.get(purpose=Purpose.NOTICE).address == owner
    text_message("STOP", sid="SM2")
    assert Notification.objects.filter(purpose=Purpose.NOTICE).count() == 1
    assert text_message("start", sid="SM3") == []
    method.refresh_from_db()
    assert (method.broken_at, method.broken_reason) == (None, "")
    assert {reply.user for reply in Reply.objects.all()} == {sms.user}


def test_stop_of_somebody_unknown_changes_nothing(twilio, sms):
    assert text_message("STOP", sender="+14155550199") == []
    sms.contact_method.refresh_from_db()
    assert sms.contact_method.broken_at is None
    assert Reply.objects.get().outcome == ReplyOutcome.STRANGER


# Signatures


@pytest.mark.parametrize(
    "sent",
    [
        lambda path, form: post(path, form, token="another token"),
        lambda path, form: post(path, {**form, "AccountSid": "AC" + "f" * 32}),
        lambda path, form: post(path, form, origin="https://evil.example.org"),
        lambda path, form: Client().post(path, {"AccountSid": ACCOUNT, **form}),
        lambda path, form: Client().post(
            path, {"AccountSid": ACCOUNT, **form}, headers={"X-Twilio-Signature": "ÿñ"}
        ),
    ],
    ids=["token", "account", "address", "none", "nonsense"],
)
def test_only_twilio_is_listened_to(twilio, sms, sent):
    paths = {
        "twilio-sms": [],
        "twilio-message-status": [sms.pk],
        "twilio-call": [sms.pk],
        "twilio-call-keys": [sms.pk],
        "twilio-call-status": [sms.pk],
    }
    form = {
        "From": NUMBER,
        "Body": f"A {sms.incident.number}",
        "MessageSid": "SM1",
        "Digits": "4",
        "CallSid": "CA1",
    }
    for name, arguments in paths.items():
        response = sent(reverse(name, args=arguments), form)
        assert (response.status_code, response.json()["errors"][0]["code"]) == (403, "bad_signature")
    assert not Reply.objects.exists()


def test_a_signed_request_whose_form_was_changed_is_refused(twilio, sms):
    path = reverse("twilio-sms")
    form = {"AccountSid": ACCOUNT, "From": NUMBER, "Body": "hello", "MessageSid": "SM1"}
    signature = RequestValidator(TOKEN).compute_signature(f"https://alerts.example.org{path}", form)
    changed = {**form, "Body": f"A {sms.incident.number}"}
    assert Client().post(path, changed, headers={"X-Twilio-Signature": signature}).status_code == 403


def test_without_an_account_nothing_is_listened_to(settings, sms):
    settings.SITE_URL = "https://alerts.example.org"
    assert post(reverse("twilio-sms"), {"Body": "ack"}, token="").status_code == 403


# Calls


def call_hook(name, page, **fields):
    response = post(reverse(name, args=[page.pk]), {"CallSid": CALL_SID, "To": NUMBER, **fields})
    assert response.status_code == 200
    return ElementTree.fromstring(response.text)


def spoken(answer):
    return [say.text for say in answer.iter("Say")]


def test_a_call_says_what_is_wrong_and_waits_for_a_key(twilio, call):
    answer = call_hook("twilio-call", call, AnsweredBy="human")
    words = (
        f"OpenAlert. High incident {call.incident.number} at Payments. Disk <full> & failing. "
        "Press 4 to acknowledge. Press 6 to resolve. Press 0 to hear it again."
    )
    assert spoken(answer) == [words, words, "Goodbye."]
    for gather in answer.iter("Gather"):
        action = urlsplit(gather.attrib["action"])
        assert (action.netloc, action.path) == (
            "alerts.example.org",
            reverse("twilio-call-keys", args=[call.pk]),
        )
        assert gather.attrib["numDigits"] == "1"


@pytest.mark.parametrize(
    ("digit", "status", "words"),
    [("4", Status.ACKNOWLEDGED, "acknowledged"), ("6", Status.RESOLVED, "resolved")],
)
def test_a_key_answers_for_the_person_who_was_called(twilio, call, digit, status, words):
    for _ in range(2):  # Twilio asks again when it did not hear us
        answer = call_hook("twilio-call-keys", call, Digits=digit)
        assert spoken(answer) == [f"Incident {call.incident.number} {words} by you. Goodbye."]
    call.incident.refresh_from_db()
    assert call.incident.status == status
    entries = call.incident.timeline.filter(actor_name="Ana Ruiz")
    assert [(entry.kind, entry.via) for entry in entries] == [(status.value, "phone")]


@pytest.mark.parametrize("digit", ["0", "9", "*", ""])
def test_any_other_key_says_it_again(twilio, call, digit):
    assert len(spoken(call_hook("twilio-call-keys", call, Digits=digit))) == 3
    call.incident.refresh_from_db()
    assert call.incident.status == Status.OPEN


def test_what_was_answered_meanwhile_is_said(twilio, call):
    lifecycle.acknowledge(incident_id=call.incident.pk, actor=Actor.person(UserFactory(name="Bo"), via="web"))
    assert "It is acknowledged by now." in spoken(call_hook("twilio-call", call))[0]
    assert spoken(call_hook("twilio-call-keys", call, Digits="4")) == [
        f"Incident {call.incident.number} is already acknowledged by Bo, just now. Goodbye."
    ]


def test_a_machine_is_told_without_keys_and_it_is_noted(twilio, call):
    attempt = DeliveryAttemptFactory(notification=call, provider_id=CALL_SID)
    answer = call_hook("twilio-call", call, AnsweredBy="machine_end_beep")
    assert len(spoken(answer)) == 1 and not list(answer.iter("Gather"))
    attempt.refresh_from_db()
    assert attempt.receipt == Receipt.MACHINE


def test_a_code_is_spoken_in_digits(twilio, call):
    call.purpose, call.incident, call.run_id = Purpose.VERIFICATION, None, None
    call.save()
    [words] = spoken(call_hook("twilio-call", call))
    assert words.count(", ") >= 10 and "Your code is: " in words


def test_a_test_call_is_answered_by_a_key(twilio, call):
    call.purpose, call.incident, call.run_id = Purpose.TEST, None, None
    call.save()
    assert "Press 4 to answer it." in spoken(call_hook("twilio-call", call))[0]
    assert spoken(call_hook("twilio-call-keys", call, Digits="4")) == [
        "Your answer to the test page has arrived. Goodbye."
    ]


def test_an_unknown_call_is_hung_up(twilio, sms):
    for name in ("twilio-call", "twilio-call-keys"):
        assert [element.tag for element in call_hook(name, sms, Digits="4")] == ["Hangup"]


# What became of it


def message_status(page, status, **more):
    path = reverse("twilio-message-status", args=[page.pk])
    assert post(path, {"MessageSid": SID, "MessageStatus": status, **more}).status_code == 204


def sent(page):
    page.status, page.sent_at, page.attempt_count = NotificationStatus.SENT, page.created_at, 1
    page.save()
    return DeliveryAttemptFactory(
        notification=page, provider_id=SID if page.channel == Channel.SMS else CALL_SID
    )


def test_a_delivered_message_is_told_once_whatever_the_order(twilio, sms, clock):
    attempt = sent(sms)
    for status in ("delivered", "sent", "queued", "delivered", "undelivered"):
        message_status(sms, status)
    attempt.refresh_from_db()
    sms.refresh_from_db()
    assert (attempt.receipt, attempt.receipt_at, sms.status) == (
        Receipt.DELIVERED,
        clock.now,
        NotificationStatus.SENT,
    )
    entry = sms.incident.timeline.get()
    assert (entry.kind, entry.data) == (
        Kind.PAGE_RECEIPT,
        {"user": "Ana Ruiz", "channel": "by SMS", "receipt": "delivered"},
    )


@pytest.mark.parametrize(("code", "breaks_method"), [("30005", True), ("30003", False)])
def test_an_undelivered_page_is_a_failed_one_and_goes_another_way(twilio, sms, code, breaks_method):
    other = ContactMethodFactory(user=sms.user, address="ana@example.org")
    operator = UserFactory(is_superuser=True)
    attempt = sent(sms)
    for _ in range(2):
        message_status(sms, "undelivered", ErrorCode=code)
    attempt.refresh_from_db()
    sms.refresh_from_db()
    assert (attempt.status, attempt.receipt) == (AttemptStatus.SENT, Receipt.UNDELIVERED)
    assert (sms.status, sms.last_error) == (NotificationStatus.DEAD, f"not delivered (error {code})")
    assert (sms.contact_method.broken_at is not None) is breaks_method
    assert sms.incident.timeline.get().kind == Kind.PAGE_FAILED
    assert f"#{sms.incident.number}" in sms.payload["subject"] and "Reply A" in sms.payload["text"]
    fallback.fall_back(sms.pk)
    page = Notification.objects.get(purpose=Purpose.PAGE, contact_method=other)
    assert (page.run_id, page.step, page.status) == (sms.run_id, sms.step, NotificationStatus.PENDING)
    assert Notification.objects.filter(purpose=Purpose.NOTICE, user=operator).exists()


def test_a_call_that_nobody_took_goes_another_way_but_is_no_failure(twilio, call):
    other = ContactMethodFactory(user=call.user, address="ana@example.org")
    attempt = sent(call)
    path = reverse("twilio-call-status", args=[call.pk])
    for status in ("ringing", "no-answer"):
        assert post(path, {"CallSid": CALL_SID, "CallStatus": status}).status_code == 204
    attempt.refresh_from_db()
    call.refresh_from_db()
    assert (attempt.receipt, call.status) == (Receipt.UNANSWERED, NotificationStatus.SENT)
    entry = call.incident.timeline.get()
    assert (entry.kind, entry.data["receipt"]) == (Kind.PAGE_RECEIPT, "the call was not answered (no-answer)")
    fallback.fall_back(call.pk)
    assert Notification.objects.filter(contact_method=other, run_id=call.run_id).count() == 1


def test_a_call_that_ended_was_answered_by_somebody_or_a_machine(twilio, call):
    attempt = sent(call)
    path = reverse("twilio-call-status", args=[call.pk])
    post(path, {"CallSid": CALL_SID, "CallStatus": "completed", "AnsweredBy": "human"})
    attempt.refresh_from_db()
    assert attempt.receipt == Receipt.ANSWERED
    post(path, {"CallSid": CALL_SID, "CallStatus": "completed", "AnsweredBy": "machine_end_silence"})
    attempt.refresh_from_db()
    assert attempt.receipt == Receipt.MACHINE


class TellsMeanwhile:
    """Twilio, which tells of a message before the worker has written down that it took it."""

    account, can_be_answered = "twilio", True

    def __init__(self, page, receipt, **more):
        self.page, self.receipt, self.more = page, receipt, more

    def is_configured(self):
        return True

    def why_off(self):
        return ""

    def send(self, message):
        receipts.take(notification_id=self.page.pk, provider_id=SID, receipt=self.receipt, **self.more)
        return SID


def test_a_receipt_that_is_quicker_than_our_commit_is_kept(twilio, clock, sms, monkeypatch):
    monkeypatch.setitem(TRANSPORTS, Channel.SMS, TellsMeanwhile(sms, Receipt.DELIVERED))
    outbox.deliver(sms.pk)
    attempt = sms.attempts.get()
    assert (attempt.status, attempt.provider_id, attempt.receipt) == (
        AttemptStatus.SENT,
        SID,
        Receipt.DELIVERED,
    )


@pytest.mark.parametrize(
    ("receipt", "status"),
    [(Receipt.UNDELIVERED, NotificationStatus.DEAD), (Receipt.MACHINE, NotificationStatus.SENT)],
)
def test_bad_news_that_are_quicker_than_our_commit_are_heeded(
    twilio, clock, sms, monkeypatch, receipt, status
):
    """The page would count as sent, and nobody would have it."""
    told = TellsMeanwhile(sms, receipt, detail="error 30005", breaks_method=receipt == Receipt.UNDELIVERED)
    monkeypatch.setitem(TRANSPORTS, Channel.SMS, told)
    recorder = Recorder()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    ContactMethodFactory(user=sms.user, address="other@example.org")
    outbox.deliver(sms.pk)
    sms.refresh_from_db()
    sms.contact_method.refresh_from_db()
    assert (sms.status, sms.fell_back_at) == (status, clock.now)
    assert (sms.contact_method.broken_at is not None) is (receipt == Receipt.UNDELIVERED)
    assert bool(sms.payload) is (status == NotificationStatus.DEAD)
    work(clock)
    assert "other@example.org" in recorder.addresses


def test_a_receipt_of_nothing_is_dropped(twilio, sms, caplog):
    message_status(sms, "delivered")
    assert "not ours" in caplog.text
    assert not receipts.take(notification_id=SID_OF_NOTHING, provider_id=SID, receipt=Receipt.DELIVERED)


SID_OF_NOTHING = "00000000-0000-7000-8000-000000000000"


@pytest.mark.django_db(transaction=True)
def test_the_same_message_at_the_same_time_is_one_answer(twilio):
    page = make_page()
    answers, start = [], threading.Barrier(4)

    def say():
        start.wait()
        answers.append(text_message(f"A {page.incident.number}"))
        connection.close()

    threads = [threading.Thread(target=say) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[f"Incident {page.incident.number} acknowledged by you."]] * 4
    assert Reply.objects.count() == 1
    assert page.incident.timeline.filter(kind=Kind.ACKNOWLEDGED).count() == 1
