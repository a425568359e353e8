"""The door for alerts: a thin ASGI application beside Django's, as no other traffic is as dense.

`addresses` says where it listens, and `formats` how each source is read and answered. It answers 2xx once
the alerts are stored, their incidents open and the escalations armed. If a list holds alerts that cannot be
taken, the others are stored all the same, and the answer is an error with each fault's index: a 2xx means
that everything was taken. Every other answer means that nothing was stored.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus

import msgspec
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.db import Error as DatabaseError
from django.db import connection

from openalert import correlation_id
from openalert.exceptions import OpenAlertError

from . import intake
from .addresses import is_intake, read_address
from .events import AlertEvent, EventFault
from .exceptions import MissingKey
from .formats import FORMATS, base
from .formats.base import Answer, Format, Request, Taken
from .keys import authenticate

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
WORKERS = 8
# What waits for a worker is held in memory; beyond this the sender is asked to come back.
MAX_WAITING = 500
RETRY_AFTER_SECONDS = "5"


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
    return is_intake(scope["method"], scope["path"])


class Door:
    """The ASGI application; holds the threads in which the database is used."""

    def __init__(self) -> None:
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="intake")
        self._waiting = 0

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = correlation_id.accept_or_make(headers.get(correlation_id.HEADER.lower()))
        method, path = scope["method"], scope["path"]
        address = read_address(method, path)
        format = FORMATS.get(address.source) if address else None
        request = Request(
            method=method,
            path=path,
            headers=headers,
            body=b"",
            correlation_id=request_id,
            key=address.key if address else "",
            tail=address.tail if address else "",
            query=scope["query_string"].decode("latin-1"),
        )
        refuse = format.refuse if format else base.refuse
        try:
            if format is None or request.tail not in format.tails:
                raise Refused(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
            if method not in format.methods:
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Send alerts by POST.")
            request = replace(request, body=await _body(receive, headers))
            answer = await self._take(format, request)
        except Exception as failure:
            answer = refuse(request, _named(failure))
        await _respond(send, answer, request_id, allow=format.methods if format else ())

    async def _take(self, format: Format, request: Request) -> Answer:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("Too many requests are waiting.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._workers, take, format, request)
        finally:
            self._waiting -= 1


def take(format: Format, request: Request) -> Answer:
    """Check the key, read the body and store what is in it.

    Raises OpenAlertError and django.db.Error; then nothing is stored.
    """
    try:
        payload = format.decode(request.body, request.headers)
        key = format.key(request, payload)
        if not key:
            raise MissingKey
        integration = authenticate(key, format.source)
        if format.check and (early := format.check(request, payload, integration)):
            return early
        read = format.reader(integration)(payload, request.headers)
        events = [event for event in read if isinstance(event, AlertEvent)]
        faults = [fault for fault in read if isinstance(fault, EventFault)]
        results = intake.ingest([intake.Arrival(integration, event) for event in events]) if events else []
        return format.answer(request, Taken(results, faults))
    finally:
        connection.close()  # back to the pool: these threads outlive the request


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


async def _respond(send: ASGISendCallable, answer: Answer, request_id: str, *, allow: Sequence[str]) -> None:
    body = answer.body
    headers = {correlation_id.HEADER.lower(): request_id, "x-content-type-options": "nosniff"}
    if not isinstance(body, bytes):
        headers["content-type"] = "application/json"
        body = b"" if body is None else msgspec.json.encode(body)
    headers |= {"content-length": str(len(body)), "cache-control": "no-store"}
    if answer.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["retry-after"] = RETRY_AFTER_SECONDS
    elif answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["allow"] = ", ".join(allow)
    elif answer.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = "Bearer"
    headers |= answer.headers
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
            "trailers": False,
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
