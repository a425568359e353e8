"""The log of live events, read in one order that never changes: what makes cursors exact.

Rows are written in the transactions of what they tell, so their ids become visible in another order than they count.
Whoever reads therefore first gives places to what has been committed since (`incidents_live_place`, a function in the
database; one at a time, under a lock that is held until that is committed). So every position below one that was
seen is visible too, and two changes of one incident, which its row's lock keeps apart, stand in their order.

Where the numbering may have been lost (the server crashed, a backup was restored) there is a new epoch, and cursors
of another epoch, or from before what was pruned, are answered with a reset: never with a gap.
"""

import time
from datetime import timedelta
from typing import Any, NamedTuple

import psycopg
from django.db import connection

from openalert import sql

# What a client has to catch up on for certain is two minutes; memory and time are cheap here.
KEPT = timedelta(minutes=15)
BATCH = 1_000
IDLE_SECONDS = 5.0
ANSWER_WITHIN_SECONDS = 5.0
NOT_OURS = frozenset({"context", "cursor_factory", "pool"})

READ = "SELECT * FROM incidents_live_read(%s, %s, %s)"
NEWS = "SELECT * FROM incidents_live_news(%s)"
MISSED = """
WITH h AS MATERIALIZED (SELECT epoch, position, floor FROM incidents_live_at())
SELECT h.epoch, h.position, h.floor, e.*
FROM h LEFT JOIN LATERAL (
    SELECT position, kind, entry_id, incident_id::text, service_id::text, team_id::text, user_id::text, data::text
    FROM incidents_liveevent
    WHERE position > %s AND position <= %s AND (
        incident_id = ANY(%s::uuid[]) OR service_id = ANY(%s::uuid[]) OR team_id = ANY(%s::uuid[])
        OR user_id = ANY(%s::uuid[])
    )
    ORDER BY position LIMIT %s
) AS e ON true
ORDER BY e.position
"""


class Event(NamedTuple):
    position: int
    kind: str  # of the timeline entry, if there is one
    entry_id: int | None
    incident: str | None
    service: str | None
    team: str | None
    user: str | None
    data: str  # JSON

    def rooms(self) -> list[str]:
        named = (
            ("incident", self.incident),
            ("service", self.service),
            ("team", self.team),
            ("user", self.user),
        )
        return [f"{kind}:{identifier}" for kind, identifier in named if identifier]


class Page(NamedTuple):
    """What a reading found: the epoch, its last position, the last that was pruned, and the events."""

    epoch: str
    head: int
    floor: int
    events: list[Event]


class Cursor(NamedTuple):
    """How far somebody has come. As text, `EPOCH-POSITION`; clients keep it as it is."""

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.position}"

    @classmethod
    def parse(cls, text: object) -> "Cursor | None":
        """None for what was never one of ours."""
        if not isinstance(text, str) or len(text) > 80:
            return None
        epoch, separator, position = text.rpartition("-")
        if (
            not separator
            or not epoch
            or not (position.isascii() and position.isdecimal())
            or len(position) > 18
        ):
            return None
        return cls(epoch, int(position))


def prune() -> int:
    """Remove events older than KEPT; cursors from before are answered with a reset. Returns how many."""
    [(removed,)] = sql.fetch("SELECT incidents_live_prune(%s)", [KEPT])
    return removed


class LogReader:
    """Reads on a connection of its own, from an event loop; one reading at a time."""

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection | None = None
        self._rests_since = 0.0

    async def read(self, epoch: str, after: int) -> Page:
        """At most BATCH events after a position, if that is of this epoch; none otherwise. Raises psycopg.Error."""
        return _page(await self._fetch(READ, [epoch, after, BATCH]))

    async def missed(self, rooms: list[str], after: int, until: int, most: int) -> Page:
        """At most so many events of the rooms after a position until another, in order. Raises psycopg.Error.

        They are all that there were if the page's epoch is the positions', and its floor not above `after`.
        """
        ids: dict[str, list[str]] = {"incident": [], "service": [], "team": [], "user": []}
        for room in rooms:
            kind, _, identifier = room.partition(":")
            ids[kind].append(identifier)
        return _page(await self._fetch(MISSED, [after, until, *ids.values(), most]))

    def close(self) -> None:
        """End the connection; the next reading makes another."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    async def _fetch(self, statement: str, parameters: list[object]) -> list[tuple]:
        database = await self._connect()
        try:
            cursor = await database.execute(statement, parameters)
            return await cursor.fetchall()
        except psycopg.DataError:
            raise
        except BaseException:  # it was lost, or we stopped waiting for an answer that is still to come
            self.close()
            raise
        finally:
            self._rests_since = time.monotonic()

    async def _connect(self) -> psycopg.AsyncConnection:
        if self._connection is not None and time.monotonic() - self._rests_since > IDLE_SECONDS:
            try:
                await self._connection.execute("")
            except psycopg.Error:
                self.close()
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(**_parameters(), autocommit=True)
        return self._connection


class _Impatient(psycopg.Connection):
    def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
        return super().wait(gen, timeout=ANSWER_WITHIN_SECONDS)


class NewsReader:
    """Gives places, on a connection of its own and from a thread that has nothing else to do: to wait there for the answer
    is sooner than a turn of an event loop."""

    def __init__(self) -> None:
        self._connection: _Impatient | None = None

    def news(self, most: int) -> Page:
        """Give places to at most so many events, and return those. Raises psycopg.Error.

        Others that have been committed may have had theirs from somebody else: whoever reads has to look for holes.
        """
        is_kept = self._connection is not None
        try:
            return self._news(most)
        except psycopg.OperationalError:  # a connection that was kept may have been lost meanwhile
            if not is_kept:
                raise
            return self._news(most)

    def close(self) -> None:
        """End the connection; the next reading makes another."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    def _news(self, most: int) -> Page:
        if self._connection is None:
            self._connection = _Impatient.connect(**_parameters(), autocommit=True)
        try:
            return _page(self._connection.execute(NEWS, [most]).fetchall())
        except BaseException:  # it was lost, or we stopped waiting for an answer that is still to come
            self.close()
            raise


def _parameters() -> dict[str, Any]:
    return {name: value for name, value in connection.get_connection_params().items() if name not in NOT_OURS}


def _page(rows: list[tuple]) -> Page:
    if not rows:  # the server crashed, and nobody has read since
        return Page("", 0, 0, [])
    epoch, head, floor = rows[0][:3]
    return Page(epoch, head, floor, [Event(*row[3:]) for row in rows if row[3] is not None])
