"""One id per request, accepted or made, returned and shown with every error, and taken along: into the log, the tasks
that the request wakes, WebSockets and requests to others."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest, HttpResponse

from openalert.ids import uuid7_text

HEADER = "X-Correlation-ID"
HEADER_BYTES = HEADER.lower().encode()
# What a client sends ends up in our logs: accept only what cannot break a line.
ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{8,128}")

current: ContextVar[str] = ContextVar("correlation_id", default="")


def accept_or_make(given: str | None) -> str:
    """The id that the client sent, when it is 8 to 128 harmless characters; a new one otherwise."""
    return given if given and ACCEPTED.fullmatch(given) else uuid7_text()


def of_headers(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The same for the headers of an ASGI scope."""
    given = next((value for name, value in headers if name.lower() == HEADER_BYTES), b"")
    return accept_or_make(given.decode("latin-1"))


def headers_for_others() -> dict[str, str]:
    """What a request to another system carries along; empty when we are in none."""
    return {HEADER: value} if (value := current.get()) else {}


@contextmanager
def being(value: str) -> Iterator[None]:
    """Within, `value` is the id."""
    token = current.set(value)
    try:
        yield
    finally:
        current.reset(token)


class CorrelationIdMiddleware:
    """Sets `request.correlation_id`, the context variable, and the response's X-Correlation-ID."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.correlation_id = accept_or_make(request.headers.get(HEADER))  # type: ignore[attr-defined]
        with being(request.correlation_id):  # type: ignore[attr-defined]
            response = self.get_response(request)
        response[HEADER] = request.correlation_id  # type: ignore[attr-defined]
        return response
