"""One open connection: what waits to be sent to it, and what becomes of one that does not read."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .protocol import Frame, frame

if TYPE_CHECKING:
    from .access import Person

logger = logging.getLogger(__name__)

# So much may wait for one reader, beside what its connection holds. More, and it is told to begin anew.
MOST_WAITING = 256 * 1024
# From here on, counters that may be dropped are.
COUNTERS_UNTIL = 32 * 1024
DROPPED = "alert.updated"

Send = Callable[[Any], Awaitable[None]]


class Socket:
    """Sends in order, without anybody waiting for it. To be used from the event loop only."""

    __slots__ = (
        "_dropped",
        "_held",
        "_queue",
        "_send",
        "_waiting",
        "_writer",
        "expires_at",
        "here",
        "is_behind",
        "is_closed",
        "joins_teams",
        "on_behind",
        "person",
        "rooms",
        "session",
        "timer",
    )

    def __init__(self, send: Send, on_behind: "Callable[[Socket], None]") -> None:
        self.person: Person | None = None  # once it is known who it is
        self.session = ""  # the session that let them in, if it was one
        self.expires_at = 0.0  # Unix time at which the token that let them in ends, if it was one
        self.timer: asyncio.TimerHandle | None = None
        self.rooms: set[str] = set()
        self.here: frozenset[str] | set[str] = frozenset()  # incidents' rooms that the person looks at
        self.joins_teams = False  # those, too, that the person comes to belong to
        self.is_closed = False
        self.on_behind = on_behind
        self._send = send
        self._queue: deque[Frame] | None = None
        self._waiting = 0  # characters
        self._held: list[Frame] | None = None
        self.is_behind = False
        self._dropped: set[str] | None = None
        self._writer: asyncio.Task[None] | None = None

    def push(self, message: Frame) -> None:
        """Send a frame when those before it are sent."""
        if self.is_behind or self.is_closed:
            return
        if self._held is not None:
            self._held.append(message)
            self._waiting += len(message["text"])
        else:
            self._enqueue(message)
        if self._waiting > MOST_WAITING:
            self._fall_behind()

    def push_counter(self, message: Frame, room: str, *, is_droppable: bool) -> None:
        """The same for a counter; if much waits already it is dropped, and that is said later."""
        if is_droppable and self._waiting > COUNTERS_UNTIL:
            self._dropped = self._dropped or set()
            self._dropped.add(room)
        else:
            self.push(message)

    def say(self, **message: Any) -> None:
        self.push(frame(message))

    def hold(self) -> None:
        """What is pushed from now on waits until `release`: what was missed goes first."""
        self._held = []

    def push_first(self, message: Frame) -> None:
        """Send a frame before what is held."""
        if not self.is_behind and not self.is_closed:
            self._enqueue(message)

    def release(self) -> None:
        held = self._held or []
        self.drop_held()
        for message in held:
            self.push(message)

    def drop_held(self) -> None:
        self._waiting -= sum(len(message["text"]) for message in self._held or ())
        self._held = None

    def close(self, code: int) -> None:
        """Close it when what waits is sent; nothing is taken any more."""
        if self.is_closed:
            return
        if self.is_behind:  # it does not read, so there is nothing to wait for
            self._queue = None
        self._enqueue({"type": "websocket.close", "code": code})  # type: ignore[dict-item]
        self.is_closed = True

    def end(self) -> None:
        """The connection is gone."""
        self.is_closed = True
        self._queue = self._held = None
        if self.timer:
            self.timer.cancel()
        if self._writer:
            self._writer.cancel()

    def _enqueue(self, message: Frame) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(message)
        self._waiting += len(message.get("text", ""))
        self._start()

    def _start(self) -> None:
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    def _fall_behind(self) -> None:
        self.is_behind = True
        self._queue, self._held, self._dropped, self._waiting = None, None, None, 0
        self.on_behind(self)
        self._start()

    async def _write(self) -> None:
        try:
            while not await self._write_queue():
                pass
        except asyncio.CancelledError:
            raise
        except Exception as failure:  # servers tell in different ways that nobody is there any more
            logger.debug("a live connection ended: %r", failure)
            self.is_closed = True
            self._queue = None
        finally:
            self._writer = None

    async def _write_queue(self) -> bool:
        """Whether there is nothing left to send."""
        while self._queue:
            message = self._queue.popleft()
            self._waiting -= len(message.get("text", ""))
            await self._send(message)
        self._queue = None
        if self.is_behind:
            self.is_behind = False
            self._enqueue(frame({"type": "resync"}))
        elif self._dropped:
            for room in self._dropped:
                self._enqueue(frame({"type": "dropped", "room": room, "kind": DROPPED}))
            self._dropped = None
        return not self._queue
