"""A client of the live rooms for tests, in a thread: it keeps all that it was told."""

import contextlib
import json
import threading
from collections.abc import Callable
from typing import Any

from rest_framework_simplejwt.tokens import AccessToken
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from teams.models import User

from .stack import eventually


class LiveClient:
    """Stays on one process until it is told to go to another; `cursors` are the last it saw, by room."""

    def __init__(self, user: User, port: int, *rooms: str) -> None:
        self.token = str(AccessToken.for_user(user))
        self.cursors: dict[str, str | None] = dict.fromkeys(rooms)
        self.told: list[dict[str, Any]] = []  # every message, of all connections
        self.closed_with: int | None = None
        self.join(port)

    def join(self, port: int) -> None:
        """Connect and say hello with the cursors. One that is not welcomed in time is left, or it would tell all again later."""
        address = f"ws://127.0.0.1:{port}/ws/live/"
        self.socket = connect(address, subprotocols=["openalert.v1"], open_timeout=20).__enter__()
        self.say(type="hello", token=self.token, rooms=self.cursors)
        before = len(self.told)  # the welcome may come as soon as somebody listens
        self.thread = threading.Thread(target=self._listen, args=(self.socket,), daemon=True)
        self.thread.start()
        try:
            self.wait_for(lambda message: message["type"] == "welcome", since=before)
        except AssertionError:
            self.leave()
            raise

    def leave(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()
        self.thread.join(10)

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], object], *, within: float = 10, since: int = 0
    ) -> dict[str, Any]:
        return eventually(
            lambda: next((message for message in self.told[since:] if wanted(message)), None),
            within=within,
            what=f"a message among {self.told[-5:]}",
        )

    def events(self, room: str) -> list[tuple[str, str, Any]]:
        """What the room's log told: cursor, kind, what."""
        return [
            (message["cursor"], message["kind"], message["data"].get("entry"))
            for message in self.told
            if message["type"] == "event" and message["room"] == room and message["kind"] != "presence"
        ]

    def _listen(self, socket: Any) -> None:
        try:
            for text in socket:
                message = json.loads(text)
                room, cursor = message.get("room"), message.get("cursor")
                if message["type"] == "welcome":
                    self.cursors |= dict.fromkeys(message["rooms"], cursor)
                elif room and cursor:
                    self.cursors[room] = cursor
                self.told.append(message)
        except ConnectionClosed:
            pass
        self.closed_with = socket.protocol.close_code
