"""No request body for Django is longer than its limit: without one, Django would put any body into a file first."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)

from openalert import correlation_id
from openalert.error_shape import error, error_body

# The largest that we take is 1 MiB of JSON (openalert.rest.parsers); SendGrid's batches of events may be longer.
MAX_BODY_BYTES = 4 * 1024 * 1024


class BodyLimit:
    """Wraps an ASGI application. Who announces too much is answered 413 at once, who sends it is cut off."""

    def __init__(
        self,
        application: ASGI3Application,
        most: int = MAX_BODY_BYTES,
        *,
        longer: Mapping[str, int] | None = None,
    ) -> None:
        """`longer`: other limits, by how the path begins."""
        self.application, self.most, self.longer = application, most, longer or {}

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        path = scope["path"]
        most = next((limit for begin, limit in self.longer.items() if path.startswith(begin)), self.most)
        announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if announced.isdigit() and int(announced) > most:
            await self.refuse(scope, send, most)
            return
        taken, is_answered, is_too_long = 0, False, False

        async def receive_some() -> ASGIReceiveEvent:
            nonlocal taken, is_too_long
            message = await receive()
            if message["type"] == "http.request":
                taken += len(message["body"])
                if taken > most:
                    is_too_long = True
                    return {"type": "http.disconnect"}
            return message

        async def send_noting(message: ASGISendEvent) -> None:
            nonlocal is_answered
            is_answered = True
            await send(message)

        await self.application(scope, receive_some, send_noting)
        if is_too_long and not is_answered:
            await self.refuse(scope, send, most)

    async def refuse(self, scope: Scope, send: ASGISendCallable, most: int) -> None:
        given = correlation_id.of_headers(scope["headers"])  # type: ignore[typeddict-item]
        detail = f"The body may have at most {most} bytes."
        body = error_body(type="client_error", errors=[error("too_large", detail)], correlation_id=given)
        headers = [
            (b"content-type", b"application/json"),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
            (correlation_id.HEADER_BYTES, given.encode()),
        ]
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": json.dumps(body).encode(), "more_body": False})
