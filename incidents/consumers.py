"""The WebSocket of an open page or a program: who it is, the rooms it is in, and what it missed.

docs/live.md describes what is said in it. `incidents.live` does the telling.
"""

import asyncio
import logging
import time
from typing import Any
from urllib.parse import urlparse

import msgspec
import psycopg
from channels.consumer import AsyncConsumer
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.db import Error as DatabaseError

from openalert import correlation_id
from openalert.websocket_protocol import TAKE_OVER

from .live import access
from .live.hub import Hub, current_hub, in_thread, reset_frame
from .live.log import Cursor
from .live.protocol import (
    MAX_MESSAGE_CHARACTERS,
    MAX_ROOMS,
    NOT_SIGNED_IN,
    SUBPROTOCOL,
    TOKEN_EXPIRED,
    TOKEN_PREFIX,
    TRY_AGAIN_LATER,
    VERSION,
    error,
    event_frame,
    frame,
)
from .live.sockets import AsgiWire, Socket

__all__ = ["NOT_SIGNED_IN", "TOKEN_EXPIRED", "LiveConsumer"]

logger = logging.getLogger(__name__)

HELLO_WITHIN_SECONDS = 10
WARN_BEFORE_SECONDS = 60
# Who missed more is better off fetching the page.
MOST_MISSED = 2_000
MOST_MISSED_BYTES = 4 * 2**20

GREETED_AT_ONCE = '{"type":"hello"}'
KNOWN = "Known are hello, authenticate, subscribe and unsubscribe with a room, presence, and ping."


