"""The live rooms of one web process: reads the log of events once and tells all of its connections.

Nothing is told from the channel layer that must not be lost: a wake-up makes the hub read at once, and without one
it reads every second. What is told to several connections is made once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from sys import intern
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from channels.layers import get_channel_layer
from django.db import connection

from incidents.enums import Severity
from openalert.ids import uuid7

from . import access
from .access import Person
from .log import BATCH, Cursor, Event, LogReader, Page
from .presence import Presence, goes_on
from .protocol import NOT_SIGNED_IN, Frame, error, event_frame, frame, told_frame
from .publisher import DROPPABLE, GROUP
from .sockets import DROPPED, Socket

logger = logging.getLogger(__name__)

READ_EVERY_SECONDS = 1.0
READ_TIMEOUT_SECONDS = 10.0
AGAIN_SECONDS = 1.0
# Whoever loses a team, or their sign-in, hears nothing any more after so long. Sessions and rooms are looked at in parts,
# and people, when anything has changed, a few at a time: hundreds at once would keep the database and this process from
# what is to be told.
REVIEW_EVERY_SECONDS = 2.0
REVIEW_PARTS = 10
PEOPLE_AT_A_TIME = 50
BETWEEN_PEOPLE_SECONDS = 0.02
COUNTERS_EVERY_SECONDS = 0.5
# Between events the loop does other things too.
EVENTS_AT_A_TIME = 20
THREADS = 4
MOST_PUBLISHERS = 1_000

T = TypeVar("T")

# Up to where this process has read; None before it had to. Set for the threads that make pages.
reached: Cursor | None = None

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="live")


class Hub:
    """To be used from one event loop. It works while somebody is connected."""

    def __init__(self) -> None:
        self.epoch = ""
        self.position = 0
        self.log = LogReader()
        self.sockets: set[Socket] = set()
        self.rooms: dict[str, set[Socket]] = {}
        self.teams: dict[str, str] = {}  # of the rooms of incidents and services that somebody is in
        self.presence = Presence(str(uuid7()), self.tell_all_in)
        self._news = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._counters: dict[str, tuple[list[str], str, Any]] = {}
        self._numbers: dict[str, int] = {}  # of the last message from each publisher
        self._reading = asyncio.Lock()
        self._reviewed = ""  # the stamp with which all people were reviewed
        self._is_somebody_new = False
        self._tasks = [
            asyncio.create_task(work)
            for work in (self._follow(), self._listen(), self._review_again_and_again(), self.presence.keep())
        ]

    # Connections

    def enter(self, socket: Socket) -> None:
        self.sockets.add(socket)
        self._is_somebody_new = True

    def leave(self, socket: Socket) -> None:
        """The connection is gone."""
        self.leave_rooms(socket)
        self.sockets.discard(socket)
        socket.end()
        if not self.sockets:
            self._stop()

    def join(self, socket: Socket, room: str, team: str | None) -> None:
        """`team` is that of a service's or an incident's room."""
        room = intern(room)  # a thousand connections are in rooms of the same names
        self.rooms.setdefault(room, set()).add(socket)
        socket.rooms.add(room)
        if team and not room.startswith("team:"):
            self.teams[room] = team

    def leave_room(self, socket: Socket, room: str) -> None:
        socket.rooms.discard(room)
        self.presence.look(socket, room, here=False)
        if sockets := self.rooms.get(room):
            sockets.discard(socket)
            if not sockets:
                del self.rooms[room]
                self.teams.pop(room, None)

    def leave_rooms(self, socket: Socket) -> None:
        for room in list(socket.rooms):
            self.leave_room(socket, room)

    def tell_all_in(self, room: str, message: Frame) -> None:
        # A copy: who has fallen behind leaves its rooms meanwhile.
        for socket in tuple(self.rooms.get(room, ())):
            socket.push(message)

    @property
    def cursor(self) -> Cursor:
        """Up to here, everything has been told."""
        return Cursor(self.epoch, self.position)

    async def catch_up(self) -> None:
        """Return when everything that is committed now has been told. Raises psycopg.Error and TimeoutError."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._news.set()
        await done

    async def missed(self, rooms: list[str], after: int, until: int, most: int) -> Page:
        """Raises psycopg.Error and TimeoutError."""
        async with self._reading, asyncio.timeout(READ_TIMEOUT_SECONDS):
            return await self.log.missed(rooms, after, until, most)

    # Reading the log

    async def _follow(self) -> None:
        try:
            while goes_on():
                self._news.clear()
                waiting, self._waiting = self._waiting, []
                try:
                    await self._read()
                except Exception as failure:  # the database is away, in one way or another
                    logger.warning("live events cannot be read: %r", failure)
                    _settle(waiting, failure)
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                global reached
                reached = self.cursor
                _settle(waiting, None)
                timer = asyncio.get_running_loop().call_later(READ_EVERY_SECONDS, self._news.set)
                await self._news.wait()
                timer.cancel()
        finally:
            self.log.close()

    async def _read(self) -> None:
        """Tell what has been committed since the last time."""
        while True:
            async with self._reading, asyncio.timeout(READ_TIMEOUT_SECONDS):
                after = self.position
                page = await self.log.read(self.epoch, after)
            if page.epoch != self.epoch or after < page.floor or self._has_hole(page, after):
                self._start_over(page)
                return
            for number, event in enumerate(page.events, 1):
                self._tell(event)
                if number % EVENTS_AT_A_TIME == 0:
                    await asyncio.sleep(0)
            if len(page.events) < BATCH:
                return

    def _has_hole(self, page: Page, after: int) -> bool:
        """There is none, unless somebody has removed rows by hand."""
        positions = [event.position for event in page.events]
        return positions != list(range(after + 1, after + 1 + len(positions)))

    def _tell(self, event: Event) -> None:
        if event.position <= self.position:  # it was heard while the log was read, or the other way round
            return
        self.position = event.position
        for room in event.rooms():
            if room in self.rooms:
                self.tell_all_in(room, event_frame(self.epoch, event, room))

    def _start_over(self, page: Page) -> None:
        """What was told does not join what comes: pages have to be fetched anew."""
        is_first = not self.epoch
        self.epoch, self.position = page.epoch, page.head
        if is_first:
            return
        logger.warning("live events start over at %s", self.cursor)
        for room in tuple(self.rooms):
            self.tell_all_in(room, reset_frame(room, self.cursor, "lost"))

    # Hearing from other processes

    async def _listen(self) -> None:
        while goes_on():
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel()
                await layer.group_add(GROUP, channel)
                self._news.set()  # what was committed before we listened
                self.presence.ask()
                while True:
                    self._hear(await layer.receive(channel))
            except Exception as failure:  # whatever Redis' client raises: we read without it meanwhile
                logger.warning("live messages cannot be heard: %r", failure)
                await asyncio.sleep(AGAIN_SECONDS)
                self._say_dropped()

    def _hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "live.wake":
                self._hear_news(message.get("epoch", ""), message.get("events", ()))
                self._count(message, message["number"])
            case "live.tell":
                self._count(message, message["number"] - 1)
                if message.get("dropped"):
                    self._say_dropped()
                for rooms, kind, data in message["events"]:
                    self._hear_counter(rooms, kind, data)
            case "live.presence":
                self.presence.hear(message)

    def _hear_news(self, epoch: str, events: Sequence[Sequence[Any]]) -> None:
        """Tell events at once if they are the next ones; read the log if there is a hole before them, or no events."""
        if not events or epoch != self.epoch or events[0][0] > self.position + 1:
            self._news.set()
            return
        for event in events:
            self._tell(Event(*event))
        global reached
        reached = self.cursor

    def _count(self, message: dict[str, Any], expected: int) -> None:
        sender = message["from"]
        if self._numbers.get(sender, expected) != expected:
            self._say_dropped()
        if len(self._numbers) >= MOST_PUBLISHERS:
            self._numbers.clear()
        self._numbers[sender] = message["number"]

    def _hear_counter(self, rooms: list[str], kind: str, data: dict[str, Any]) -> None:
        if not self._counters:
            asyncio.get_running_loop().call_later(COUNTERS_EVERY_SECONDS, self._tell_counters)
        self._counters[f"{kind} {data.get('incident_id')} {rooms}"] = rooms, kind, data

    def _tell_counters(self) -> None:
        counters, self._counters = self._counters, {}
        for rooms, kind, data in counters.values():
            is_droppable = kind == DROPPED and Severity(data["severity"]) in DROPPABLE
            text = msgspec.json.encode(data).decode()
            for room in rooms:
                if sockets := self.rooms.get(room):
                    message = told_frame(self.cursor, room, kind, text)
                    for socket in tuple(sockets):
                        socket.push_counter(message, room, is_droppable=is_droppable)

    def _say_dropped(self) -> None:
        for room in tuple(self.rooms):
            self.tell_all_in(room, frame({"type": "dropped", "room": room, "kind": DROPPED}))

    # Who may hear what

    async def _review_again_and_again(self) -> None:
        for part in cycle(range(REVIEW_PARTS)):
            await asyncio.sleep(REVIEW_EVERY_SECONDS / REVIEW_PARTS)
            try:
                if part == 0:
                    await self._review_people()
                await self._review_sessions_and_rooms(part)
            except Exception as failure:  # the database is away: nothing is told then either
                logger.warning("who may hear what could not be reviewed: %r", failure)

    async def _review_people(self) -> None:
        """All of them, if anything has changed about anybody; who is new was looked up some time ago."""
        if self._is_somebody_new:
            self._is_somebody_new, self._reviewed = False, ""
        stamp = await in_thread(access.stamp)
        if stamp == self._reviewed:
            return
        self._reviewed = ""
        known = self._known()
        people = [socket.person for socket in known if socket.person]
        for start in range(0, len(people), PEOPLE_AT_A_TIME):
            await self._review(known, people[start : start + PEOPLE_AT_A_TIME], set(), {})
            await asyncio.sleep(BETWEEN_PEOPLE_SECONDS)
        self._reviewed = stamp

    async def _review_sessions_and_rooms(self, part: int) -> None:
        def is_due(key: str) -> bool:
            return hash(key) % REVIEW_PARTS == part

        known = self._known()
        sessions = {socket.session for socket in known if socket.session and is_due(socket.session)}
        teams = {room: team for room, team in self.teams.items() if is_due(room)}
        if sessions or teams:
            await self._review(known, [], sessions, teams)

    def _known(self) -> list[Socket]:
        return [socket for socket in self.sockets if socket.person and not socket.is_closed]

    async def _review(
        self, known: list[Socket], people: list[Person], sessions: set[str], teams: dict[str, str]
    ) -> None:
        """`known` are those who have been looked up before now: of others it would be yesterday's news."""
        found = await in_thread(access.review, people, sessions, teams)
        if not found:
            return
        for room, team in found.teams.items():
            if team and room in self.teams:
                self.teams[room] = team
        for socket in known:
            if not socket.is_closed:
                self._review_socket(socket, found)

    def _review_socket(self, socket: Socket, found: access.Review) -> None:
        before = socket.person
        assert before is not None
        now = found.people.get(before.id) if before.id in found.changed else before
        if now is None or now.password != before.password or socket.session in found.ended:
            self.leave_rooms(socket)
            socket.push(error("not_signed_in", "You are signed out."))
            socket.close(NOT_SIGNED_IN)
            return
        socket.person = now
        for room in [room for room in socket.rooms if not self._may_hear(now, room, found)]:
            self.leave_room(socket, room)
            socket.say(type="unsubscribed", room=room, reason="no_access")
        if socket.joins_teams:
            for team in sorted(now.teams - before.teams):
                if f"team:{team}" not in socket.rooms:
                    self.join(socket, f"team:{team}", team)
                    socket.say(type="subscribed", room=f"team:{team}", cursor=str(self.cursor))

    def _may_hear(self, person: Person, room: str, found: access.Review) -> bool:
        kind, _, identifier = room.partition(":")
        if kind == "user":
            return identifier == person.id
        if kind == "team":
            return person.may_hear(identifier)
        team = found.teams.get(room, self.teams.get(room))
        return team is not None and person.may_hear(team)

    def _stop(self) -> None:
        hubs.pop(asyncio.get_running_loop(), None)
        for task in self._tasks:
            task.cancel()


def reset_frame(room: str, cursor: Cursor, reason: str) -> Frame:
    return frame({"type": "reset", "room": room, "cursor": str(cursor), "reason": reason})


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do something with the database that would hold up the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _with_database, work, arguments)


def _with_database(work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    try:
        return work(*arguments)
    finally:
        connection.close()  # back to the pool, which gives out only what works


def _settle(waiting: list[asyncio.Future[None]], failure: BaseException | None) -> None:
    for future in waiting:
        if future.done():
            continue
        if failure:
            future.set_exception(failure)
        else:
            future.set_result(None)


hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, Hub]" = WeakKeyDictionary()


def current_hub() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in hubs:
        hubs[loop] = Hub()
    return hubs[loop]
