"""Twilio's requests: messages that came in, what a call is to say, the keys that were pressed, and statuses.

POST /hooks/twilio/sms/                            a message to our number (set it in Twilio's console)
POST /hooks/twilio/messages/<notification>/status/ what became of a message
POST /hooks/twilio/calls/<notification>/           somebody, or something, picked up: what shall be said?
POST /hooks/twilio/calls/<notification>/keys/      keys were pressed
POST /hooks/twilio/calls/<notification>/status/    what became of a call

Each is signed with the account's auth token over the address and the form (Twilio: Validating Signatures). They carry
no time: what is sent again is told apart by Twilio's ids, and changes nothing.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from twilio.request_validator import RequestValidator
from twilio.twiml import TwiML
from twilio.twiml.messaging_response import MessagingResponse
from twilio.twiml.voice_response import VoiceResponse

from notifications import bundles, messages, receipts, replies
from notifications.enums import Action, Channel, Purpose, Receipt, ReplyOutcome
from notifications.exceptions import BadSignature
from notifications.models import Notification
from notifications.transports import Message, twilio_account
from openalert.answers import failure_as_json

logger = logging.getLogger(__name__)

MESSAGE_RECEIPTS: dict[str, Receipt] = {
    "sent": Receipt.PASSED_ON,
    "delivered": Receipt.DELIVERED,
    "read": Receipt.DELIVERED,
    "undelivered": Receipt.UNDELIVERED,
    "failed": Receipt.UNDELIVERED,
}
CALL_RECEIPTS: dict[str, Receipt] = {
    "ringing": Receipt.RINGING,
    "in-progress": Receipt.ANSWERED,
    "completed": Receipt.ANSWERED,
    "busy": Receipt.UNANSWERED,
    "no-answer": Receipt.UNANSWERED,
    "failed": Receipt.UNDELIVERED,
    "canceled": Receipt.UNDELIVERED,
}
MACHINES = ("machine", "fax")
KEYS_WAIT_SECONDS = 8
TIMES_SAID = 2
PRESS: dict[Action, str] = {
    Action.ACKNOWLEDGE: "Press 4 to acknowledge.",
    Action.RESOLVE: "Press 6 to resolve.",
}
PRESS_FOR_TEST, PRESS_FOR_ALL = "Press 4 to answer it.", "Press 4 to acknowledge all of them."
PRESS_AGAIN = "Press 0 to hear it again."
GOODBYE = "Goodbye."

View = Callable[..., HttpResponse]


def signed_by_twilio(view: View) -> View:
    @csrf_exempt
    @require_POST
    @wraps(view)
    def checked(request: HttpRequest, **arguments: Any) -> HttpResponse:
        if not is_signed(request):
            logger.warning("a request to %s does not carry Twilio's signature", request.path)
            return failure_as_json(request, BadSignature())
        return view(request, **arguments)

    return checked


def is_signed(request: HttpRequest) -> bool:
    """Whether Twilio signed it. The address is the one that we gave Twilio, whatever proxies made of it since."""
    if not settings.TWILIO_AUTH_TOKEN or request.POST.get("AccountSid") != settings.TWILIO_ACCOUNT_SID:
        return False
    address = urljoin(settings.SITE_URL, request.get_full_path())
    signature = request.headers.get("X-Twilio-Signature", "")
    return bool(RequestValidator(settings.TWILIO_AUTH_TOKEN).validate(address, request.POST, signature))


@signed_by_twilio
def incoming_message(request: HttpRequest) -> HttpResponse:
    given = request.POST
    reply = replies.take_text(
        channel=Channel.SMS,
        key=given.get("MessageSid", ""),
        sender=given.get("From", ""),
        text=given.get("Body", ""),
        opt_out_type=given.get("OptOutType", ""),
    )
    answer = MessagingResponse()
    # A stranger gets no answer, nor does STOP and the like, which Twilio answers itself.
    if reply.answer and reply.outcome != ReplyOutcome.STRANGER and not given.get("OptOutType"):
        answer.message(reply.answer)
    return _twiml(answer)


@signed_by_twilio
def message_status(request: HttpRequest, pk: UUID) -> HttpResponse:
    given = request.POST
    if receipt := MESSAGE_RECEIPTS.get(given.get("MessageStatus", "")):
        _take_receipt(pk, given.get("MessageSid", ""), receipt, given.get("ErrorCode", ""))
    return HttpResponse(status=204)


@signed_by_twilio
def call_status(request: HttpRequest, pk: UUID) -> HttpResponse:
    given = request.POST
    receipt = CALL_RECEIPTS.get(given.get("CallStatus", ""))
    if receipt == Receipt.ANSWERED and given.get("AnsweredBy", "").startswith(MACHINES):
        receipt = Receipt.MACHINE
    if receipt:
        detail = given.get("ErrorCode", "") or given.get("CallStatus", "")
        _take_receipt(pk, given.get("CallSid", ""), receipt, detail)
    return HttpResponse(status=204)


def _take_receipt(pk: UUID, sid: str, receipt: Receipt, code: str) -> None:
    is_bad_number = code.isdigit() and int(code) in twilio_account.BAD_NUMBER
    detail = f"error {code}" if code.isdigit() else code if receipt.is_failure else ""
    receipts.take(
        notification_id=pk,
        provider_id=sid,
        receipt=receipt,
        detail=detail,
        breaks_method=receipt.is_failure and is_bad_number,
    )


@signed_by_twilio
def call(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What is said when the call is taken, as things stand by then."""
    notification = _notification(pk)
    if notification is None:
        return _twiml(_hung_up())
    given = request.POST
    is_machine = given.get("AnsweredBy", "").startswith(MACHINES)
    if given.get("AnsweredBy"):
        receipts.take(
            notification_id=pk,
            provider_id=given.get("CallSid", ""),
            receipt=Receipt.MACHINE if is_machine else Receipt.ANSWERED,
        )
    return _twiml(said(bundles.sent_with(notification), is_machine=is_machine))


