"""A request of the API: who asks, what they sent, and answers in Opsgenie's words."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.dateparse import parse_datetime
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import RedisError

from alerts.bodies import TooLarge
from alerts.enums import Source
from alerts.events import find_nul
from alerts.exceptions import MalformedPayload, MissingKey
from alerts.formats import opsgenie
from alerts.formats.base import Answer, decode_json
from alerts.formats.reading import text
from alerts.keys import authenticate
from alerts.models import Integration
from incidents.timeline import Actor
from openalert.exceptions import OpenAlertError
from teams.models import Team

logger = logging.getLogger(__name__)

MAX_NOTE = 25_000


class NotFound(OpenAlertError):
    code = "not_found"
    detail = "There is nothing at this address."
    status = 404


class Unavailable(OpenAlertError):
    code = "unavailable"
    detail = "A part of the system is away. Send the request again later."
    status = 503


class MethodNotAllowed(OpenAlertError):
    code = "method_not_allowed"
    detail = "This address does not take this method."
    status = 405


class Unprocessable(Exception):
    """What is wrong with the request, by the field's name."""

    def __init__(self, **errors: str) -> None:
        super().__init__(errors)
        self.errors = errors


@dataclass(frozen=True)
class Call:
    integration: Integration
    body: Mapping[str, Any]
    query: QueryDict
    address: str
    since: float

    @property
    def team(self) -> Team:
        return self.integration.service.team

    @cached_property
    def user(self) -> str:
        """Who asks for it, where the request tells; a key vouches for nobody."""
        return text(self.body.get("user") or self.query.get("user"), opsgenie.MAX_USER)

    @cached_property
    def actor(self) -> Actor:
        name = self.integration.name
        return Actor.integration(f"{self.user} ({name})" if self.user else name, via=self.integration.source)

    def text(self, field: str, limit: int, *, required: bool = True) -> str:
        """A field of the body, its lines as they are. Raises Unprocessable."""
        value = self.body.get(field)
        if not isinstance(value, str | None):
            raise Unprocessable(**{field: f"{field.capitalize()} must be a string."})
        value = (value or "").strip()
        if required and not value:
            raise Unprocessable(**{field: f"{field.capitalize()} can not be empty."})
        return value[:limit]

    def instant(self, field: str) -> datetime:
        """A field of the body that is an instant, UTC when it does not say. Raises Unprocessable."""
        value = self.body.get(field)
        at = instant_of(value) if isinstance(value, str) else None
        if at is None:
            raise Unprocessable(**{field: f"{field} must be an instant such as 2026-04-03T20:05:50Z."})
        return at

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A number of the address's query. Raises Unprocessable."""
        value = self.query.get(name) or str(default)
        is_number = value.isascii() and value.isdecimal() and len(value) < 20
        if not is_number or not least <= int(value) <= most:
            raise Unprocessable(**{name: f"{name} must be a number from {least} to {most}."})
        return int(value)

    def choice(self, name: str, *choices: str) -> str:
        """A word of the address's query; the first choice is the default. Raises Unprocessable."""
        value = self.query.get(name) or choices[0]
        if value not in choices:
            raise Unprocessable(**{name: f"{name} must be one of {', '.join(choices)}."})
        return value

    def tells(self, data: Any, **more: Any) -> Answer:
        return opsgenie.told(HTTPStatus.OK, {"data": data, **more}, since=self.since)


def instant_of(text: str) -> datetime | None:
    """An instant as ISO 8601 writes it, in UTC, which it also means when it names no zone; None for anything else."""
    try:
        at = parse_datetime(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC) if at else None
    except (ValueError, OverflowError):
        return None


Handler = Callable[..., Answer]


def endpoint(**handlers: Handler) -> Callable[..., HttpResponse]:
    """A view that calls the handler of the request's method with the Call and the address's parts."""

    @csrf_exempt
    def view(request: HttpRequest, **parts: str) -> HttpResponse:
        since = time.monotonic()
        try:
            handler = handlers.get(request.method or "")
            if handler is None:
                raise MethodNotAllowed
            answer = handler(_call(request, since), **parts)
        except Unprocessable as fault:
            answer = opsgenie.unprocessable(fault.errors, since=since)
        except OpenAlertError as failure:
            answer = opsgenie.refused(failure, since=since)
        except RequestDataTooBig:
            answer = opsgenie.refused(TooLarge(), since=since)
        except (DatabaseError, RedisError):
            logger.exception("opsgenie: a request could not be carried out")
            answer = opsgenie.refused(Unavailable(), since=since)
        body = msgspec.json.encode(answer.body)
        response = HttpResponse(body, "application/json", answer.status, headers=dict(answer.headers))
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            response["Allow"] = ", ".join(handlers)
        return response

    return view


def _call(request: HttpRequest, since: float) -> Call:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "geniekey":
        raise MissingKey
    integration = authenticate(key.strip(), Source.OPSGENIE)
    if find_nul([request.path, *request.GET.keys(), *request.GET.values()]):
        raise MalformedPayload("The address must not contain the character U+0000.")
    body = decode_json(request.body, {}) if request.body.strip() else {}
    if not isinstance(body, dict):
        raise MalformedPayload("The body must be a JSON object.")
    return Call(integration, body, request.GET, request.build_absolute_uri(request.path), since)
