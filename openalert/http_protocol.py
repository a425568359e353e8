"""uvicorn's HTTP protocol with a short way for intake: `uvicorn --http openalert.http_protocol:Protocol`.

By ASGI a request costs a task, four messages and two writes to the socket: more than the alert that it brings. On the
short way a request is taken from the parser's own callbacks into the committer's next batch, and its answer is one
write. Whatever is not plain goes the long way, through ASGI, as if nothing had been read of it: another address, a key
not seen before, a body that is not in order, an integration that was changed. So there is one place for all of that.
"""

import asyncio
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, ClassVar, NamedTuple

import msgspec

from openalert.asgi import intake_application  # sets Django up: uvicorn's workers load this module first

# isort: split
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from alerts.addresses import is_intake
from alerts.bodies import MAX_BODY_BYTES
from alerts.committer import Stored
from alerts.door import ALWAYS, IN_JSON, Begun, Head, Line, header_lines
from alerts.formats.base import Answer
from openalert import draining

# Who sends these wants more than the short way knows of.
UNUSUAL = frozenset({b"expect", b"upgrade", b"transfer-encoding", b"content-encoding"})
# When the process ends, a request may be on its way on a connection that rests. It is waited for so long, and answered
# with `Connection: close`; closed at once, its sender would not know whether it was taken.
RESTING_SECONDS = 2.0
# How many heads are remembered, and how long ones: then all are forgotten.
MOST_HEADS = 1_000
LONGEST_HEAD = 2_048
END_OF_HEAD = b"\r\n\r\n"
# An answer in JSON that went well, as nearly all do: the head that they share, and what is its own.
PLAIN = b"%bx-correlation-id: %b\r\ncontent-length: %d\r\n\r\n%b"
FAILED = int(HTTPStatus.BAD_REQUEST)


class SharedHeads:
    """What plain answers begin with, by status: rendered once a second, as the date is in it."""

    def __init__(self) -> None:
        self._defaults: list[Line] = []
        self._heads: dict[int, bytes] = {}

    def of(self, status: int, defaults: list[Line]) -> bytes:
        """`defaults` are the server's own headers: it makes a new list of them when they change."""
        if defaults is not self._defaults:
            self._defaults, self._heads = defaults, {}
        head = self._heads.get(status)
        if head is None:
            head = self._heads[status] = STATUS_LINE[status] + rendered([*defaults, *ALWAYS, IN_JSON])
        return head


shared_heads = SharedHeads()


def rendered(headers: Iterable[Line]) -> bytes:
    return b"".join(b"%b: %b\r\n" % line for line in headers)


class _NoEvent:
    def set(self) -> None:
        """Nobody waits for messages."""


class Lines(NamedTuple):
    """A request's head as it came, but for its length; and what it says, None when that is nothing plain."""

    url: bytes
    headers: list[Line]
    head: Head | None


class SeenHead(NamedTuple):
    """The head of a plain request that was parsed before. `size` is that of its body in bytes, `length` as it came."""

    lines: Lines
    length: bytes
    size: int


