"""A client of the live rooms for programs: stays connected, catches up, and renews its token. See docs/live.md."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import websockets
from websockets.typing import Subprotocol

from .protocol import NOT_SIGNED_IN, SUBPROTOCOL, TOKEN_EXPIRED

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 30.0
PING_EVERY_SECONDS = 20.0
SILENT_FOR_SECONDS = 45.0

# Promises an access token; a new one when it is asked for a renewal. Raises NotSignedIn when there will be none.
Tokens = Callable[[bool], Awaitable[str]]


class NotSignedIn(Exception):
    """The server does not take the token, nor a new one."""


class LiveClient:
    """What happens in a person's team rooms and in `rooms`, in order and each event of a room once."""

    def __init__(self, url: str, tokens: Tokens, rooms: Iterable[str] = ()) -> None:
        self._url = url.replace("http", "ws", 1).rstrip("/") + "/ws/live/"
        self._tokens = tokens
        self.cursors: dict[str, str | None] = dict.fromkeys(rooms)

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Everything that the server says, over any number of connections; `lost` when one ended.

        Raises NotSignedIn.
        """
        attempt, was_refused = 0, False
        while True:
            refused = False
            try:
                async with websockets.connect(self._url, subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
                    await self._hello(socket, renew=was_refused)
                    async for message in self._converse(socket):
                        if message["type"] == "welcome":
                            attempt, was_refused = 0, False
                        yield message
            except websockets.ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else 0
                refused = code in (NOT_SIGNED_IN, TOKEN_EXPIRED)
                if refused and was_refused:
                    raise NotSignedIn from closed
            except (OSError, TimeoutError, websockets.InvalidHandshake) as failure:
                logger.debug("no live connection: %r", failure)
            yield {"type": "lost"}
            was_refused = refused
            if not refused:
                await asyncio.sleep(_delay(attempt))
                attempt += 1

    async def _hello(self, socket: websockets.ClientConnection, *, renew: bool = False) -> None:
        token = await self._tokens(renew)
        await socket.send(json.dumps({"type": "hello", "token": token, "rooms": self.cursors}))

    async def _converse(self, socket: websockets.ClientConnection) -> AsyncIterator[dict[str, Any]]:
        pinging = asyncio.create_task(_ping(socket))
        try:
            while True:
                async with asyncio.timeout(SILENT_FOR_SECONDS):
                    message = json.loads(await socket.recv())
                await self._heed(message, socket)
                yield message
        finally:
            pinging.cancel()

    async def _heed(self, message: dict[str, Any], socket: websockets.ClientConnection) -> None:
        room, cursor = message.get("room", ""), message.get("cursor")
        match message["type"]:
            case "event" | "reset" | "subscribed" if cursor:
                self.cursors[room] = cursor
            case "welcome":
                self.cursors |= dict.fromkeys(message["rooms"], cursor)
            case "pong" if cursor:
                self.cursors = dict.fromkeys(self.cursors, cursor)
            case "unsubscribed":
                self.cursors.pop(room, None)
            case "error" if message["code"] == "no_such_room":
                self.cursors.pop(room, None)
            case "resync":
                await self._hello(socket)
            case "token_expires":
                token = await self._tokens(True)
                await socket.send(json.dumps({"type": "authenticate", "token": token}))


async def _ping(socket: websockets.ClientConnection) -> None:
    while True:
        await asyncio.sleep(PING_EVERY_SECONDS)
        await socket.send('{"type":"ping"}')


def _delay(attempt: int) -> float:
    """Doubling, with jitter so that a restarted server is not stormed."""
    ceiling = min(LONGEST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2**attempt)
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311
