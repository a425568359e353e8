"""SendGrid's event webhook: what became of mails (Twilio SendGrid: Event Webhook Reference).

POST /hooks/sendgrid/events/, a JSON list, signed by ECDSA with SendGrid's key over the timestamp and the body.
SendGrid sends again for a day what it got no 2xx for; an event that comes twice changes nothing.
"""

import json
import logging
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from sendgrid.helpers.eventwebhook import EventWebhook, EventWebhookHeader

from notifications import receipts
from notifications.enums import Receipt
from notifications.exceptions import BadSignature
from notifications.transports.sendgrid_account import NOTIFICATION
from openalert.answers import failure_as_json
from openalert.exceptions import OpenAlertError

logger = logging.getLogger(__name__)

OLDEST_SECONDS = 25 * 3600
YOUNGEST_SECONDS = -300  # its clock may be ahead of ours
RECEIPTS: dict[str, Receipt] = {
    "processed": Receipt.PASSED_ON,
    "deferred": Receipt.PASSED_ON,
    "delivered": Receipt.DELIVERED,
    "bounce": Receipt.BOUNCED,
    "dropped": Receipt.UNDELIVERED,
    "spamreport": Receipt.UNSUBSCRIBED,
    "unsubscribe": Receipt.UNSUBSCRIBED,
    "group_unsubscribe": Receipt.UNSUBSCRIBED,
}
# SendGrid keeps these addresses and will drop every further mail to them.
SUPPRESSED = ("bounced address", "invalid", "unsubscribed address", "spam reporting address")


class MalformedEvents(OpenAlertError):
    code = "malformed"
    detail = "A list of events is wanted."


@csrf_exempt
@require_POST
def events(request: HttpRequest) -> HttpResponse:
    try:
        check_signature(request)
        given = json.loads(request.body)
        if not isinstance(given, list):
            raise MalformedEvents
    except BadSignature as failure:
        logger.warning("events that do not carry SendGrid's signature")
        return failure_as_json(request, failure)
    except (ValueError, RecursionError, MalformedEvents):
        return failure_as_json(request, MalformedEvents())
    for event in given:
        if isinstance(event, dict):
            _take(event)
    return HttpResponse(status=204)


def check_signature(request: HttpRequest) -> None:
    """Raises BadSignature, also for what is older than SendGrid would still send."""
    timestamp = request.headers.get(EventWebhookHeader.TIMESTAMP, "")
    signature = request.headers.get(EventWebhookHeader.SIGNATURE, "")
    if not settings.SENDGRID_EVENT_PUBLIC_KEY or not timestamp.isdecimal():
        raise BadSignature
    try:
        webhook = EventWebhook(settings.SENDGRID_EVENT_PUBLIC_KEY)
        is_valid = webhook.verify_signature(request.body.decode(), signature, timestamp)
    except ValueError as error:
        raise BadSignature from error
    if not is_valid or not YOUNGEST_SECONDS < time.time() - int(timestamp) < OLDEST_SECONDS:
        raise BadSignature


def _take(event: dict[str, Any]) -> None:
    receipt = RECEIPTS.get(str(event.get("event")))
    try:
        notification_id = UUID(str(event.get(NOTIFICATION)))
    except ValueError:
        return  # a mail that was not ours, or no page
    if receipt is None:
        return
    reason = str(event.get("reason") or event.get("response") or "")[:500]
    receipts.take(
        notification_id=notification_id,
        provider_id=str(event.get("sg_message_id", "")),
        receipt=receipt,
        detail=reason if receipt.is_failure else "",
        breaks_method=_breaks_method(receipt, event, reason),
    )


def _breaks_method(receipt: Receipt, event: dict[str, Any], reason: str) -> bool:
    """A “blocked” bounce is about this mail or our server; the others are about the address."""
    if receipt == Receipt.BOUNCED:
        return event.get("type", "bounce") == "bounce"
    if receipt == Receipt.UNDELIVERED:
        return reason.lower().startswith(SUPPRESSED)
    return receipt == Receipt.UNSUBSCRIBED
