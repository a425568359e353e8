"""Slack's requests when somebody presses a button (Slack: Handling user interaction; Verifying requests).

POST /hooks/slack/, a form with `payload`. Slack wants an answer within three seconds; the words for the person go to the
message's `response_url` afterwards.
"""

import json
import logging
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from slack_sdk.signature import SignatureVerifier

from notifications import replies
from notifications.enums import Action, Channel, ReplyOutcome
from notifications.exceptions import BadSignature
from notifications.transports.slack import told_blocks
from openalert.answers import failure_as_json
from openalert.wake import wake

logger = logging.getLogger(__name__)

TELL_TASK = "notifications.tasks.tell_slack"
STRANGER = "OpenAlert does not know you: add Slack to your contact methods first. Your member ID is {}."


@csrf_exempt
@require_POST
def interaction(request: HttpRequest) -> HttpResponse:
    body = request.body
    if not is_signed(request, body):
        logger.warning("a request to %s does not carry Slack's signature", request.path)
        return failure_as_json(request, BadSignature())
    try:
        payload = json.loads(request.POST.get("payload", ""))
        pressed = payload["actions"][0]
        action, notification_id = Action(pressed["action_id"]), UUID(pressed["value"])
        sender, key = str(payload["user"]["id"]), str(payload["trigger_id"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return HttpResponse(status=200)  # “Open” is a link; other things are none of ours
    user = replies.person_at([Channel.SLACK], sender)
    reply, _ = replies.take_action(
        channel=Channel.SLACK,
        key=key,
        sender=sender,
        notification_id=notification_id,
        action=action,
        user=user,
    )
    _tell(payload, reply.outcome, reply.answer, sender)
    return HttpResponse(status=200)


def is_signed(request: HttpRequest, body: bytes) -> bool:
    """Slack's HMAC over the time and the body; what is older than five minutes is a replay."""
    if not settings.SLACK_SIGNING_SECRET:
        return False
    try:
        return SignatureVerifier(settings.SLACK_SIGNING_SECRET).is_valid_request(body, dict(request.headers))
    except (ValueError, TypeError):
        return False


def _tell(payload: dict[str, Any], outcome: str, words: str, sender: str) -> None:
    """What was done replaces the buttons; what was not is told to the person alone."""
    address = payload.get("response_url")
    if not isinstance(address, str):
        return
    if outcome == ReplyOutcome.STRANGER:
        words = STRANGER.format(sender)
    answer: dict[str, Any] = {"response_type": "ephemeral", "replace_original": False, "text": words}
    message = payload.get("message")
    if outcome in (ReplyOutcome.DONE, ReplyOutcome.ALREADY) and isinstance(message, dict):
        name = str(payload.get("user", {}).get("name", ""))[:80]
        told = words.replace("by you", f"by {name}") if name else words
        blocks = told_blocks(message.get("blocks") or [], told)
        answer = {"replace_original": True, "text": told, "blocks": blocks}
    wake(TELL_TASK, address, json.dumps(answer))
