"""Bundles and notices by each channel, their answers, and what is told of them later."""

from datetime import timedelta
from xml.etree import ElementTree

import pytest
from django.test import Client

from incidents import lifecycle
from incidents.enums import Kind, Severity, Status
from incidents.timeline import Actor
from notifications import answer_links, bundles, fallback, notices, outbox, receipts, replies, sms_text
from notifications.enums import (
    Action,
    AttemptStatus,
    Channel,
    NotificationStatus,
    Purpose,
    Receipt,
    ReplyOutcome,
)
from notifications.exceptions import DeliveryError
from notifications.hooks import twilio
from notifications.messages import render, render_together
from notifications.models import ContactMethod, DeliveryAttempt, Notification
from notifications.transports import TRANSPORTS
from openalert.ids import uuid7
from teams.tests.factories import MembershipFactory, ServiceFactory, UserFactory

from .factories import ContactMethodFactory, NotificationFactory
from .recorder import Recorder

pytestmark = pytest.mark.django_db
NUMBER = "+14155550123"
SENT, DEAD = NotificationStatus.SENT, NotificationStatus.DEAD
ADDRESSES = {Channel.IN_APP: "", Channel.EMAIL: "ana@example.org"}


def make_bundle(channel=Channel.SMS, count=3):
    """A message of several pages that was sent to Ana, who responds for their teams."""
    method = ContactMethodFactory(
        user=UserFactory(name="Ana Ruiz"), channel=channel, address=ADDRESSES.get(channel, NUMBER)
    )
    request_id, service = uuid7(), ServiceFactory(name="Payments")
    MembershipFactory(team=service.team, user=method.user)
    severities = [Severity.HIGH, Severity.CRITICAL, *[Severity.LOW] * count]
    pages = [
        NotificationFactory(
            user=method.user,
            contact_method=method,
            incident__service=service,
            incident__severity=severities[n],
            incident__title=f"Disk {n} full",
            status=SENT,
            attempt_count=1,
            request_id=request_id,
            bundle_size=count,
        )
        for n in range(count)
    ]
    for page in pages:
        DeliveryAttempt.objects.create(
            notification=page,
            number=1,
            request_id=request_id,
            account="twilio",
            status=AttemptStatus.SENT,
            provider_id="SM1",
            started_at=page.created_at,
        )
    return pages


def statuses(pages):
    for page in pages:
        page.incident.refresh_from_db()
    return [page.incident.status for page in pages]


@pytest.mark.parametrize("channel", Channel)
def test_a_bundle_says_how_many_and_the_worst_in_each_channel(channel):
    pages = make_bundle(channel)
    message = render_together(pages)
    worst = pages[1].incident.number
    assert "3 incidents on 1 service" in message.subject and f"#{worst}" in message.subject
    assert "Disk 1 full" in message.text and message.actions == (Action.ACKNOWLEDGE,)
    assert list(message.answers) == (
        ["acknowledge"] if channel in answer_links.PERSONAL + answer_links.SHARED else []
    )
    assert bool(message.html) is (channel == Channel.EMAIL)
    assert message.label_of(Action.ACKNOWLEDGE) == "Acknowledge all"


def test_a_bundle_by_sms_is_one_message_and_says_how_to_answer():
    pages = make_bundle(count=23)
    pages[1].incident.title = "Checkout errors " * 40
    text = render_together(pages).text
    assert sms_text.size(text).segments == 1
    assert text.startswith("23 incidents on 1 service, worst: CRITICAL #")
    assert text.endswith(f"Reply A ALL to ack all, A {pages[1].incident.number} this one")


@pytest.mark.parametrize("channel", Channel)
def test_a_notice_about_the_paging_fits_each_channel(channel):
    method = ContactMethodFactory(channel=channel, address=ADDRESSES.get(channel, NUMBER))
    notice = NotificationFactory(
        purpose=Purpose.NOTICE,
        incident=None,
        run_id=None,
        user=method.user,
        contact_method=method,
        payload={
            "subject": "Pages fail: twilio",
            "text": "Twilio answered 400.\n\nWait.",
            "path": "/dead-letters/",
        },
    )
    message = render(notice)
    assert (message.subject, message.actions, message.answers) == ("Pages fail: twilio", (), {})
    assert "Twilio answered 400." in message.text and message.href.endswith("/dead-letters/")
    if channel == Channel.SMS:
        assert message.text == "OpenAlert: Pages fail: twilio. Twilio answered 400. Wait."
    if channel == Channel.VOICE:
        answer = ElementTree.fromstring(str(twilio.said([notice])))
        assert [element.tag for element in answer] == ["Say", "Hangup"]


