"""PagerDuty's change events, POST /v2/change/enqueue (PagerDuty/developer-docs: docs/events-API-v2/03-Change-Events.md).

The integration key is the body's `routing_key`: that of an integration for PagerDuty's events, which are sent to
/v2/enqueue. Refusals are the events' own. Deployments are few, so this is Django's and not the door's.
"""

import logging
from http import HTTPStatus
from typing import Any

from django.db import Error as DatabaseError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from openalert.exceptions import OpenAlertError

from . import changes
from .bodies import TooLarge, decoded
from .enums import Source
from .events import InvalidEvent
from .exceptions import MalformedPayload, MissingKey
from .formats import pagerduty
from .formats.base import Answer, Request, decode_strict_json
from .keys import authenticate

logger = logging.getLogger(__name__)

# Deeper than anybody describes a change; Python and PostgreSQL give up at some thousand.
MAX_DEPTH = 100


class Unavailable(OpenAlertError):
    code = "unavailable"
    detail = "The change cannot be stored now: send it again."
    status = HTTPStatus.SERVICE_UNAVAILABLE


@csrf_exempt
@require_POST
def enqueue(request: HttpRequest) -> JsonResponse:
    """Answers 202 once the change is stored."""
    asked = Request(
        method="POST",
        path=request.path,
        headers={name.lower(): value for name, value in request.headers.items()},
        correlation_id=request.correlation_id,  # type: ignore[attr-defined]
    )
    try:
        body = payload_of(request)
        if not (key := pagerduty.key(asked, body)):
            raise MissingKey("Put the integration key here.")
        integration = authenticate(key, Source.PAGERDUTY)
        changes.record(integration, changes.read(body, now=timezone.now()))
    except InvalidEvent as invalid:
        return _respond(pagerduty.invalid([invalid.fault.detail]))
    except OpenAlertError as failure:
        return _respond(pagerduty.refuse(asked, failure))
    except DatabaseError as failure:
        logger.error("changes: one was not stored: %s", failure)
        return _respond(pagerduty.refuse(asked, Unavailable()))
    # There is no dedup key in it: PagerDuty/go-pagerduty: change_events_test.go.
    return _respond(Answer(HTTPStatus.ACCEPTED, {"status": "success", "message": "Change event processed"}))


def _respond(answer: Answer) -> JsonResponse:
    return JsonResponse(answer.body, status=answer.status, headers={"Cache-Control": "no-store"})


def payload_of(request: HttpRequest) -> dict[str, Any]:
    """The object in a request's body. Raises OpenAlertError."""
    too_large = TooLarge("An event may have at most 512 KB.")
    body = request.read(pagerduty.MAX_BODY_BYTES + 1)
    if len(body) > pagerduty.MAX_BODY_BYTES:
        raise too_large
    if encoding := request.headers.get("Content-Encoding"):
        body = decoded(body, encoding)
        if len(body) > pagerduty.MAX_BODY_BYTES:
            raise too_large
    payload = decode_strict_json(body, {})
    if not isinstance(payload, dict):
        raise MalformedPayload("Event object format is unrecognized")
    check_storable(payload)
    return payload


def check_storable(value: Any) -> None:
    """Raises MalformedPayload for what PostgreSQL cannot keep: U+0000 in a text, JSON without a bottom."""
    level = [value]
    for _ in range(MAX_DEPTH):
        if any(isinstance(item, str) and "\0" in item for item in level):
            raise MalformedPayload("U+0000 cannot be stored.")
        level = [inner for item in level for inner in _within(item)]
        if not level:
            return
    raise MalformedPayload("The JSON is nested too deeply.")


def _within(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    return item if isinstance(item, list) else []
