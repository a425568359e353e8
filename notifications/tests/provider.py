"""A provider at the other end of real sockets: keeps what it is sent, and answers as it is told."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, urlsplit

from requests.structures import CaseInsensitiveDict

LOOPBACK = ["127.0.0.0/8"]


@dataclass(frozen=True)
class Taken:
    """A request as it came over the wire."""

    method: str
    path: str
    query: str
    headers: CaseInsensitiveDict[str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), keep_blank_values=True, strict_parsing=True)

    @property
    def fields(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def as_json(value, status=200, **headers) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


class Reset(Exception):
    """The connection is reset instead of answered."""


class Hang(Exception):
    """The connection stays open and nothing comes."""


class Drip(Exception):
    """One byte after the other, for ever."""


class Provider:
    """`answers` are given first, one each; after them `usual` is. Each is an Answer, a fault, or makes one of a Taken."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.answers: list[Answer | type[Exception] | Callable[[Taken], Answer]] = []
        self.usual: Answer | type[Exception] | Callable[[Taken], Answer] = Answer()
        self.closing = threading.Event()
        self.refused: list[BaseException] = []
        self._lock = threading.Lock()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                provider._handle(self)

            do_GET = do_POST = do_PUT = handle_any

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        taken = Taken(
            handler.command,
            parts.path,
            parts.query,
            CaseInsensitiveDict(handler.headers.items()),
            handler.rfile.read(length),
        )
        with self._lock:
            self.taken.append(taken)
            answer = self.answers.pop(0) if self.answers else self.usual
        handler.close_connection = True
        try:
            made = answer if isinstance(answer, Answer | type) else answer(taken)
        except BaseException as error:  # what it would not take fails the test, not only the request
            self.refused.append(error)
            raise
        if isinstance(made, type):
            self._fail(handler, made)
            return
        handler.send_response(made.status)
        for name, value in {
            "Content-Length": str(len(made.body)),
            "Connection": "close",
            **made.headers,
        }.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(made.body)

    def _fail(self, handler: BaseHTTPRequestHandler, fault: type[Exception]) -> None:
        if fault is Reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif fault is Drip:
            deadline = time.monotonic() + 20
            try:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
                while time.monotonic() < deadline and not self.closing.wait(0.05):
                    handler.wfile.write(b".")
                    handler.wfile.flush()
            except OSError:
                pass
        else:
            self.closing.wait(20)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()
    try:
        yield provider
    finally:
        provider.close()
    if provider.refused:
        raise provider.refused[0]
