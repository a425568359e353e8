"""The thin WebSocket protocol over real sockets: what it hears, what it refuses, and what it writes."""

import asyncio
import contextlib
import os
import socket
import struct
import threading

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from openalert import websocket_frames as frames
from openalert import websocket_protocol
from openalert.tests.stack import eventually, free_port
from openalert.websocket_protocol import TAKE_OVER, Protocol

SIZES = [0, 1, 125, 126, 127, 65_535]


def masked(opcode, payload=b"", *, is_last=True):
    """As a client sends it, by another library."""
    return Frame(opcode, payload, is_last).serialize(mask=True)


# Frames


@pytest.mark.parametrize("size", [*SIZES, 65_536, 100_000])
def test_frames_are_written_as_others_write_them(size):
    payload = os.urandom(size)
    frame = frames.written(frames.BINARY, payload)
    assert frame == Frame(Opcode.BINARY, payload).serialize(mask=False)
    assert frames.payload_of(frame) == payload


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_read_when_it_has_come_whole(size):
    payload = os.urandom(size)
    first, frame = masked(Opcode.PING, b"x"), masked(Opcode.TEXT, payload, is_last=False)
    buffer = first + frame + first
    for cut in {0, 1, 2, 3, 4, 5, 9, len(frame) - 1} & set(range(len(frame))):
        assert frames.read((first + frame)[: len(first) + cut], len(first), 70_000) is None
    end = len(first) + len(frame)
    assert frames.read(buffer, len(first), 70_000) == (False, frames.TEXT, payload, end)
    assert frames.read(buffer, end, 70_000) == (True, frames.PING, b"x", len(buffer))


def test_a_length_of_eight_bytes_is_read():
    payload = os.urandom(66_000)
    assert frames.read(masked(Opcode.BINARY, payload), 0, 70_000).payload == payload


