"""Live rooms: what is written to the timeline reaches every open page, over the channel layer.

A room is named `incident:ID`, `service:ID`, `team:ID` or `user:ID`. Publishing is best effort and never in
the way: it starts after the commit, on a thread of its own, and a lost message costs a stale page, never an
alert or a page.
"""

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from channels.layers import get_channel_layer
from django.db import transaction

from .bulk import IncidentRow
from .enums import Kind
from .models import Incident, TimelineEntry

logger = logging.getLogger(__name__)

MESSAGE_TYPE = "room.event"  # handled by incidents.consumers.LiveConsumer.room_event
PUBLISH_TIMEOUT_SECONDS = 5
MAX_WAITING = 10_000
SOON_SECONDS = 1.0

EVENTS: dict[Kind, str] = {
    Kind.OPENED: "incident.opened",
    Kind.ACKNOWLEDGED: "incident.acknowledged",
    Kind.UNACKNOWLEDGED: "incident.unacknowledged",
    Kind.SNOOZED: "incident.snoozed",
    Kind.WOKEN: "incident.woken",
    Kind.RESOLVED: "incident.resolved",
    Kind.REOPENED: "incident.reopened",
    Kind.MERGED_INTO: "incident.merged",
    Kind.ALERT_ADDED: "alert.new",
    Kind.ALERT_REFIRED: "alert.updated",
    Kind.ALERT_RESOLVED: "alert.resolved",
    Kind.PAGE_SENT: "notification.sent",
    Kind.PAGE_RECEIPT: "notification.receipt",
    Kind.PAGE_FAILED: "notification.failed",
}


def group_name(room: str) -> str:
    """The channel layer's name for a room: its group names may not contain a colon."""
    return room.replace(":", ".")


def rooms_of(incident: Incident) -> list[str]:
    return [
        f"incident:{incident.pk}",
        f"service:{incident.service_id}",
        f"team:{incident.service.team_id}",
    ]


def publish_entries(entries: Iterable[TimelineEntry]) -> None:
    """Publish timeline entries to their incidents' rooms when the transaction commits."""
    for entry in entries:
        kind = EVENTS.get(Kind(entry.kind), "incident.updated")
        publish_incident(entry.incident, kind, entry=entry.pk, what=entry.kind)


def publish_incident(incident: Incident, kind: str, **data: Any) -> None:
    """Publish that something about the incident changed, when the transaction commits."""

    def send() -> None:
        # Read here, not before the commit: the transition may still have been changing the incident.
        summary = {
            "incident_id": str(incident.pk),
            "number": incident.number,
            "title": incident.title,
            "severity": incident.severity,
            "status": incident.status,
            **data,
        }
        publisher.send(rooms_of(incident), kind, summary)

    transaction.on_commit(send, robust=True)


def publish_alerts(incidents: Sequence[IncidentRow]) -> None:
    """Publish, when the transaction commits, that alerts of the incidents fired and the timeline says nothing."""
    if incidents:
        transaction.on_commit(partial(tell_alerts, incidents), robust=True)


def tell_alerts(incidents: Iterable[IncidentRow]) -> None:
    """The same at once, for whoever has committed. A room hears of each incident once in SOON_SECONDS."""
    for incident in incidents:
        rooms = [f"incident:{incident.id}", f"service:{incident.service_id}", f"team:{incident.team_id}"]
        summary = {
            "incident_id": incident.id,
            "number": incident.number,
            "title": incident.title,
            "severity": incident.severity,
            "status": incident.status,
        }
        publisher.send_soon(incident.id, rooms, "alert.updated", summary)


def publish_to_user(user_id: UUID, kind: str, data: dict[str, Any]) -> None:
    """Publish to one person's open pages, when the transaction commits."""
    transaction.on_commit(partial(publisher.send, [f"user:{user_id}"], kind, data), robust=True)


class Publisher:
    """Hands messages to the channel layer, in order, from an event loop on a thread of its own.

    A request or task thread never waits for Redis. When Redis is away, at most MAX_WAITING messages wait;
    what comes on top is dropped, as pages refetch what they show when they reconnect.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._loop: asyncio.AbstractEventLoop
        self._queue: asyncio.Queue[tuple[list[str], dict[str, Any]]]
        self._soon_lock = threading.Lock()
        self._soon: dict[str, tuple[list[str], str, dict[str, Any]]] = {}

    def send(self, rooms: list[str], kind: str, data: dict[str, Any]) -> None:
        """Queue one message for each of `rooms`; returns at once and never raises for Redis' sake."""
        self._ensure_running()
        messages = (rooms, {"type": MESSAGE_TYPE, "kind": kind, "data": data})
        self._loop.call_soon_threadsafe(self._put, messages)

    def send_soon(self, what: str, rooms: list[str], kind: str, data: dict[str, Any]) -> None:
        """Queue a message that replaces one about the same thing which still waits. Returns at once."""
        with self._soon_lock:
            is_first = not self._soon
            self._soon[what] = (rooms, kind, data)
        if is_first:
            self._ensure_running()
            self._loop.call_soon_threadsafe(self._loop.call_later, SOON_SECONDS, self._send_those_due)

    def _send_those_due(self) -> None:
        with self._soon_lock:
            due, self._soon = self._soon, {}
        for rooms, kind, data in due.values():
            self._put((rooms, {"type": MESSAGE_TYPE, "kind": kind, "data": data}))

    def flush(self, timeout_seconds: float = PUBLISH_TIMEOUT_SECONDS) -> None:
        """Wait until everything queued before has been handed over, or the time is up."""
        if self._pid == os.getpid():
            done = asyncio.run_coroutine_threadsafe(self._queue.join(), self._loop)
            try:
                done.result(timeout_seconds)
            except TimeoutError:
                logger.warning("live messages were dropped at exit: Redis did not take them")

    def _put(self, messages: tuple[list[str], dict[str, Any]]) -> None:
        try:
            self._queue.put_nowait(messages)
        except asyncio.QueueFull:
            logger.warning("a live message was dropped: %s are waiting for Redis", MAX_WAITING)

    def _ensure_running(self) -> None:
        with self._lock:
            if self._pid == os.getpid():  # a forked worker has no thread yet
                return
            self._loop = asyncio.new_event_loop()
            self._queue = asyncio.Queue(MAX_WAITING)
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="live-publisher", daemon=True).start()
            atexit.register(self.flush)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._hand_over())

    async def _hand_over(self) -> None:
        layer = get_channel_layer()
        while True:
            rooms, message = await self._queue.get()
            for room in rooms:
                try:
                    await asyncio.wait_for(
                        layer.group_send(group_name(room), {**message, "room": room}),
                        PUBLISH_TIMEOUT_SECONDS,
                    )
                except Exception as error:  # whatever Redis' client raises: nobody is there to catch it
                    logger.warning("a live message to %s was lost: %r", room, error)
            self._queue.task_done()


publisher = Publisher()
