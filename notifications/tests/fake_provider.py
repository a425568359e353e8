"""A provider on a real socket that misbehaves on demand, and the transport that talks to it."""

import io
import json
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from notifications.exceptions import DeliveryError

ADDRESS_VARIABLE = "FAKE_PROVIDER_URL"


class FakeProvider:
    """Takes messages by HTTP. `behave(request)` may delay, refuse or break off; without it all is taken.

    `taken` are the notifications' ids in the order in which they were taken: what people got.
    """

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.calls = 0
        self.behave: Callable[[Any], None] | None = None
        self.faults: list[Callable[[Any], None]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                provider.calls += 1
                self.message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fault = provider.faults.pop(0) if provider.faults else provider.behave
                if fault:
                    fault(self)
                else:
                    self.take()

            def take(self) -> None:
                provider.taken.append(self.message["notification"])
                self.answer(200, {"id": f"fake-{len(provider.taken)}"})

            def answer(self, status: int, body: dict[str, str], **headers: str) -> None:
                content = json.dumps(body).encode()
                with suppress(OSError):  # nobody may be waiting any more
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name.replace("_", "-"), value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def reset(self) -> None:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                self.close_connection = True
                self.wfile = io.BytesIO()

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/messages"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in Counter(self.taken).values())


class FakeTransport:
    """Reads the provider's answers as a careful transport does: the body, too."""

    account = "fake"
    can_be_answered = False

    def __init__(self, url: str, *, timeout_seconds: float = 30.0) -> None:
        self.url, self.timeout_seconds = url, timeout_seconds

    def is_configured(self) -> bool:
        return True

    def why_off(self) -> str:
        return ""

    def send(self, message: Any) -> str:
        said = {"notification": str(message.notification_id), "to": message.address, "text": message.subject}
        try:
            response = httpx.post(self.url, json=said, timeout=self.timeout_seconds)
        except httpx.TransportError as error:
            raise DeliveryError(f"no answer: {error!r}") from error
        if "Retry-After" in response.headers:
            pause = timedelta(seconds=int(response.headers["Retry-After"]))
            raise DeliveryError(f"answered {response.status_code}", retry_after=pause)
        body = response.json()
        if response.is_success and "id" not in body:
            raise DeliveryError(f"answered 200, but: {body}")
        if not response.is_success:
            permanent = response.is_client_error
            raise DeliveryError(f"answered {response.status_code}: {body}", permanent=permanent)
        return str(body["id"])


def deliver_in_a_process_of_its_own(notification_id: str) -> None:
    """What the killed worker runs: `python -c` calls it in the environment of the test's servers."""
    import django

    django.setup()

    from uuid import UUID

    from notifications import outbox
    from notifications.enums import Channel
    from notifications.transports import TRANSPORTS

    TRANSPORTS[Channel.EMAIL] = FakeTransport(os.environ[ADDRESS_VARIABLE])
    outbox.deliver(UUID(notification_id))
