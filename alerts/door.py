"""The door for alerts: a thin ASGI application beside Django's, as no other traffic is as dense.

`addresses` says where it listens, and `formats` how each source is read and answered. It answers 2xx once
the alerts are stored, their incidents open and the escalations armed. If a list holds alerts that cannot be
taken, the others are stored all the same, and the answer is an error with each fault's index: a 2xx means
that everything was taken. Every other answer means that nothing was stored, but for a 503 when the database
was lost on the way: nobody knows then, and to send it again counts it at most once more.

What Django's middleware does for other requests is done here: the limit of the body, the security headers,
the correlation id.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from openalert import correlation_id, figures
from openalert.exceptions import OpenAlertError

from .addresses import is_intake, read_address
from .bodies import read_body
from .committer import Committer, Full, Stored
from .events import AlertEvent, EventFault
from .exceptions import MissingKey
from .formats import FORMATS, base
from .formats.base import Answer, Format, Request, Taken
from .keys import IntegrationChanged, KeyCache, authenticate, check, hold
from .models import Integration
from .problems import Arrival
from .results import Result
from .samples import keeper
from .throttle import Throttle
from .triage import Triaged, rules_of

logger = logging.getLogger(__name__)

# For what must not hold up the event loop: keys not seen before, signatures, handshakes.
WORKERS = 4
MAX_WAITING = 500
MAX_TRIES = 3
RETRY_AFTER_SECONDS = b"5"

T = TypeVar("T")
Line = tuple[bytes, bytes]

# Every answer has these headers,
ALWAYS: list[Line] = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
# and one in JSON this.
IN_JSON: Line = (b"content-type", b"application/json")


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


class Throttled(OpenAlertError):
    code = "throttled"
    detail = "This integration sends more alerts than it may. Nothing was stored: send it again later."

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status
        super().__init__()


class Head(NamedTuple):
    """What the head of a plain request says: the same for many requests of a connection."""

    format: Format
    path: str
    headers: Mapping[str, str]
    key: str
    tail: str

    def request(self, body: bytes) -> Request:
        return Request(
            method="POST",
            path=self.path,
            headers=self.headers,
            correlation_id=correlation_id.accept_or_make(self.headers.get("x-correlation-id")),
            body=body,
            key=self.key,
            tail=self.tail,
        )


class Begun:
    """A request whose alerts wait in the committer."""

    __slots__ = ("_read", "_triaged", "format", "request")

    def __init__(
        self, format: Format, request: Request, read: list[AlertEvent | EventFault], triaged: Triaged
    ) -> None:
        self.format, self.request = format, request
        self._read, self._triaged = read, triaged

    def answer(self, outcome: Stored | Exception) -> Answer | None:
        """To what the committer told; None when the integration has changed, and the request has to be read anew.

        After any other failure it is not tried again: a commit whose answer was lost has stored the alerts.
        """
        if isinstance(outcome, IntegrationChanged):
            return None
        if isinstance(outcome, Exception):
            named = _named(outcome, self.request.correlation_id)
            _keep_sample(self.request, str(named))
            return self.format.refuse(self.request, named)
        taken = _taken(self._read, self._triaged.outcomes(outcome))
        _keep_sample(self.request, taken.faults[0].detail if taken.faults else "")
        return self.format.answer(self.request, taken)


class Door:
    """The ASGI application, for one event loop."""

    def __init__(self) -> None:
        self._committer = Committer()
        self._keys = KeyCache()
        self._throttle = Throttle(settings.INTAKE_ALERTS_PER_MINUTE)
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="intake-door")
        self._waiting = 0

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = correlation_id.accept_or_make(headers.get("x-correlation-id"))
        correlation_id.current.set(request_id)  # the task is the request's own
        method, path = scope["method"], scope["path"]
        source, key, tail = read_address(method, path) or (None, "", "")
        format = FORMATS.get(source) if source else None
        request = Request(
            method=method,
            path=path,
            headers=headers,
            correlation_id=request_id,
            key=key,
            tail=tail,
            query=scope["query_string"].decode("latin-1"),
        )
        try:
            if format is None or tail not in format.tails:
                raise Refused(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
            if method not in format.methods:
                raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", "Send alerts by POST.")
            request.body = await read_body(receive, headers)
            answer = await self._take(format, request)
        except Exception as failure:
            named = _named(failure, request_id)
            answer = (format.refuse if format else base.refuse)(request, named)
            _keep_sample(request, str(named))
        await _respond(send, answer, request_id, format)

    @staticmethod
    def recognise(path: str, headers: Mapping[str, str]) -> Head | None:
        """What the head of a POST says; None when it is not plain, and the way is by ASGI."""
        source, key, tail = read_address("POST", path) or (None, "", "")
        format = FORMATS.get(source) if source else None
        if format is None or tail not in format.tails or not format.is_plain:
            return None
        head = Head(format, path, headers, key, tail)
        if format.key_is_in_payload:
            return head
        return head._replace(key=format.key(head.request(b""), None))

    def begin(self, head: Head, body: bytes, answer: Callable[[Begun, Stored | Exception], None]) -> bool:
        """Take a request at once, without waiting for anything, if it is plain and in order.

        False when it is not: then nothing has happened, and the way is by ASGI. Otherwise `answer` is called with
        what became of its alerts, for Begun.answer.
        """
        format, headers = head.format, head.headers
        request = head.request(body)
        try:
            payload = None
            if format.key_is_in_payload:
                payload = format.decode(body, headers)
                request.key = format.key(request, payload)
            integration = request.integration = self._keys.get(request.key)
            if integration is None:
                return False
            check(integration, format.source)
            if not format.key_is_in_payload:
                payload = format.decode(body, headers)
            read = self._reader(format, integration)(payload, headers)
            events = [event for event in read if isinstance(event, AlertEvent)]
            if len(events) != len(read) or not events:
                return False
            if not self._throttle.allows(integration.id_text, len(events)):
                return False
            triaged = Triaged(integration, events)
            if not triaged.arrivals:
                return False
            tell = partial(answer, Begun(format, request, read, triaged))
            self._committer.submit(triaged.arrivals, tell, request.correlation_id)
        except (OpenAlertError, Full):
            return False
        return True

    def close(self) -> None:
        """Let go of the database until the next request."""
        self._committer.close()

    async def _take(self, format: Format, request: Request) -> Answer:
        """Check the key, read the body and store what is in it.

        Raises OpenAlertError, Full and django.db.Error; then nothing is stored.
        """
        payload: Any = None
        # A stranger's body is not parsed, unless the key is in it.
        key = format.key(request, payload) if not format.key_is_in_payload else ""
        if key:
            request.key, request.integration = key, await self._integration(key, format)
        payload = format.decode(request.body, request.headers)
        key = request.key = key or format.key(request, payload)
        if not key:
            raise MissingKey
        for _ in range(MAX_TRIES):
            integration = request.integration = await self._integration(key, format)
            if format.check and (early := await self._in_thread(format.check, request, payload, integration)):
                return early
            reader = self._reader(format, integration)
            if format.in_thread:
                read = await self._in_thread(reader, payload, request.headers)
            else:
                read = reader(payload, request.headers)
            events = [event for event in read if isinstance(event, AlertEvent)]
            if not events:
                faults = [fault for fault in read if isinstance(fault, EventFault)]
                _keep_sample(request, faults[0].detail if faults else "")
                return format.answer(request, Taken([], faults))
            if not self._throttle.allows(integration.id_text, len(events)):
                raise Throttled(format.throttled)
            triaged = Triaged(integration, events)
            try:
                stored = await self._store(integration, triaged.arrivals)
            except IntegrationChanged:
                self._keys.forget(key)
                continue
            taken = _taken(read, triaged.outcomes(stored))
            _keep_sample(request, taken.faults[0].detail if taken.faults else "")
            return format.answer(request, taken)
        raise Unavailable("The integration is being changed.")

    async def _integration(self, key: str, format: Format) -> Integration:
        integration = self._keys.get(key)
        if integration is None:
            integration = await self._in_thread(_look_up, key)
            self._keys.remember(key, integration)
        check(integration, format.source)
        return integration

    async def _store(self, integration: Integration, arrivals: Sequence[Arrival]) -> Stored:
        if arrivals:
            return await self._committer.store(arrivals, correlation_id.current.get())
        # All were dropped: by rules that may have changed since this process read them.
        await self._in_thread(hold, [integration])
        return []

    @staticmethod
    def _reader(format: Format, integration: Integration) -> base.Reader:
        if integration.reader is None:
            integration.reader = format.reader(integration)
        return integration.reader

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        if self._waiting >= MAX_WAITING:
            raise Full
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._workers, contextvars.copy_context().run, _with_connection, function, args
            )
        finally:
            self._waiting -= 1


def _keep_sample(request: Request, refusal: str = "") -> None:
    """For the page of the integration, if it is known whose it is."""
    if request.integration is not None:
        keeper.keep(request.integration.id_text, request.body, request.headers, refusal, key=request.key)


def _look_up(key: str) -> Integration:
    """Raises UnknownKey, IntegrationDisabled."""
    integration = authenticate(key)
    rules_of(integration)
    return integration


def _with_connection(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return function(*args)
    finally:
        connection.close()  # back to the pool: these threads outlive the request


def _taken(read: list[AlertEvent | EventFault], stored: Stored) -> Taken:
    """What became of a request; faults that the database found get their place in the request."""
    results = [outcome for outcome in stored if isinstance(outcome, Result)]
    if len(results) == len(read):
        return Taken(results, [])
    faults = [fault for fault in read if isinstance(fault, EventFault)]
    if len(results) < len(stored):
        places = [place for place, item in enumerate(read) if isinstance(item, AlertEvent)]
        faults += [
            msgspec.structs.replace(outcome, index=place if len(read) > 1 else None)
            for place, outcome in zip(places, stored, strict=True)
            if isinstance(outcome, EventFault)
        ]
    return Taken(results, faults)


def _named(failure: Exception, request_id: str) -> OpenAlertError:
    if isinstance(failure, OpenAlertError):
        return failure
    if isinstance(failure, Full):
        return Unavailable("Too many requests are waiting.")
    about = {"correlation_id": request_id}  # on the short way many are answered in one context
    if isinstance(failure, DatabaseError):
        logger.error("intake: the database did not take a request", exc_info=failure, extra=about)
        # A commit whose answer was lost has stored it all the same; then the next sending only counts it.
        return Refused(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "unavailable",
            "The database did not say that it took it: send it again.",
        )
    logger.error("intake: a request failed", exc_info=failure, extra=about)
    return Refused(
        HTTPStatus.INTERNAL_SERVER_ERROR, "error", "Something went wrong on our side; nothing was stored."
    )


async def _respond(send: ASGISendCallable, answer: Answer, request_id: str, format: Format | None) -> None:
    body, headers = header_lines(answer, request_id, format)
    await send(
        {"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False}
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def header_lines(answer: Answer, request_id: str, format: Format | None = None) -> tuple[bytes, list[Line]]:
    """An answer's body and headers as they are sent."""
    body = answer.body
    headers = [(b"x-correlation-id", request_id.encode("latin-1")), *ALWAYS]
    if not isinstance(body, bytes):
        headers.append(IN_JSON)
        body = b"" if body is None else msgspec.json.encode(body)
    headers.append((b"content-length", b"%d" % len(body)))
    if answer.status >= HTTPStatus.BAD_REQUEST:
        figures.count(figures.INTAKE_REFUSED, str(int(answer.status)))
        headers += _headers_of(answer.status, format)
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    return body, headers


def _headers_of(status: int, format: Format | None) -> list[Line]:
    """What a refusal has to say besides."""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return [(b"www-authenticate", (format.challenge if format else "Bearer").encode())]
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return [(b"allow", ", ".join(format.methods if format else ()).encode())]
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return [(b"retry-after", RETRY_AFTER_SECONDS)]
    return []
