"""The door for alerts: a thin ASGI application beside Django's, as no other traffic is as dense.

    POST /api/v1/alerts                     Authorization: Bearer <integration key>
    POST /integrations/alertmanager/<key>

It answers 202 once the alerts are stored, their incidents open and the escalations armed. If a list holds
alerts that cannot be taken, the others are stored all the same, and the answer is 400 with each fault's
index and what became of the others: a 2xx means that everything was taken. Every other answer means that
nothing was stored.
"""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import msgspec
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.db import Error as DatabaseError
from django.db import connection

from openalert import correlation_id
from openalert.error_shape import error, error_body, error_type
from openalert.exceptions import OpenAlertError

from . import intake
from .enums import Source
from .events import AlertEvent, EventFault
from .exceptions import IntegrationDisabled, MalformedPayload, UnknownKey
from .formats import READERS
from .models import Integration

logger = logging.getLogger(__name__)

NATIVE_PATH = "/api/v1/alerts"
PREFIX = "/integrations/"
MAX_BODY_BYTES = 1024 * 1024
WORKERS = 8
# What waits for a worker is held in memory; beyond this the sender is asked to come back.
MAX_WAITING = 500
RETRY_AFTER_SECONDS = "5"

Taken = tuple[list[intake.Result], list[EventFault]]


class Refused(OpenAlertError):
    """The request is answered without reading it any further."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        self.status, self.code = status, code
        super().__init__(detail)


class Unavailable(Refused):
    def __init__(self, detail: str) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", f"{detail} Nothing was stored: send it again."
        )


def takes(scope: HTTPScope) -> bool:
    """Whether a request is for this door; all others are Django's."""
    path = scope["path"]
    return path.startswith(PREFIX) or (path == NATIVE_PATH and scope["method"] == "POST")


class Door:
    """The ASGI application; holds the threads in which the database is used."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="intake")
        self._waiting = 0

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = correlation_id.accept_or_make(headers.get(correlation_id.HEADER.lower()))
        try:
            results, faults = await self._take(scope, receive, headers)
            status = HTTPStatus.BAD_REQUEST if faults else HTTPStatus.ACCEPTED
            answer = _answer(results, faults, request_id)
        except Exception as failure:
            named = _named(failure)
            status = HTTPStatus(named.status)
            errors = [error(named.code, named.detail, field=named.field)]
            answer = error_body(
                type=error_type(status, field=named.field), errors=errors, correlation_id=request_id
            )
        await _respond(send, status, answer, request_id)

    async def _take(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, headers: Mapping[str, str]
    ) -> Taken:
        source, key = _address(scope, headers)
        body = await _body(receive, headers)
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many requests are waiting.")
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._workers, take, source, key, body, headers)
        finally:
            self._waiting -= 1


def take(source: Source, key: str, body: bytes, headers: Mapping[str, str]) -> Taken:
    """Check the key, read the body and store what is in it.

    Returns what became of the alerts that were taken, and the faults of the others. Raises OpenAlertError
    and django.db.Error; then nothing is stored.
    """
    try:
        integration = authenticate(key)
        read = READERS[source](_decode(body), headers)
        events = [event for event in read if isinstance(event, AlertEvent)]
        faults = [fault for fault in read if isinstance(fault, EventFault)]
        results = intake.ingest([intake.Arrival(integration, event) for event in events]) if events else []
        return results, faults
    finally:
        connection.close()  # back to the pool: these threads outlive the request


def authenticate(key: str) -> Integration:
    """The integration that the key opens. Raises UnknownKey, IntegrationDisabled.

    The key is looked up by its hash, so the time it takes tells nothing about the keys that exist.
    """
    integration = (
        Integration.objects.select_related("service").filter(key_hash=Integration.hash_key(key)).first()
    )
    if integration is None:
        raise UnknownKey
    if not integration.is_enabled:
        raise IntegrationDisabled
    return integration


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except RecursionError as cause:
        raise MalformedPayload("The JSON is nested too deeply.") from cause
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise MalformedPayload(f"The body is not valid JSON: {cause}.") from cause


def _address(scope: HTTPScope, headers: Mapping[str, str]) -> tuple[Source, str]:
    """The format and the key that a request names."""
    path = scope["path"]
    if path == NATIVE_PATH:
        source, key = Source.OPENALERT.value, ""
    else:
        source, _, key = path.removeprefix(PREFIX).strip("/").partition("/")
        if source not in Source.values or not key or "/" in key:
            raise Refused(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
    if scope["method"] != "POST":
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Send alerts by POST.")
    if not key:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "missing_integration_key",
                "Send the integration key as “Authorization: Bearer <key>”.",
            )
    return Source(source), key.strip()


async def _body(receive: ASGIReceiveCallable, headers: Mapping[str, str]) -> bytes:
    """The request's body. Raises Refused when it is larger than the limit, or breaks off."""
    too_large = Refused(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"The body may have at most {MAX_BODY_BYTES} bytes; send the alerts in several requests.",
    )
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(HTTPStatus.BAD_REQUEST, "incomplete", "The body broke off.")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise too_large
        if not message.get("more_body", False):
            return bytes(body)


def _answer(results: list[intake.Result], faults: list[EventFault], request_id: str) -> dict[str, Any]:
    alerts = [
        {"external_id": result.dedup_key, "outcome": result.outcome, "incident": result.incident}
        for result in results
    ]
    if not faults:
        return {"accepted": len(alerts), "alerts": alerts}
    errors = [error(fault.code, fault.detail, field=fault.field) | {"index": fault.index} for fault in faults]
    body = error_body(type="validation_error", errors=errors, correlation_id=request_id)
    return {**body, "accepted": len(alerts), "alerts": alerts}


def _named(failure: Exception) -> OpenAlertError:
    if isinstance(failure, OpenAlertError):
        return failure
    if isinstance(failure, DatabaseError):
        logger.exception("intake: the database did not take a request", exc_info=failure)
        return Unavailable("The database did not take it.")
    logger.exception("intake: a request failed", exc_info=failure)
    return Refused(
        HTTPStatus.INTERNAL_SERVER_ERROR, "error", "Something went wrong on our side; nothing was stored."
    )


async def _respond(send: ASGISendCallable, status: HTTPStatus, answer: Any, request_id: str) -> None:
    body = msgspec.json.encode(answer)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        correlation_id.HEADER.lower(): request_id,
        "x-content-type-options": "nosniff",
        "cache-control": "no-store",
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["retry-after"] = RETRY_AFTER_SECONDS
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = "POST"
    elif status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