@pytest.mark.parametrize("channel", Channel)
def test_that_nobody_answered_can_be_answered(channel):
    method = ContactMethodFactory(channel=channel, address=ADDRESSES.get(channel, NUMBER))
    notice = NotificationFactory(purpose=Purpose.NOTICE, user=method.user, contact_method=method)
    message = render(notice)
    assert message.subject.startswith("Nobody answered: ")
    assert message.actions == (Action.ACKNOWLEDGE, Action.RESOLVE)
    assert (
        "obody" in message.text
        or "NOBODY" in message.text
        or channel in (Channel.WEB_PUSH, Channel.MOBILE_PUSH)
    )


# One answer for all


def test_the_link_in_a_bundle_acknowledges_all_of_it():
    pages = make_bundle(Channel.EMAIL)
    lifecycle.resolve(incident_id=pages[2].incident_id, actor=Actor.person(UserFactory(name="Bo"), via="web"))
    link = answer_links.links_for(pages[0], [Action.ACKNOWLEDGE])["acknowledge"]
    path = link.partition("//")[2].partition("/")[2]
    asked = Client().get(f"/{path}").text
    assert "Acknowledge 3 incidents?" in asked
    answer = Client().post(f"/{path}").text
    assert "2 incidents acknowledged by you. 1 was acknowledged or resolved already." in answer
    assert statuses(pages) == [Status.ACKNOWLEDGED, Status.ACKNOWLEDGED, Status.RESOLVED]
    assert "This link has been used." in Client().post(f"/{path}").text


def text_message(body, key="SM9"):
    return replies.take_text(channel=Channel.SMS, key=key, sender=NUMBER, text=body)


@pytest.mark.parametrize("body", ["A ALL", "ack all", "4 all please"])
def test_a_all_by_sms_acknowledges_whatever_waits(body):
    pages = make_bundle()
    reply = text_message(body)
    assert (reply.outcome, reply.answer) == (ReplyOutcome.DONE, "3 incidents acknowledged by you.")
    assert statuses(pages) == [Status.ACKNOWLEDGED] * 3
    assert text_message(body, "SM10").answer.endswith("is already acknowledged by you, just now.")


def test_all_is_not_resolved_at_once():
    pages = make_bundle()
    reply = text_message("R ALL")
    assert reply.outcome == ReplyOutcome.UNCLEAR and "ALL" not in reply.answer
    assert statuses(pages) == [Status.OPEN] * 3


def test_a_bare_ack_to_a_bundle_says_how_to_take_all():
    make_bundle()
    assert "or A ALL for all of them." in text_message("ack").answer


def test_one_key_in_a_call_acknowledges_the_bundle():
    pages = make_bundle(Channel.VOICE)
    said = ElementTree.fromstring(str(twilio.said(bundles.sent_with(pages[0]))))
    words = next(said.iter("Say")).text
    assert "3 incidents on 1 service. The worst is critical incident" in words
    assert "Press 4 to acknowledge all of them." in words and "Press 6" not in words
    reply, _ = replies.take_action(
        channel=Channel.VOICE,
        key="CA1:4",
        sender=NUMBER,
        notification_id=pages[0].pk,
        action=Action.ACKNOWLEDGE,
        user=pages[0].user,
    )
    assert reply.answer == "3 incidents acknowledged by you." and statuses(pages) == [Status.ACKNOWLEDGED] * 3


# What is told of a bundle later


def take(page, receipt, **more):
    return receipts.take(notification_id=page.pk, provider_id="SM1", receipt=receipt, **more)


