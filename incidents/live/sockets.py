"""One open connection: what waits to be sent to it, and what becomes of one that does not read."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from openalert.websocket_frames import payload_of

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


class Wire(Protocol):
    """The connection as the web server gives it. Neither method waits for anything."""

    is_full: bool  # nothing is to be written now
    on_room: Callable[[], None] | None  # called when that has ended

    def write(self, frame: bytes, /) -> None: ...

    def close(self, code: int, /) -> None: ...


class Socket:
    """Sends in order, without anybody waiting for it. To be used from the event loop only."""

    __slots__ = (
        "_close_with",
        "_dropped",
        "_held",
        "_missed",
        "_queue",
        "_waiting",
        "_wire",
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

    def __init__(self, wire: Wire, on_behind: "Callable[[Socket], None]") -> None:
        self.person: Person | None = None  # once it is known who it is
        self.session = ""  # the session that let them in, if it was one
        self.expires_at = 0.0  # Unix time at which the token that let them in ends, if it was one
        self.timer: asyncio.TimerHandle | None = None
        self.rooms: set[str] = set()
        self.here: frozenset[str] | set[str] = frozenset()  # incidents' rooms that the person looks at
        self.joins_teams = False  # those, too, that the person comes to belong to
        self.is_closed = False
        self.on_behind = on_behind
        self.is_behind = False
        self._queue: deque[Frame] | None = None
        self._waiting = 0  # bytes in the queue and held
        self._held: list[Frame] | None = None
        self._missed = 0  # bytes of `push_first` since the queue was empty: those may wait besides
        self._dropped: set[str] | None = None
        self._close_with = 0
        self._wire = wire
        wire.on_room = self._write_queue

    def push(self, message: Frame) -> None:
        """Send a frame when those before it are sent."""
        if self.is_behind or self.is_closed:
            return
        if self._held is not None:
            self._held.append(message)
            self._waiting += len(message)
            self._bound()
        elif self._queue is None and not self._wire.is_full:
            self._wire.write(message)
        else:
            self._enqueue(message)
            self._bound()

    def push_counter(self, message: Frame, room: str, *, is_droppable: bool) -> None:
        """The same for a counter; if much waits already it is dropped, and that is said later."""
        if is_droppable and self._waiting > COUNTERS_UNTIL:
            self._dropped = self._dropped or set()
            self._dropped.add(room)
        else:
            self.push(message)

    def say(self, **message: Any) -> None:
        self.push(frame(message))

    def hold(self) -> bool:
        """What is pushed from now on waits until `release`: what was missed goes first.

        False when so much waits already that nothing more is taken.
        """
        if self._waiting > MOST_WAITING:
            self._fall_behind()
        if self.is_behind:
            return False
        self._held = []
        return True

    def push_first(self, message: Frame) -> None:
        """Send a frame before what is held. Whoever calls bounds how much it is."""
        if not self.is_behind and not self.is_closed:
            self._enqueue(message)
            self._missed += len(message)
            self._write_queue()

    def release(self) -> None:
        held = self._held or []
        self.drop_held()
        for message in held:
            self.push(message)
        self._write_queue()

    def drop_held(self) -> None:
        self._waiting -= sum(map(len, self._held or ()))
        self._held = None

    def close(self, code: int) -> None:
        """Close it when what waits is sent; nothing is taken any more."""
        if self.is_closed:
            return
        self.is_closed = True
        self._close_with = code
        if self.is_behind:  # it does not read, so there is nothing to wait for
            self._wire.close(code)
        else:
            self._write_queue()

    def end(self) -> None:
        """The connection is gone."""
        self.is_closed = True
        self._queue = self._held = None
        self._wire.on_room = None
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def _enqueue(self, message: Frame) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(message)
        self._waiting += len(message)

    def _bound(self) -> None:
        if self._waiting > MOST_WAITING + self._missed:
            self._fall_behind()

    def _fall_behind(self) -> None:
        """Let go of everything. That is said when there is room and, of what was held, after its release: a client that
        answers begins with the cursors that it has by then.
        """
        self.is_behind = True
        if self._held is not None:
            self._held = []
        self._queue, self._dropped, self._waiting, self._missed = None, None, 0, 0
        self.on_behind(self)

    def _write_queue(self) -> None:
        """Write what waits as long as there is room, then what is to be said of it."""
        while self._queue and not self._wire.is_full:
            message = self._queue.popleft()
            self._waiting -= len(message)
            self._wire.write(message)
        if self._queue or self._wire.is_full:
            return
        self._queue, self._missed = None, 0
        if self._close_with:
            self._wire.on_room = None
            self._wire.close(self._close_with)
            self._close_with = 0
        elif self._held is not None:
            return
        elif self.is_behind:
            self.is_behind = False
            self.say(type="resync")
        elif self._dropped:
            dropped, self._dropped = self._dropped, None
            for room in dropped:
                self.say(type="dropped", room=room, kind=DROPPED)


class AsgiWire:
    """A connection by ASGI's `send`, for servers that do not let theirs be taken over: one message at a time."""

    __slots__ = ("_next", "_send", "_task", "is_full", "on_room")

    def __init__(self, send: Send) -> None:
        self.is_full = False
        self.on_room: Callable[[], None] | None = None
        self._send = send
        self._next: list[dict[str, Any]] = []
        self._task: asyncio.Task[None] | None = None

    def write(self, frame: bytes) -> None:
        self._begin({"type": "websocket.send", "text": payload_of(frame).decode()})

    def close(self, code: int) -> None:
        self._begin({"type": "websocket.close", "code": code})

    def end(self) -> None:
        if self._task:
            self._task.cancel()

    def _begin(self, message: dict[str, Any]) -> None:
        self.is_full = True
        self._next.append(message)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while self._next:
                await self._send(self._next.pop(0))
                self.is_full = False
                if self.on_room:
                    self.on_room()
        except asyncio.CancelledError:
            raise
        except Exception as failure:  # servers tell in different ways that nobody is there any more
            logger.debug("a live connection ended: %r", failure)  # `receive` will tell, too
        finally:
            self._task = None