BROKEN = {
    "not masked": (frames.written(frames.TEXT, b"x"), 1002),
    "reserved bit": (b"\xc1\x81abcdx", 1002),
    "unknown opcode": (b"\x83\x80abcd", 1002),
    "ping in pieces": (b"\x09\x80abcd", 1002),
    "long ping": (b"\x89\xfe\x00\x7e" + bytes(130), 1002),
    "too big": (b"\x81\xff" + struct.pack("!Q", 65_537), 1009),
    "continues nothing": (masked(Opcode.CONT, b"x"), 1002),
    "begins anew": (masked(Opcode.TEXT, b"x", is_last=False) + masked(Opcode.TEXT, b"y"), 1002),
    "too big in pieces": (
        masked(Opcode.TEXT, b"x" * 40_000, is_last=False) + masked(Opcode.CONT, b"x" * 40_000),
        1009,
    ),
    "no text": (masked(Opcode.TEXT, b"\xff\xfe"), 1007),
    "half a close code": (b"\x88\x81abcd\x00", 1002),
    "close code of nobody": (masked(Opcode.CLOSE, struct.pack("!H", 1005)), 1002),
    "close code of the future": (masked(Opcode.CLOSE, struct.pack("!H", 2999)), 1002),
    "close without text": (masked(Opcode.CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
}


# Connections


class Echo:
    """Says what it hears; keeps what happened."""

    def __init__(self, connection, may_go_on):
        self.connection, self.heard, self.ends, self.at_once = connection, [], 0, 0
        self.may_go_on = may_go_on

    async def hear(self, message):
        self.at_once += 1
        assert self.at_once == 1, "one at a time"
        while not self.may_go_on.is_set():
            await asyncio.sleep(0.01)
        self.heard.append(message)
        self.at_once -= 1
        if message == "fail":
            raise RuntimeError("as asked")
        if message == "close":
            self.connection.close(4401)
        elif isinstance(message, str):
            self.connection.write(frames.written(frames.TEXT, message.encode()))
        else:
            self.connection.write(frames.written(frames.BINARY, message))

    def end(self):
        self.ends += 1


class Site:
    """A server in a thread of its own, and the listeners of its connections."""

    def __init__(self, **options):
        self.port = free_port()
        self.echoes = []
        self.before_take_over = threading.Event()
        self.before_take_over.set()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        config = uvicorn.Config(
            self.application,
            host="127.0.0.1",
            port=self.port,
            http="openalert.http_protocol:Protocol",
            interface="asgi3",
            ws=Protocol,
            ws_max_size=65_536,
            lifespan="off",
            log_level="error",
            **options,
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)

    async def application(self, scope, receive, send):
        assert (await receive())["type"] == "websocket.connect"
        self.scope = scope
        match scope["path"]:
            case "/refused":
                await send({"type": "websocket.close"})
            case "/fails":
                raise RuntimeError("as asked")
            case "/forgets":
                await send({"type": "websocket.accept"})
            case "/waits":
                await send({"type": "websocket.accept"})
                await receive()
            case _:
                await send(
                    {"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)}
                )
                while not self.before_take_over.is_set():
                    await asyncio.sleep(0.01)
                connection = scope["extensions"][TAKE_OVER]
                echo = Echo(connection, self.may_go_on)
                self.echoes.append(echo)
                connection.take_over(echo)

    def __enter__(self):
        self.thread.start()
        eventually(lambda: self.server.started, within=10)
        return self

    def __exit__(self, *failure):
        self.before_take_over.set()
        self.may_go_on.set()
        self.server.should_exit = True
        self.thread.join(20)

    def connect(self, path="/", **options):
        return connect(f"ws://127.0.0.1:{self.port}{path}", compression=None, **options)

    @contextlib.contextmanager
    def raw(self):
        """A connection after its handshake, without a library that would keep to the rules."""
        with contextlib.closing(socket.create_connection(("127.0.0.1", self.port), 10)) as client:
            client.sendall(
                b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            assert head.startswith(b"HTTP/1.1 101 ")
            yield client

    @property
    def echo(self):
        eventually(lambda: self.echoes, within=5)
        return self.echoes[-1]


@pytest.fixture
def site():
    with Site() as running:
        yield running


def everything(client):
    """All frames until the connection ends."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while got := client.recv(65_536):
            data += got
    found, at = [], 0
    while at < len(data):
        opcode, length, head = data[at] & 0x0F, data[at + 1], 2
        if length == 126:
            length, head = struct.unpack_from("!H", data, at + 2)[0], 4
        found.append((opcode, data[at + head : at + head + length]))
        at += head + length
    return found


def test_messages_of_all_kinds_are_heard_and_answered(site):
    with site.connect() as client:
        for message in ["", "Grüße 👋", b"", os.urandom(70), "x" * 126, os.urandom(65_536), "x" * 65_535]:
            client.send(message)
            assert client.recv(5) == message
    eventually(lambda: site.echo.ends == 1, within=5)


def test_a_message_may_come_in_frames_and_in_packets_of_any_size(site):
    with site.raw() as client:
        wire = masked(Opcode.TEXT, b"Gr" + b"\xc3", is_last=False)
        wire += masked(Opcode.PING, b"still there?") + masked(Opcode.PONG, b"unasked")
        wire += masked(Opcode.CONT, b"", is_last=False) + masked(Opcode.CONT, b"\xbc\xc3\x9fe")
        wire += masked(Opcode.TEXT, b"and more")
        for place in range(len(wire)):
            client.sendall(wire[place : place + 1])
        eventually(lambda: site.echo.heard == ["Grüße", "and more"], within=5)
        client.sendall(masked(Opcode.CLOSE, struct.pack("!H", 1000) + b"bye"))
        assert everything(client) == [
            (frames.PONG, b"still there?"),
            (frames.TEXT, "Grüße".encode()),
            (frames.TEXT, b"and more"),
            (frames.CLOSE, struct.pack("!H", 1000)),
        ]
    eventually(lambda: site.echo.ends == 1, within=5)


@pytest.mark.parametrize("what", BROKEN)
def test_who_breaks_the_protocol_is_told_and_closed(site, monkeypatch, what):
    monkeypatch.setattr(websocket_protocol, "CLOSE_WITHIN_SECONDS", 0.2)
    wire, code = BROKEN[what]
    with site.raw() as client:
        client.sendall(wire + masked(Opcode.TEXT, b"never heard"))
        assert everything(client) == [(frames.CLOSE, struct.pack("!H", code))]
    assert site.echo.heard == []
    eventually(lambda: site.echo.ends == 1, within=5)


@pytest.mark.parametrize("answers", [True, False])
def test_the_server_closes_and_waits_for_the_answer_for_a_while(site, monkeypatch, answers):
    monkeypatch.setattr(websocket_protocol, "CLOSE_WITHIN_SECONDS", 0.3)
    if answers:
        with site.connect() as client:
            client.send("close")
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(5)
        assert closed.value.rcvd.code == 4401
    else:
        with site.raw() as client:
            client.sendall(masked(Opcode.TEXT, b"close"))
            assert everything(client) == [(frames.CLOSE, struct.pack("!H", 4401))]
    eventually(lambda: site.echo.ends == 1, within=5)


def test_messages_are_heard_one_at_a_time_and_who_sends_more_waits(site):
    site.before_take_over.clear()
    messages = [f"{number} {'x' * 50_000}" for number in range(300)]  # more than the kernel holds for both
    with site.connect() as client:
        sender = threading.Thread(target=lambda: [client.send(message) for message in messages])
        sender.start()
        site.may_go_on.clear()
        site.before_take_over.set()
        sender.join(1)
        assert sender.is_alive()
        assert len(site.echo.connection._inbox) < 20
        site.may_go_on.set()
        assert [client.recv(5) for _ in messages] == messages
        sender.join(5)
    assert site.echo.heard == messages


def test_what_is_said_before_the_connection_was_taken_over_is_heard(site):
    site.before_take_over.clear()
    with site.connect() as client:
        client.send("early")
        client.send("bird")
        client.ping().wait(5)  # it has come
        site.before_take_over.set()
        assert [client.recv(5), client.recv(5)] == ["early", "bird"]


def test_who_left_before_it_was_taken_over_is_ended(site):
    site.before_take_over.clear()
    with site.raw():
        pass
    eventually(lambda: not site.server.server_state.connections, within=5)
    site.before_take_over.set()
    eventually(lambda: site.echo.ends == 1, within=5)


def test_who_leaves_is_ended_when_what_was_said_has_been_heard(site):
    with site.raw() as client:
        site.may_go_on.clear()
        # At once: while a message waits to be heard, nothing more is read.
        client.sendall(masked(Opcode.TEXT, b"one") + masked(Opcode.TEXT, b"two") + masked(Opcode.CLOSE))
    eventually(lambda: not site.server.server_state.connections, within=5)
    assert (site.echo.heard, site.echo.ends) == ([], 0)
    site.may_go_on.set()
    eventually(lambda: site.echo.ends == 1, within=5)
    assert site.echo.heard == ["one", "two"]


def test_what_is_written_to_who_does_not_read_waits_and_comes_in_order(site):
    with site.raw() as client:
        connection, rooms = site.echo.connection, []
        connection.on_room = lambda: rooms.append(connection.is_full)
        loop = connection._loop

        def write(start):
            number = start
            while not connection.is_full:
                connection.write(frames.written(frames.TEXT, f"{number:09}".encode() * 100))
                number += 1
            return number

        async def fill(number):
            while connection.is_full is False:
                number = write(number)
                await asyncio.sleep(0.05)  # the kernel takes some
            return number

        count = asyncio.run_coroutine_threadsafe(fill(0), loop).result(10)
        assert connection._transport.get_write_buffer_size() < 200_000
        client.sendall(masked(Opcode.PING, b"x") * 10)  # not answered: it would only wait, too
        received = b""
        while len(received) < count * 904:
            received += client.recv(2**20)
        eventually(lambda: rooms == [False], within=5)
        assert received == b"".join(
            frames.written(frames.TEXT, f"{n:09}".encode() * 100) for n in range(count)
        )


def test_who_is_silent_is_closed_and_who_answers_pings_is_not(monkeypatch):
    monkeypatch.setattr(websocket_protocol, "CLOSE_WITHIN_SECONDS", 0.2)
    with Site(ws_ping_interval=0.5) as site, site.connect() as living, site.raw() as silent:
        found = everything(silent)
        assert found == [(frames.PING, b""), (frames.CLOSE, struct.pack("!H", 1011))]
        threading.Event().wait(1.5)
        living.send("here")
        assert living.recv(5) == "here"


@pytest.mark.parametrize(("path", "status"), [("/refused", 403), ("/fails", 500)])
def test_who_is_not_accepted_is_answered_by_http(site, path, status):
    with pytest.raises(InvalidStatus) as refused:
        site.connect(path)
    assert refused.value.response.status_code == status
    eventually(lambda: not site.server.server_state.connections, within=5)


@pytest.mark.parametrize("path", ["/forgets", "/waits"])
def test_a_connection_that_nobody_takes_over_is_closed(site, path):
    with site.connect(path) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(5)
    assert closed.value.rcvd.code == 1011


def test_a_listener_that_fails_ends_its_connection(site):
    with site.connect() as client:
        client.send("fail")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(5)
    assert closed.value.rcvd.code == 1011
    eventually(lambda: site.echo.ends == 1, within=5)


def test_a_handshake_without_its_key_is_refused(site):
    with contextlib.closing(socket.create_connection(("127.0.0.1", site.port), 10)) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_the_application_is_told_of_the_request(site):
    with site.connect("/a%20b?c=d", subprotocols=["one", "two"], origin="https://x.example") as client:
        assert client.subprotocol == "one"
        assert client.response.headers.get_all("Date")[1:] == []
    scope = site.scope
    assert (scope["type"], scope["path"], scope["raw_path"]) == ("websocket", "/a b", b"/a%20b")
    assert (scope["query_string"], scope["subprotocols"], scope["scheme"]) == (b"c=d", ["one", "two"], "ws")
    assert dict(scope["headers"])[b"origin"] == b"https://x.example"
    assert scope["client"][0] == "127.0.0.1"


def test_a_server_that_stops_says_that_it_will_be_back():
    with Site() as site:
        client = site.connect(legacy=True)
        client.send("x")
        assert client.recv(5) == "x"
    with pytest.raises(ConnectionClosed) as closed:
        client.recv(5)
    assert closed.value.rcvd.code == 1012
    assert site.echo.ends == 1
