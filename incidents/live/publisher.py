"""From any process to the web processes, over the channel layer: what was committed, and alerts' counters.

What must not be lost is in PostgreSQL before anything is sent here (incidents.live.log): events are given their
places there and sent with them, so whoever misses some sees a hole and reads them there. Counters are told here only, so what is lost of them is noticed by the numbers that messages carry, and said.
"""

import asyncio
import atexit
import logging
import os
import threading
from typing import Any

import uvloop
from channels.layers import get_channel_layer

from incidents.enums import Severity
from openalert.ids import uuid7

from .log import NewsReader

logger = logging.getLogger(__name__)

GROUP = "live"  # every web process with open pages is in it
PUBLISH_TIMEOUT_SECONDS = 5
MAX_WAITING = 10_000
SOON_SECONDS = 1.0
NEWS_IN_MESSAGE = 100
# A message stays well below what is comfortable for Redis.
COUNTERS_IN_MESSAGE = 200

# Of the others each one counts, however many there are.
DROPPABLE = (Severity.MEDIUM, Severity.LOW)

Counter = tuple[list[str], dict[str, Any]]  # rooms, what they are told


class Publisher:
    """Hands messages to the channel layer, in order, from an event loop on a thread of its own.

    A request or task thread never waits for Redis.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._loop: asyncio.AbstractEventLoop
        self._queue: asyncio.Queue[dict[str, Any]]
        self._name = ""
        self._number = 0
        self._wake_waits = False
        self._counters_lock = threading.Lock()
        self._counters: dict[str, Counter] = {}
        self._dropped = 0
        self._log = NewsReader()

    def wake(self) -> None:
        """Tell the web processes that something was committed. Returns at once and never raises for Redis' sake."""
        self._ensure_running()
        if not self._wake_waits:
            self._wake_waits = True
            self._loop.call_soon_threadsafe(self._put, {"type": "live.wake"})

    def send(self, rooms: list[str], kind: str, data: dict[str, Any]) -> None:
        """Tell rooms something that nobody has to catch up on. Returns at once and never raises for Redis' sake."""
        self._ensure_running()
        message = {"type": "live.tell", "events": [[rooms, kind, data]]}
        self._loop.call_soon_threadsafe(self._put, message)

    def send_counter(self, incident_id: str, rooms: list[str], data: dict[str, Any]) -> None:
        """Tell within SOON_SECONDS that alerts of an incident came; the last of what comes until then counts."""
        with self._counters_lock:
            is_first = not self._counters
            if (
                len(self._counters) < MAX_WAITING
                or incident_id in self._counters
                or data["severity"] not in DROPPABLE
            ):
                self._counters[incident_id] = rooms, data
            else:
                self._dropped += 1
        if is_first:
            self._ensure_running()
            self._loop.call_soon_threadsafe(self._loop.call_later, SOON_SECONDS, self._send_counters)

    def flush(self, timeout_seconds: float = PUBLISH_TIMEOUT_SECONDS) -> None:
        """Wait until everything queued before has been handed over, or the time is up."""
        if self._pid == os.getpid():
            done = asyncio.run_coroutine_threadsafe(self._queue.join(), self._loop)
            try:
                done.result(timeout_seconds)
            except TimeoutError:
                logger.warning("live messages were dropped at exit: Redis did not take them")

    def close(self) -> None:
        """Let go of the database; the next wake-up finds its way to it again."""
        if self._pid == os.getpid():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PUBLISH_TIMEOUT_SECONDS)

    async def _close(self) -> None:
        await self._queue.join()
        self._log.close()

    def _send_counters(self) -> None:
        with self._counters_lock:
            due, self._counters = list(self._counters.values()), {}
            dropped, self._dropped = self._dropped, 0
        if dropped:
            logger.warning("%s live counters were dropped: %s wait already", dropped, MAX_WAITING)
        for start in range(0, len(due), COUNTERS_IN_MESSAGE):
            events = [
                [rooms, "alert.updated", data] for rooms, data in due[start : start + COUNTERS_IN_MESSAGE]
            ]
            self._put({"type": "live.tell", "events": events, "dropped": dropped})
            dropped = 0

    def _put(self, message: dict[str, Any]) -> None:
        # Numbered whether it is sent or not: who misses one knows that something is missing.
        if message["type"] != "live.wake":
            self._number += 1
        try:
            self._queue.put_nowait({**message, "from": self._name, "number": self._number})
        except asyncio.QueueFull:
            logger.warning("a live message was dropped: %s are waiting for Redis", MAX_WAITING)

    def _ensure_running(self) -> None:
        with self._lock:
            if self._pid == os.getpid():  # a forked worker has no thread yet
                return
            self._loop = uvloop.new_event_loop()
            self._queue = asyncio.Queue(MAX_WAITING)
            self._pid = os.getpid()
            self._name, self._number, self._wake_waits = str(uuid7()), 0, False
            self._log = NewsReader()
            threading.Thread(target=self._run, name="live-publisher", daemon=True).start()
            atexit.register(self.flush)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._hand_over())

    async def _hand_over(self) -> None:
        layer = get_channel_layer()
        while True:
            message = await self._queue.get()
            if message["type"] == "live.wake":
                self._wake_waits = False  # what is committed from here on needs another
                message = self._with_news(message)
            try:
                async with asyncio.timeout(PUBLISH_TIMEOUT_SECONDS):
                    await layer.group_send(GROUP, message)
            except Exception as error:  # whatever Redis' client raises: nobody is there to catch it
                logger.warning("a live message was lost: %r", error)
            self._queue.task_done()

    def _with_news(self, message: dict[str, Any]) -> dict[str, Any]:
        """The wake-up with what was committed, if that had no places yet; without, the web processes read by themselves."""
        try:
            page = self._log.news(NEWS_IN_MESSAGE)
        except Exception as error:  # the database is away, in one way or another
            logger.warning("live events cannot be read: %r", error)
            return message
        return {**message, "epoch": page.epoch, "events": page.events}


publisher = Publisher()
