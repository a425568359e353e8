"""Who is looking at an incident, in all web processes.

Each process tells the others whom it knows of, whole, when that changes and every few seconds. Nothing is kept
anywhere else, so what a process said is forgotten when it has been silent for a while, however it ended.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from channels.layers import get_channel_layer

from .protocol import Frame, frame
from .publisher import GROUP, PUBLISH_TIMEOUT_SECONDS
from .sockets import Socket

logger = logging.getLogger(__name__)

TELL_EVERY_SECONDS = 5.0
FORGET_AFTER_SECONDS = 15.0
SETTLE_SECONDS = 0.1

Rooms = dict[str, list[list[str]]]  # incident's room → people: id, name, initials


@dataclass
class _Peer:
    rooms: Rooms
    heard_at: float


class Presence:
    """The part of one web process in it. `tell` sends a frame to everybody here who is in a room."""

    def __init__(self, name: str, tell: Callable[[str, Frame], None]) -> None:
        self._name = name
        self._tell = tell
        self._here: dict[str, set[Socket]] = {}
        self._peers: dict[str, _Peer] = {}
        self._told: dict[str, list[list[str]]] = {}
        self._changed = asyncio.Event()
        self._asks = False

    def look(self, socket: Socket, room: str, *, here: bool) -> None:
        """Somebody begins or ends to look at an incident."""
        if here == (room in socket.here):
            return
        socket.here = set(socket.here) ^ {room}
        if here:
            self._here.setdefault(room, set()).add(socket)
        else:
            self._here[room].discard(socket)
            if not self._here[room]:
                del self._here[room]
        self._changed.set()

    def people_in(self, room: str) -> list[list[str]]:
        """Each person once, by name."""
        found = {person[0]: person for person in self._own(room)}
        for peer in self._peers.values():
            found |= {person[0]: person for person in peer.rooms.get(room, ())}
        return sorted(found.values(), key=lambda person: (person[1], person[0]))

    def frame_for(self, room: str) -> Frame:
        people = [
            {"id": identifier, "name": name, "initials": initials}
            for identifier, name, initials in self.people_in(room)
        ]
        return frame({"type": "event", "room": room, "kind": "presence", "data": {"people": people}})

    def ask(self) -> None:
        """We are new, or have not heard for a while: the others say at once whom they know."""
        self._asks = True
        self._changed.set()

    def hear(self, message: dict[str, Any]) -> None:
        """What a process told; our own words come back to us too."""
        if message["from"] == self._name:
            return
        self._peers[message["from"]] = _Peer(message["rooms"], time.monotonic())
        if message["asks"]:
            self._changed.set()
        self._tell_changes()

    async def keep(self) -> None:
        """Tell and forget, until it is cancelled."""
        while goes_on():
            timer = asyncio.get_running_loop().call_later(TELL_EVERY_SECONDS, self._changed.set)
            await self._changed.wait()
            timer.cancel()
            await asyncio.sleep(SETTLE_SECONDS)
            self._changed.clear()
            self._forget()
            self._tell_changes()
            await self._tell_others()

    def _own(self, room: str) -> list[list[str]]:
        people = [socket.person for socket in self._here.get(room, ()) if socket.person]
        return [[person.id, person.name, person.initials] for person in people]

    def _forget(self) -> None:
        since = time.monotonic() - FORGET_AFTER_SECONDS
        self._peers = {name: peer for name, peer in self._peers.items() if peer.heard_at > since}

    def _tell_changes(self) -> None:
        rooms = {*self._here, *(room for peer in self._peers.values() for room in peer.rooms)}
        for room in rooms | self._told.keys():
            people = self.people_in(room)
            if people != self._told.get(room, []):
                self._tell(room, self.frame_for(room))
            if people:
                self._told[room] = people
            else:
                self._told.pop(room, None)

    async def _tell_others(self) -> None:
        message = {
            "type": "live.presence",
            "from": self._name,
            "asks": self._asks,
            "rooms": {room: self._own(room) for room in self._here},
        }
        try:
            async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                await get_channel_layer().group_send(GROUP, message)
            self._asks = False
        except Exception as failure:  # whatever Redis' client raises: it is told again soon
            logger.warning("who is looking at incidents could not be told: %r", failure)


def goes_on() -> bool:
    """Whether the task that asks is not being cancelled: Redis' client may make an error of its own of that."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()
