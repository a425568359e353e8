"""So many WebSocket clients in one process, for bench/live.py: they join a room each and note when events come.

Reads a line of JSON {protocol, clients: [{url, room, token}], result} from stdin, says `ready` when all are in their
rooms, and when stdin ends writes [number of the event, Unix time] of everything received to the file `result`.
"""

import asyncio
import base64
import gc
import json
import os
import re
import struct
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

AT_ONCE = 25
NUMBER = re.compile(rb'"n":\s*(\d+)')
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


class Client(asyncio.Protocol):
    """As little as there is to a WebSocket client, so that the servers are what is measured."""

    def __init__(
        self, wanted: dict[str, str], received: list[tuple[int, float]], speaks_engine_io: bool
    ) -> None:
        self.wanted, self.received, self.speaks_engine_io = wanted, received, speaks_engine_io
        self.buffer = bytearray()
        self.is_open = False
        self.is_in = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        url = urlsplit(self.wanted["url"])
        lines = [
            f"GET {url.path}{'?' + url.query if url.query else ''} HTTP/1.1",
            f"Host: {url.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        ]
        if not self.speaks_engine_io:
            lines.append("Sec-WebSocket-Protocol: openalert.v1")
        transport.write(("\r\n".join(lines) + "\r\n\r\n").encode())

    def data_received(self, data: bytes) -> None:
        at = time.time()
        self.buffer += data
        if not self.is_open:
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return
            if b" 101 " not in head.partition(b"\r\n")[0]:
                raise SystemExit(f"no WebSocket: {bytes(head)!r}")
            self.buffer, self.is_open = bytearray(rest), True
            if not self.speaks_engine_io:
                self.send({"type": "hello", "token": self.wanted["token"]})
        while (frame := self.next_frame()) is not None:
            self.take(*frame, at)

    def next_frame(self) -> tuple[int, bytes] | None:
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        length, start = buffer[1] & 0x7F, 2
        if length == 126:
            if len(buffer) < 4:
                return None
            length, start = struct.unpack_from("!H", buffer, 2)[0], 4
        elif length == 127:
            if len(buffer) < 10:
                return None
            length, start = struct.unpack_from("!Q", buffer, 2)[0], 10
        if len(buffer) < start + length:
            return None
        opcode, payload = buffer[0] & 0xF, bytes(buffer[start : start + length])
        del buffer[: start + length]
        return opcode, payload

    def take(self, opcode: int, payload: bytes, at: float) -> None:
        if opcode == PING:
            self.write(PONG, payload)
        elif opcode == CLOSE:
            self.transport.close()
        elif opcode == TEXT:
            if found := NUMBER.search(payload):
                self.received.append((int(found[1]), at))
            elif self.speaks_engine_io:
                self.answer_engine_io(payload)
            elif payload.startswith(b'{"type":"welcome"') and not self.is_in.done():
                self.is_in.set_result(None)

    def answer_engine_io(self, payload: bytes) -> None:
        """Engine.IO protocol 4: 0 open, 2 ping, 3 pong; in 4 a message Socket.IO: 0 connect, 2 event."""
        if payload.startswith(b"0"):
            self.write(TEXT, b"40")
        elif payload == b"2":
            self.write(TEXT, b"3")
        elif payload.startswith(b"40"):
            self.write(TEXT, b"42" + json.dumps(["join", self.wanted["room"]]).encode())
        elif payload.startswith(b'42["joined"') and not self.is_in.done():
            self.is_in.set_result(None)

    def send(self, message: dict[str, str]) -> None:
        self.write(TEXT, json.dumps(message).encode())

    def write(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        length = len(payload)
        head = (
            bytes([0x80 | opcode, 0x80 | length])
            if length < 126
            else struct.pack("!BBH", 0x80 | opcode, 0xFE, length)
        )
        masked = bytes(byte ^ mask[place & 3] for place, byte in enumerate(payload))
        self.transport.write(head + mask + masked)

    def connection_lost(self, failure: Exception | None) -> None:
        if not self.is_in.done():
            self.is_in.set_exception(ConnectionError(f"closed before it was in: {failure!r}"))


async def run(wanted: dict) -> None:
    loop = asyncio.get_running_loop()
    received: list[tuple[int, float]] = []
    gate = asyncio.Semaphore(AT_ONCE)

    async def join(client: dict[str, str]) -> asyncio.BaseTransport:
        url = urlsplit(client["url"])
        async with gate:
            transport, protocol = await loop.create_connection(
                lambda: Client(client, received, wanted["protocol"] == "engine.io"), url.hostname, url.port
            )
            await asyncio.wait_for(protocol.is_in, 60)
            return transport

    transports = await asyncio.gather(*(join(client) for client in wanted["clients"]))
    # What is received is kept: the collector would walk through all of it, and be measured as latency.
    gc.disable()
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    lost = sum(transport.is_closing() for transport in transports)
    Path(wanted["result"]).write_text(json.dumps({"received": received, "lost": lost}))
    for transport in transports:
        transport.close()


if __name__ == "__main__":
    uvloop.run(run(json.loads(sys.stdin.readline())))
