"""The provider of the drill: an SMTP server that writes down each message before it answers. Run as a program:

    python -m bench.drill.provider <port> <log> <seed>

Now and then it is slow to take a message, slow to say that it has, or refuses it for the moment (451).
A line of the log: {"id": notification, "pid": of the sender, "to": address, "opened": when the connection was made,
"at": when the message was there, "code": 250 or 451}. Times are Unix seconds.
"""

import asyncio
import contextlib
import email
import json
import os
import random
import re
import signal
import sys
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

# <seconds.pid.random.notification@host>: email.utils.make_msgid, with the notification's id in it.
MESSAGE_ID = re.compile(r"<\d+\.(?P<pid>\d+)\.\d+\.(?P<id>[0-9a-f-]{36})@")
SLOW_SECONDS = (0.5, 2.5)
REFUSED, SLOW_TO_TAKE, SLOW_TO_ANSWER = 0.04, 0.05, 0.08  # shares of the messages


class Recorder:
    """aiosmtpd's handler."""

    def __init__(self, log: str, seed: int) -> None:
        self.descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.random = random.Random(seed)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        opened = getattr(session, "opened_at", time.time())
        draw = self.random.random()
        pause = self.random.uniform(*SLOW_SECONDS)
        if draw < REFUSED:
            self.write(envelope, opened, 451)
            return "451 4.3.2 try again later"
        if draw < REFUSED + SLOW_TO_TAKE:
            await asyncio.sleep(pause)
        self.write(envelope, opened, 250)
        if REFUSED + SLOW_TO_TAKE <= draw < REFUSED + SLOW_TO_TAKE + SLOW_TO_ANSWER:
            await asyncio.sleep(pause)
        return "250 taken"

    def write(self, envelope: Envelope, opened: float, code: int) -> None:
        content = (
            envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        )
        header = str(email.message_from_bytes(content)["Message-ID"])
        found = MESSAGE_ID.search(header)
        line = {
            "id": found["id"] if found else header,
            "pid": int(found["pid"]) if found else 0,
            "to": envelope.rcpt_tos[0],
            "opened": opened,
            "at": time.time(),
            "code": code,
        }
        os.write(self.descriptor, json.dumps(line).encode() + b"\n")


class Server(SMTP):
    """Notes when each connection was made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.session is not None:
            self.session.opened_at = time.time()


class Provider(Controller):
    def factory(self) -> Server:
        return Server(self.handler, hostname="provider.drill")


def main() -> None:
    port, log, seed = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    provider = Provider(Recorder(log, seed), hostname="127.0.0.1", port=port)
    provider.start()
    with contextlib.suppress(KeyboardInterrupt):
        signal.sigwait([signal.SIGTERM, signal.SIGINT])
    provider.stop()


if __name__ == "__main__":
    main()
