"""uvicorn's HTTP protocol with a short way for intake: `uvicorn --http openalert.http_protocol:Protocol`.

By ASGI a request costs a task, four messages and two writes to the socket: more than the alert that it brings. On the
short way a request is taken from the parser's own callbacks into the committer's next batch, and its answer is one
write. Whatever is not plain goes the long way, through ASGI, as if nothing had been read of it: another address, a key
not seen before, a body that is not in order, an integration that was changed. So there is one place for all of that.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from alerts.addresses import is_intake
from alerts.bodies import MAX_BODY_BYTES
from alerts.door import Begun, header_lines
from openalert.asgi import intake_application

# Who sends these wants more than the short way knows of.
UNUSUAL = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})


class _NoEvent:
    def set(self) -> None:
        """Nobody waits for messages."""


class ShortCycle:
    """A request on the short way, with what the protocol wants to know of its RequestResponseCycle."""

    __slots__ = (
        "begun",
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "protocol",
        "response_complete",
        "scope",
    )

    message_event = _NoEvent()

    def __init__(self, protocol: "Protocol", headers: dict[str, str], keep_alive: bool) -> None:
        self.protocol = protocol
        self.scope = protocol.scope
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = b""
        self.disconnected = False
        self.response_complete = False
        self.begun: Begun | None = None

    def begin(self) -> None:
        """The request is there, all of it."""
        self.begun = intake_application.begin(
            self.scope["method"], self.scope["path"], self.headers, self.body
        )
        if self.begun is None:
            self.protocol.go_the_long_way(self)
        else:
            self.begun.stored.add_done_callback(self._answer)

    def _answer(self, stored: "asyncio.Future[Any]") -> None:
        assert self.begun is not None
        try:
            answer = self.begun.answer()
            if answer is None:
                self.protocol.go_the_long_way(self)
                return
            body, headers = header_lines(answer, self.begun.request.correlation_id, self.begun.format)
        except BaseException:
            self.protocol.transport.abort()  # it may be stored; the sender asks again, and is told so
            raise
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        lines = [STATUS_LINE[answer.status]]
        for name, value in (*self.protocol.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n", body)
        self.response_complete = True
        transport = self.protocol.transport
        if not transport.is_closing():
            transport.write(b"".join(lines))
            if not self.keep_alive:
                transport.close()
        self.protocol.on_response_complete()


class Protocol(HttpToolsProtocol):
    cycle: Any

    def on_headers_complete(self) -> None:
        headers = self._headers_of_a_plain_request()
        if headers is None:
            super().on_headers_complete()
            return
        self.scope["method"] = "POST"
        self.scope["raw_path"] = self.url
        self.scope["path"] = self.url.decode("ascii")
        self.scope["query_string"] = b""
        self.cycle = ShortCycle(self, headers, self.parser.should_keep_alive())

    def _headers_of_a_plain_request(self) -> dict[str, str] | None:
        """Those of one for intake with nothing unusual about it, when no other is under way on the connection."""
        if (
            (self.cycle is not None and not self.cycle.response_complete)
            or self.limit_concurrency is not None
            or self.access_log
            or self.root_path
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or b"?" in self.url
            or b"%" in self.url
            or not self.url.isascii()
            or not is_intake("POST", self.url.decode("ascii"))
        ):
            return None
        headers = {}
        for name, value in self.headers:
            if name in UNUSUAL:
                return None
            headers[name.decode("latin-1")] = value.decode("latin-1")
        length = headers.get("content-length", "")
        return headers if length.isdecimal() and int(length) <= MAX_BODY_BYTES else None

    def on_body(self, body: bytes) -> None:
        if isinstance(self.cycle, ShortCycle) and not self.cycle.response_complete:
            self.cycle.body = self.cycle.body + body if self.cycle.body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if isinstance(self.cycle, ShortCycle) and not self.cycle.response_complete:
            self.cycle.begin()
        else:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self.parser = None  # it points back here, and both would stay until the collector comes

    def go_the_long_way(self, short: ShortCycle) -> None:
        """Let ASGI have a request of which all was read and nothing is stored."""
        if self.transport.is_closing():
            return
        cycle = RequestResponseCycle(
            scope=short.scope,  # type: ignore[arg-type]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=short.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.body += short.body
        cycle.more_body = False
        cycle.message_event.set()
        if self.cycle is short:
            self.cycle = cycle
        self._start_asgi_task(cycle, self.app)
