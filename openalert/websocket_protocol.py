"""uvicorn's WebSocket protocol for very many quiet readers: `uvicorn --ws openalert.websocket_protocol:Protocol`.

By ASGI an open connection costs a task, the coroutines of each layer, queues and a parser, and each message to each
connection a dictionary, a frame and a wait: many times what is sent. Here the application is called by ASGI to let
somebody in or not; then it takes the connection over (`scope["extensions"][TAKE_OVER]` is the protocol) and returns.
From there on it is called for each message, one at a time, and writes frames that were made once for all readers.
There is no other way: an application that does not take it over has nobody to hear, and is closed.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast
from typing import Protocol as Interface
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from . import websocket_frames as frames

TAKE_OVER = "openalert.take_over"
CLOSE_WITHIN_SECONDS = 10.0
# Pings are spread over the interval, or a thousand connections would be pinged at one moment.
PARTS = 100
PING = frames.written(frames.PING, b"")

logger = logging.getLogger("uvicorn.error")


class Listener(Interface):
    async def hear(self, message: str | bytes) -> None:
        """A message. The next one comes when this one is done."""

    def end(self) -> None:
        """The connection is gone, and nothing is heard any more. Called once."""


class Protocol(asyncio.Protocol):
    """One connection. `write` and `close` never wait; `on_room` is called when `is_full` has ended."""

    __slots__ = (
        "_app_state",
        "_config",
        "_fragments",
        "_handshake",
        "_inbox",
        "_is_lost",
        "_listener",
        "_loop",
        "_rest",
        "_state",
        "_task",
        "_timer",
        "_transport",
        "is_closing",
        "is_full",
        "is_silent",
        "on_room",
        "part",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config, self._state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._handshake: tuple[ServerProtocol, Response] | None = None  # until it is answered
        self._rest: bytes | None = None  # of a frame that has not come whole; None before the handshake
        self._fragments: tuple[int, bytearray] | None = None
        self._inbox: deque[str | bytes] | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._listener: Listener | None = None
        self._is_lost = False
        self.is_closing = False
        self.is_full = False
        self.is_silent = False  # since the last ping
        self.on_room: Callable[[], None] | None = None
        self.part = 0

    # What the application may do

    def take_over(self, listener: Listener) -> None:
        """From now on `listener` hears; what came before waits for it."""
        self._listener = listener
        if self._inbox:
            self._start()
        elif self._is_lost:
            self._end()

    def write(self, frame: bytes) -> None:
        """Send a frame as it is. When `is_full`, wait for `on_room` before the next."""
        if not (self.is_closing or self._transport.is_closing()):
            self._transport.write(frame)

    def close(self, code: int) -> None:
        """Say that it is over, and wait some seconds for the other side to say so too."""
        if self.is_closing or self._transport.is_closing():
            return
        self._transport.write(frames.written(frames.CLOSE, frames.close_payload(code)))
        self.is_closing = True
        self._timer = self._loop.call_later(CLOSE_WITHIN_SECONDS, self._transport.abort)
        self._transport.resume_reading()

    # What the server and the event loop call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, failure: Exception | None) -> None:
        self.is_closing = self._is_lost = True
        self._state.connections.discard(self)  # type: ignore[arg-type]
        Keepalive.of(self._loop, self._config).leave(self)
        if self._timer:
            self._timer.cancel()
        if self._task is None:
            self._end()

    def shutdown(self) -> None:
        if self._rest is None:
            self._refuse(500)
        else:
            self.close(frames.RESTART)
            self._transport.close()

    def pause_writing(self) -> None:
        self.is_full = True

    def resume_writing(self) -> None:
        self.is_full = False
        if self.on_room:
            self.on_room()

    def data_received(self, data: bytes) -> None:
        self.is_silent = False
        if self._rest is None:
            self._begin(data)
            return
        if self._rest:
            data = self._rest + data
        at = 0
        try:
            while (frame := frames.read(data, at, self._config.ws_max_size)) is not None:
                at = frame.end
                self._take(frame)
        except frames.FrameError as error:
            self.close(error.code)
            at = len(data)
        self._rest = data[at:]

    # The handshake

    def _begin(self, head: bytes) -> None:
        """The head of the request, all of it, as uvicorn writes it out again."""
        handshake = ServerProtocol(max_size=None)
        handshake.receive_data(head)
        [request, *_] = [*handshake.events_received(), None]
        handshake.parser.close()  # it would hold all of this in a circle
        if not isinstance(request, Request):
            self._transport.close()
            return
        response = handshake.accept(request)
        self._handshake = handshake, response
        if response.status_code != 101:
            self._answer(response)
            self._transport.close()
            return
        task = self._loop.create_task(self._call(self._scope(request)))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    def _scope(self, request: Request) -> dict[str, Any]:
        path, _, query = request.path.partition("?")
        offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
        root = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._transport) else "ws",
            "server": get_local_addr(self._transport),
            "client": get_remote_addr(self._transport),
            "root_path": root,
            "path": root + unquote(path),
            "raw_path": (root + path).encode(),
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in request.headers.raw_items()
            ],
            "subprotocols": [name.strip() for name in offered.split(",") if name.strip()],
            "state": self._app_state.copy(),
            "extensions": {TAKE_OVER: self},
        }

    async def _call(self, scope: dict[str, Any]) -> None:
        try:
            await self._config.loaded_app(scope, self._receive, self._send)
        except Exception:
            logger.exception("Exception in ASGI application\n")
        if self._rest is None:
            self._refuse(500)
        elif self._listener is None and not self._is_lost:
            self.close(frames.INTERNAL_ERROR)

    async def _receive(self) -> dict[str, Any]:
        if self._rest is not None:
            raise RuntimeError("Take the connection over: messages do not come this way.")
        return {"type": "websocket.connect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if self._is_lost or self._handshake is None:
            return
        if message["type"] == "websocket.close":
            self._refuse(403)
            return
        if message["type"] != "websocket.accept":
            raise RuntimeError(f"{message['type']} is not sent this way.")
        _, response = self._handshake
        del response.headers["Date"]  # it is among the server's own
        for name, value in (*self._state.default_headers, *message.get("headers", ())):
            response.headers[name.decode("latin-1")] = value.decode("latin-1")
        if chosen := message.get("subprotocol"):
            response.headers["Sec-WebSocket-Protocol"] = chosen
        self._answer(response)
        self._rest = b""
        Keepalive.of(self._loop, self._config).enter(self)

    def _refuse(self, status: int) -> None:
        if self._handshake and not self._transport.is_closing():
            handshake, _ = self._handshake
            self._answer(handshake.reject(status, ""))
        self._transport.close()

    def _answer(self, response: Response) -> None:
        self._transport.write(response.serialize())
        self._handshake = None

    # Messages

    def _take(self, frame: frames.Received) -> None:
        opcode, payload = frame.opcode, frame.payload
        if opcode == frames.CLOSE:
            self._take_close(payload)
        elif self.is_closing or opcode == frames.PONG:
            return
        elif opcode == frames.PING:
            if not self.is_full:  # who does not read is not answered
                self._transport.write(frames.written(frames.PONG, payload))
        elif opcode == frames.CONTINUATION:
            self._take_fragment(frame)
        elif self._fragments is not None:
            raise frames.FrameError(frames.PROTOCOL_ERROR)
        elif frame.is_last:
            self._take_message(opcode, payload)
        else:
            self._fragments = opcode, bytearray(payload)

    def _take_fragment(self, frame: frames.Received) -> None:
        if self._fragments is None:
            raise frames.FrameError(frames.PROTOCOL_ERROR)
        opcode, message = self._fragments
        message += frame.payload
        if len(message) > self._config.ws_max_size:
            raise frames.FrameError(frames.TOO_BIG)
        if frame.is_last:
            self._fragments = None
            self._take_message(opcode, bytes(message))

    def _take_close(self, payload: bytes) -> None:
        code = frames.close_code(payload)
        if not self.is_closing:
            self._transport.write(frames.written(frames.CLOSE, frames.close_payload(code)))
            self.is_closing = True
        self._transport.close()

    def _take_message(self, opcode: int, payload: bytes) -> None:
        try:
            message = payload.decode() if opcode == frames.TEXT else payload
        except UnicodeDecodeError as error:
            raise frames.FrameError(frames.NOT_UTF8) from error
        if self._inbox is None:
            self._inbox = deque()
        self._inbox.append(message)
        if self._task or self._listener is None:
            self._transport.pause_reading()
        else:
            self._start()

    def _start(self) -> None:
        self._task = self._loop.create_task(self._hear())
        self._state.tasks.add(self._task)

    async def _hear(self) -> None:
        assert self._inbox is not None and self._listener is not None
        try:
            while self._inbox:
                await self._listener.hear(self._inbox.popleft())
        except Exception:
            logger.exception("Exception in a WebSocket's listener\n")
            self.close(frames.INTERNAL_ERROR)
        finally:
            assert self._task is not None
            self._state.tasks.discard(self._task)
            self._task = self._inbox = None
            if self._is_lost:
                self._end()
            elif not self._transport.is_closing():
                self._transport.resume_reading()

    def _end(self) -> None:
        listener, self._listener, self.on_room = self._listener, None, None
        if listener:
            listener.end()


class Keepalive:
    """Pings the connections of an event loop in turn; who has said nothing since the ping before is closed."""

    _known: "WeakKeyDictionary[asyncio.AbstractEventLoop, Keepalive]" = WeakKeyDictionary()

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop, config: Config) -> "Keepalive":
        if loop not in cls._known:
            cls._known[loop] = cls(loop, config.ws_ping_interval)
        return cls._known[loop]

    def __init__(self, loop: asyncio.AbstractEventLoop, every_seconds: float | None) -> None:
        self._loop, self._every = loop, every_seconds
        self._parts: list[set[Protocol]] = [set() for _ in range(PARTS)]
        self._entered = self._passed = 0
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, connection: Protocol) -> None:
        if not self._every:
            return
        self._entered += 1
        connection.part = self._entered % PARTS
        self._parts[connection.part].add(connection)
        if self._timer is None:
            self._timer = self._loop.call_later(self._every / PARTS, self._ping)

    def leave(self, connection: Protocol) -> None:
        self._parts[connection.part].discard(connection)
        if self._timer and not any(self._parts):
            self._timer.cancel()
            self._timer = None

    def _ping(self) -> None:
        assert self._every
        self._timer = self._loop.call_later(self._every / PARTS, self._ping)
        self._passed += 1
        for connection in tuple(self._parts[self._passed % PARTS]):
            if connection.is_silent:
                connection.close(frames.INTERNAL_ERROR)
            else:
                connection.is_silent = True
                connection.write(PING)