def test_a_receipt_of_a_bundle_is_told_of_each_page():
    pages = make_bundle()
    assert take(pages[0], Receipt.DELIVERED) and not take(pages[1], Receipt.DELIVERED)
    assert set(DeliveryAttempt.objects.values_list("receipt", flat=True)) == {Receipt.DELIVERED}
    assert [page.incident.timeline.get().kind for page in pages] == [Kind.PAGE_RECEIPT] * 3


def test_a_bundle_that_did_not_arrive_goes_another_way_page_by_page():
    pages = make_bundle()
    other = ContactMethodFactory(user=pages[0].user, address="ana@example.org")
    take(pages[0], Receipt.UNDELIVERED, detail="error 30003")
    for page in pages:
        page.refresh_from_db()
        assert (page.status, page.needs_fallback) == (DEAD, True)
        fallback.fall_back(page.pk)
    again = Notification.objects.filter(contact_method=other)
    assert {page.incident_id for page in again} == {page.incident_id for page in pages}


def test_what_was_sent_again_since_is_not_touched():
    pages = make_bundle()
    page = pages[0]
    page.attempt_count, page.request_id = 2, uuid7()
    page.save()
    take(pages[1], Receipt.UNDELIVERED)
    page.refresh_from_db()
    assert (page.status, page.needs_fallback) == (SENT, False)


def test_an_answer_that_was_lost_is_no_failure_when_the_provider_has_told(clock, monkeypatch):
    """The call times out, and the status callback came meanwhile: no second message."""

    class TakesAndFallsSilent(Recorder):
        def send(self, message):
            receipts.take(
                notification_id=message.notification_id, provider_id="SM7", receipt=Receipt.PASSED_ON
            )
            raise DeliveryError("no answer")

    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, TakesAndFallsSilent())
    page = NotificationFactory()
    outbox.deliver(page.pk)
    page.refresh_from_db()
    attempt = page.attempts.get()
    assert (page.status, attempt.status, attempt.provider_id) == (SENT, AttemptStatus.SENT, "SM7")
    clock.advance(minutes=1)
    assert outbox.sweep() == 0


def test_a_machine_that_took_the_call_sends_the_page_another_way(clock):
    """The next rule's page comes now instead of in five minutes."""
    user = UserFactory()
    call, mail = (
        NotificationFactory(
            user=user,
            contact_method=ContactMethodFactory(user=user, channel=channel, address=address),
            **values,
        )
        for channel, address, values in (
            (Channel.VOICE, NUMBER, {"status": SENT, "attempt_count": 1}),
            (Channel.EMAIL, "ana@example.org", {"due_at": clock.now + timedelta(minutes=5)}),
        )
    )
    Notification.objects.filter(pk=mail.pk).update(
        run_id=call.run_id, incident=call.incident, wake_at=mail.due_at
    )
    DeliveryAttempt.objects.create(
        notification=call, number=1, status=AttemptStatus.SENT, provider_id="SM1", started_at=clock.now
    )
    take(call, Receipt.MACHINE)
    fallback.fall_back(call.pk)
    mail.refresh_from_db()
    assert mail.due_at == clock.now
    assert ContactMethod.objects.filter(broken_at__isnull=False).count() == 0


# Dead letters


def test_a_dead_letter_keeps_what_it_said_without_the_links_of_its_person(clock, monkeypatch):
    recorder = Recorder()
    recorder.faults = [DeliveryError("no", permanent=True)]
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    page = NotificationFactory(incident__title="Disk full")
    outbox.deliver(page.pk)
    page.refresh_from_db()
    assert page.status == DEAD and "Disk full" in page.payload["text"]
    assert "/answer/" not in page.payload["text"] and "Acknowledge: (a link)" in page.payload["text"]


def test_operations_are_told_by_sms_too(monkeypatch, clock):
    """A designated team is paged, by all methods of its rules."""
    recorder = Recorder()
    monkeypatch.setitem(TRANSPORTS, Channel.SMS, recorder)
    operator = UserFactory(is_superuser=True)
    method = ContactMethodFactory(user=operator, channel=Channel.SMS, address=NUMBER)
    [notice] = notices.tell([operator], subject="Pages fail: smtp", text="Why.", path="/", now=clock.now)
    assert notice.contact_method == method
    outbox.deliver(notice.pk)
    assert recorder.messages[0].text == "OpenAlert: Pages fail: smtp. Why."