class LiveConsumer(AsyncConsumer):
    """One connection. It takes the layer's messages through its process's hub, not by a channel of its own.

    Where the web server lets it, it takes the connection over (openalert.websocket_protocol), and its call returns.
    """

    hub: Hub  # once it is known who they are
    socket: Socket

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()  # websocket.connect
        headers = dict(scope["headers"])
        self.correlation_id = correlation_id.of_headers(scope["headers"])
        origin = headers.get(b"origin")
        if origin is not None and not is_ours(origin):
            await send({"type": "websocket.close"})
            return
        offered = scope.get("subprotocols") or []
        # Browsers always name the origin: without one it is a program, and those bring a token.
        self.session = access.session_in(headers.get(b"cookie", b"").decode("latin-1")) if origin else ""
        self.token = next(
            (text[len(TOKEN_PREFIX) :] for text in offered if text.startswith(TOKEN_PREFIX)), ""
        )
        speaks = SUBPROTOCOL in offered
        told = [(correlation_id.HEADER_BYTES, self.correlation_id.encode("latin-1"))]
        await send(
            {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if speaks else None, "headers": told}
        )
        connection = scope.get("extensions", {}).get(TAKE_OVER)
        wire = connection or AsgiWire(send)
        self.socket = Socket(wire, self.leave_rooms)
        loop = asyncio.get_running_loop()
        self.socket.timer = loop.call_later(HELLO_WITHIN_SECONDS, self.refuse, "Say hello first.")
        if not speaks:
            await self.hear(GREETED_AT_ONCE)
        if connection:
            connection.take_over(self)
            return
        del scope, headers, offered  # what a connection keeps, a thousand keep a thousand times
        try:
            while (message := await receive())["type"] == "websocket.receive":
                await self.hear(message.get("text"))
                del message
        finally:
            self.end()
            wire.end()

    def end(self) -> None:
        """The connection is gone."""
        if self.socket.person:
            self.hub.leave(self.socket)
        self.socket.end()

    async def hear(self, text: str | bytes | None) -> None:
        """A message of theirs."""
        if not isinstance(text, str) or len(text) > MAX_MESSAGE_CHARACTERS:
            self.socket.push(error("bad_message", "Send a short JSON object as text."))
            return
        try:
            content = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self.socket.push(error("bad_message", "Send a JSON object."))
            return
        try:
            await self.answer(content)
        except (psycopg.Error, DatabaseError, TimeoutError, OSError) as failure:
            about = {"correlation_id": self.correlation_id}
            logger.warning("a live connection could not be served: %r", failure, extra=about)
            self.socket.drop_held()  # it comes after what could not be told
            self.socket.push(error("unavailable", "Try again in a moment."))
            self.socket.close(TRY_AGAIN_LATER)

    async def answer(self, content: dict[str, Any]) -> None:
        kind, room = content.get("type"), content.get("room")
        if kind == "ping":
            cursor = {"cursor": str(self.hub.cursor)} if self.socket.rooms else {}
            self.socket.say(type="pong", **cursor)
        elif kind == "hello":
            await self.greet(content)
        elif kind == "authenticate":
            await self.authenticate(content)
        elif self.socket.person is None:
            self.refuse("Say hello first.")
        elif kind == "subscribe" and isinstance(room, str):
            await self.subscribe(room, content.get("cursor"))
        elif kind == "unsubscribe" and isinstance(room, str):
            self.hub.leave_room(self.socket, room)
            self.socket.say(type="unsubscribed", room=room)
        elif kind == "presence" and isinstance(room, str) and isinstance(content.get("here"), bool):
            self.look(room, here=content["here"])
        else:
            self.socket.push(error("bad_message", KNOWN))

    # Who it is

    async def greet(self, content: dict[str, Any]) -> None:
        """Let them in, into the rooms of their teams and those they name, and tell what they missed in those.

        A cursor for the hello as a whole is for all rooms that have none of their own.
        """
        given, token = content.get("rooms", {}), content.get("token")
        cursor = content.get("cursor")
        if not isinstance(given, dict) or len(given) > MAX_ROOMS or not isinstance(token, str | None):
            self.socket.push(
                error("bad_message", f"A hello has rooms, at most {MAX_ROOMS}, with cursors or null.")
            )
            return
        self.stop_timer()
        self.leave_rooms(self.socket)
        if self.socket.person is None and not await self.admit(token or self.token):
            return
        person = self.socket.person
        assert person is not None
        self.socket.joins_teams = True
        own = [f"user:{person.id}", *(f"team:{team}" for team in sorted(person.teams))]
        wanted = {room: given.get(room) or cursor for room in [*own, *given]}
        for room in await self.enter(wanted):
            self.socket.push_first(error("no_such_room", "There is no such room for you.", room=room))
        rooms = [room for room in wanted if room in self.socket.rooms]
        self.socket.push_first(
            frame({"type": "welcome", "version": VERSION, "rooms": rooms, "cursor": str(self.entered_at)})
        )
        self.socket.release()
        self.watch_token()

    async def admit(self, token: str) -> bool:
        self.token = ""  # one use is enough
        if token:
            admitted = await in_thread(access.admit_by_token, token)
        else:
            admitted = await in_thread(access.admit_by_session, self.session) if self.session else None
        if admitted is None:
            self.refuse("The token is not valid." if token else "Sign in first.")
            return False
        self.socket.person, self.socket.session = admitted.person, admitted.session
        self.hub = current_hub()
        self.socket.expires_at = admitted.expires_at
        self.hub.enter(self.socket)
        return True

    async def authenticate(self, content: dict[str, Any]) -> None:
        """A new token for the same person, before the old one ends."""
        token = content.get("token")
        if not isinstance(token, str):
            self.socket.push(error("bad_message", "Authenticate with a token."))
            return
        if self.socket.person is None:
            await self.greet(content)
            return
        admitted = await in_thread(access.admit_by_token, token)
        if admitted is None or admitted.person.id != self.socket.person.id:
            self.socket.push(error("bad_token", "The token is not valid, or is somebody else's."))
            return
        self.socket.session, self.socket.expires_at = admitted.session, admitted.expires_at
        self.watch_token()
        self.socket.say(type="authenticated", expires_in=max(0, round(admitted.expires_at - time.time())))

    def refuse(self, detail: str) -> None:
        self.socket.push(error("not_signed_in", detail))
        self.socket.close(NOT_SIGNED_IN)

    def watch_token(self) -> None:
        """Warn before the token ends, if it was one that let them in, and close when it has."""
        self.stop_timer()
        if self.socket.expires_at:
            in_seconds = self.socket.expires_at - time.time() - WARN_BEFORE_SECONDS
            self.socket.timer = asyncio.get_running_loop().call_later(max(0, in_seconds), self.warn)

    def stop_timer(self) -> None:
        if self.socket.timer:
            self.socket.timer.cancel()
            self.socket.timer = None

    def warn(self) -> None:
        left = max(0.0, self.socket.expires_at - time.time())
        self.socket.say(type="token_expires", expires_in=round(left))
        self.socket.timer = asyncio.get_running_loop().call_later(left, self.expire)

    def expire(self) -> None:
        self.hub.leave_rooms(self.socket)
        self.socket.push(error("token_expired", "The token has ended."))
        self.socket.close(TOKEN_EXPIRED)

    # Rooms

    def leave_rooms(self, socket: Socket) -> None:
        if socket.person:
            self.hub.leave_rooms(socket)

    async def subscribe(self, room: str, cursor: object) -> None:
        if sum(not known.startswith(("team:", "user:")) for known in self.socket.rooms) >= MAX_ROOMS:
            self.socket.push(error("too_many_rooms", f"At most {MAX_ROOMS} rooms at once.", room=room))
            return
        if room in self.socket.rooms:
            self.hub.leave_room(self.socket, room)
        if await self.enter({room: cursor}):
            self.socket.push_first(error("no_such_room", "There is no such room for you.", room=room))
        else:
            self.socket.push_first(
                frame({"type": "subscribed", "room": room, "cursor": str(self.entered_at)})
            )
            if room.startswith("incident:") and self.hub.presence.people_in(room):
                self.socket.push_first(self.hub.presence.frame_for(room))
        self.socket.release()

    async def enter(self, wanted: dict[str, object]) -> list[str]:
        """Join rooms and push what was missed in those with a cursor. Returns those that there are not for them.

        What happens meanwhile is held; whoever calls says that they are in, and releases it.
        """
        person, hub, socket = self.socket.person, self.hub, self.socket
        assert person is not None
        teams = await in_thread(access.teams_of, wanted)
        # Then the hub is as far as any other was when it gave a cursor.
        await hub.catch_up()
        person = socket.person or person
        self.entered_at = until = hub.cursor
        if not socket.hold():  # it will be told that it is behind, and say hello again
            return []
        refused, cursors, resets = [], {}, {}
        for room, given in wanted.items():
            team = teams.get(room)
            if not (room == f"user:{person.id}" or (team and person.may_hear(team))):
                refused.append(room)
                continue
            hub.join(socket, room, team)
            if given is not None:
                cursor = Cursor.parse(given)
                if cursor is None or cursor.epoch != until.epoch or cursor.position > until.position:
                    resets[room] = "unknown"
                elif cursor.position < until.position:
                    cursors[room] = cursor.position
        resets |= await self.replay(cursors, until)
        for room, reason in resets.items():
            socket.push_first(reset_frame(room, until, reason))
        return refused

    async def replay(self, cursors: dict[str, int], until: Cursor) -> dict[str, str]:
        """Push what each room missed after its cursor. Returns the rooms for which that cannot be told, and why."""
        if not cursors:
            return {}
        page = await self.hub.missed(list(cursors), min(cursors.values()), until.position, MOST_MISSED + 1)
        if page.epoch != until.epoch:
            return dict.fromkeys(cursors, "unknown")
        if len(page.events) > MOST_MISSED:
            return dict.fromkeys(cursors, "too_much")
        too_old = {room: "too_old" for room, position in cursors.items() if position < page.floor}
        missed = [
            event_frame(until.epoch, event, room)
            for event in page.events
            for room in event.rooms()
            if room not in too_old and event.position > cursors.get(room, until.position)
        ]
        if sum(map(len, missed)) > MOST_MISSED_BYTES:
            return dict.fromkeys(cursors, "too_much") | too_old
        for message in missed:
            self.socket.push_first(message)
        return too_old

    def look(self, room: str, *, here: bool) -> None:
        if room not in self.socket.rooms or not room.startswith("incident:"):
            self.socket.push(error("no_such_room", "Subscribe to an incident first.", room=room))
            return
        self.hub.presence.look(self.socket, room, here=here)


def is_ours(origin: bytes) -> bool:
    """Whether a page of that origin may connect."""
    hosts = settings.ALLOWED_HOSTS or ["localhost", "127.0.0.1", "[::1]"]
    try:
        return OriginValidator(None, hosts).valid_origin(urlparse(origin.decode("latin-1")))
    except ValueError:
        return False