class ShortCycle:
    """A request on the short way, with what the protocol wants to know of its RequestResponseCycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "length", "lines", "protocol", "response_complete")

    message_event = _NoEvent()

    def __init__(self, protocol: "Protocol", lines: Lines, length: bytes, keep_alive: bool) -> None:
        self.protocol = protocol
        self.lines = lines
        self.length = length
        self.keep_alive = keep_alive
        self.body = b""
        self.disconnected = False
        self.response_complete = False

    def begin(self) -> None:
        """The request is there, all of it."""
        assert self.lines.head is not None
        if not intake_application.begin(self.lines.head, self.body, self._answer):
            self.protocol.go_the_long_way(self)

    def _answer(self, begun: Begun, outcome: Stored | Exception) -> None:
        protocol = self.protocol
        try:
            answer = begun.answer(outcome)
            if answer is None:
                protocol.go_the_long_way(self)
                return
            message = self._message(answer, begun)
        except BaseException:
            protocol.transport.abort()  # it may be stored; the sender asks again, and is told so
            raise
        self.response_complete = True
        transport = protocol.transport
        if not transport.is_closing():
            transport.write(message)
            if not self.keep_alive:
                transport.close()
        protocol.on_response_complete()

    def _message(self, answer: Answer, begun: Begun) -> bytes:
        """What is written to the socket."""
        request_id = begun.request.correlation_id
        defaults = self.protocol.server_state.default_headers
        if (
            isinstance(answer.body, dict)
            and not answer.headers
            and answer.status < FAILED
            and self.keep_alive
        ):
            body = msgspec.json.encode(answer.body)
            return PLAIN % (shared_heads.of(answer.status, defaults), request_id.encode(), len(body), body)
        body, headers = header_lines(answer, request_id, begun.format)
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        return b"%b%b\r\n%b" % (STATUS_LINE[answer.status], rendered([*defaults, *headers]), body)


class Protocol(HttpToolsProtocol):
    cycle: Any
    url = b""  # nothing may have been parsed on a connection before one of its requests goes the long way
    _length = b""
    _lines: Lines | None = None  # of the last request that could have been a plain one
    _rests_since: float | None = None
    _is_ending = False
    _is_between = True  # no request is read in part
    # A sender's heads are the same again and again: what was parsed once need not be parsed anew.
    _seen: ClassVar[dict[bytes, SeenHead]] = {}

    def data_received(self, data: bytes) -> None:
        if not self._is_between or (self.cycle is not None and not self.cycle.response_complete):
            super().data_received(data)
            return
        end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
        seen = self._seen.get(data[:end])
        if seen is not None and len(data) == end + seen.size:
            self._rests_since = None
            self.cycle = ShortCycle(self, seen.lines, seen.length, not self._is_last())
            self.cycle.body = data[end:]
            self.cycle.begin()
            return
        last = self.cycle
        super().data_received(data)
        if self.cycle is not last:
            self._remember(data[:end], len(data) - end)

    def _remember(self, head: bytes, size: int) -> None:
        """For the next request with the same head, if it was that of a plain one and nothing else came with it."""
        cycle = self.cycle
        if (
            isinstance(cycle, ShortCycle)
            and cycle.keep_alive
            and self._is_between
            and int(cycle.length) == size == len(cycle.body)
            and len(head) <= LONGEST_HEAD
        ):
            if len(self._seen) >= MOST_HEADS:
                self._seen.clear()
            self._seen[head] = SeenHead(cycle.lines, cycle.length, size)

    def on_message_begin(self) -> None:
        # The scope is made only for those that go by ASGI.
        self._is_between = False
        self.url = b""
        self.headers = []
        self._length = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"content-length":
            self._length = value  # of which the parser lets no second one pass
        else:
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._is_plain():
            assert self._lines is not None
            keeps = self.parser.should_keep_alive() and not self._is_last()
            self.cycle = ShortCycle(self, self._lines, self._length, keeps)
            return
        self._make_scope(self.url, self.headers, self._length)
        super().on_headers_complete()
        if self._is_last() and self.cycle is not None:
            self.cycle.keep_alive = False

    def _is_last(self) -> bool:
        """Whether the connection is to be closed with the next answer."""
        return self._is_ending or draining.is_draining

    def _is_plain(self) -> bool:
        """Whether it is for intake, with nothing unusual about it, and no other is under way on the connection."""
        if (
            (self.cycle is not None and not self.cycle.response_complete)
            or self.limit_concurrency is not None
            or self.access_log
            or self.root_path
            or self.parser.get_method() != b"POST"
            or self.parser.get_http_version() != "1.1"
            or not self._length.isdigit()
            or int(self._length) > MAX_BODY_BYTES
        ):
            return False
        lines = self._lines
        if lines is None or self.url != lines.url or self.headers != lines.headers:
            lines = self._lines = Lines(self.url, self.headers, _read_head(self.url, self.headers))
        return lines.head is not None

    def _make_scope(self, url: bytes, headers: list[Line], length: bytes) -> None:
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        if length:
            super().on_header(b"content-length", length)

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if isinstance(cycle, ShortCycle) and not cycle.response_complete:
            cycle.body = cycle.body + body if cycle.body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_between = True
        cycle = self.cycle
        if isinstance(cycle, ShortCycle) and not cycle.response_complete:
            cycle.begin()
        else:
            super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        if self._is_ending:
            self.transport.close()  # the client comes back, to another process
            return
        super().handle_websocket_upgrade()
        self.parser = None  # it points back here, and both would stay until the collector comes

    def go_the_long_way(self, short: ShortCycle) -> None:
        """Let ASGI have a request of which all was read and nothing is stored."""
        if self.transport.is_closing():
            return
        # Another request may be coming in already.
        coming = self.url, self.headers, self.expect_100_continue
        self._make_scope(short.lines.url, short.lines.headers, short.length)
        path = short.lines.url.decode("ascii")
        self.scope.update(method="POST", path=path, raw_path=short.lines.url, query_string=b"")
        scope = self.scope
        self.url, self.headers, self.expect_100_continue = coming
        cycle = RequestResponseCycle(
            scope=scope,
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

    # A connection that rests is closed after a while. One timer looks when it is due how long that has been: to end
    # one and make another for each request would cost a tenth of it.

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._rests_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_after(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        self._rests_since = None

    def _look_after(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._rests_since is None:
            return  # it looks again once it has answered
        left = self._rests_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_after(left)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        """The process is about to end: the next answer is the connection's last."""
        self._is_ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(RESTING_SECONDS, self._close_if_it_rests)
        else:
            self.cycle.keep_alive = False

    def _close_if_it_rests(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None


def _read_head(url: bytes, lines: list[Line]) -> Head | None:
    if b"?" in url or b"%" in url or not url.isascii() or not is_intake("POST", url.decode("ascii")):
        return None
    headers = {}
    for name, value in lines:
        if name in UNUSUAL:
            return None
        headers[name.decode("latin-1")] = value.decode("latin-1")
    return intake_application.recognise(url.decode("ascii"), headers)