def said(pages: list[Notification], *, is_machine: bool = False) -> VoiceResponse:
    """What is said of the pages of one call to whoever took it; a machine is not asked for keys."""
    message, answer = messages.render_together(pages), VoiceResponse()
    if is_machine or not message.actions:
        answer.say(message.text)
        answer.hangup()
    else:
        _ask(answer, pages[0], f"{message.text} {_which_keys(pages, message)}")
    return answer


def _which_keys(pages: list[Notification], message: Message) -> str:
    if pages[0].purpose == Purpose.TEST:
        return f"{PRESS_FOR_TEST} {PRESS_AGAIN}"
    if bundles.is_of_several(pages):
        return f"{PRESS_FOR_ALL} {PRESS_AGAIN}"
    return " ".join([*(PRESS[action] for action in message.actions), PRESS_AGAIN])


def _ask(answer: VoiceResponse, notification: Notification, words: str) -> None:
    """Say it, wait for a key, and once more."""
    for _ in range(TIMES_SAID):
        gather = answer.gather(
            num_digits=1,
            timeout=KEYS_WAIT_SECONDS,
            action=twilio_account.callback("twilio-call-keys", notification.pk),
            method="POST",
        )
        gather.say(words)
    answer.say(GOODBYE)
    answer.hangup()


@signed_by_twilio
def call_keys(request: HttpRequest, pk: UUID) -> HttpResponse:
    notification = _notification(pk)
    if notification is None or not notification.actions:
        return _twiml(_hung_up())
    digits, sid = request.POST.get("Digits", ""), request.POST.get("CallSid", "")
    action = replies.KEYS.get(digits)
    if action is None:
        return _twiml(said(bundles.sent_with(notification)))
    reply, _ = replies.take_action(
        channel=Channel.VOICE,
        key=f"{sid}:{digits}",
        sender=request.POST.get("To", ""),
        notification_id=pk,
        action=action,
        user=notification.user,
        text=digits,
    )
    answer = VoiceResponse()
    answer.say(f"{reply.answer} {GOODBYE}")
    answer.hangup()
    return _twiml(answer)


def _hung_up() -> VoiceResponse:
    answer = VoiceResponse()
    answer.hangup()
    return answer


def _notification(pk: UUID) -> Notification | None:
    return (
        Notification.objects.select_related("user", "contact_method", "incident__service")
        .filter(pk=pk, channel=Channel.VOICE)
        .first()
    )


def _twiml(answer: TwiML) -> HttpResponse:
    return HttpResponse(str(answer), content_type="text/xml; charset=utf-8")


INCOMING_SMS = "twilio-sms"


def sms_address() -> str:
    """What to set as the number's webhook in Twilio."""
    return urljoin(settings.SITE_URL, reverse(INCOMING_SMS))
