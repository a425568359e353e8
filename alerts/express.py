"""The way of `known` from an event loop: on connections of its own, without a thread.

A thread that waits for the database has to wait for the interpreter as well, which the event loop is busy
with just then; under load that costs more than the statement.
"""

import asyncio
import time
from collections.abc import Sequence

import psycopg
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from incidents import rooms

from . import known
from .problems import Arrival, integrations_of, rounds
from .results import Result, Results

# A connection that has rested for so long is checked before it is used.
IDLE_SECONDS = 1.0
# Another batch was faster, or the database cannot hold an alert.
FOR_ANOTHER_WAY = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
    psycopg.DataError,
)
NOT_OURS = frozenset({"context", "cursor_factory", "pool"})


class Express:
    """One connection and its turns."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None
        self._rests_since = 0.0

    async def take(self, arrivals: Sequence[Arrival]) -> list[Result] | None:
        """Store a batch if all of it is known; None when it is not: then nothing is stored.

        Raises django.db.OperationalError and InterfaceError when the database cannot be reached, or was lost.
        """
        folded = list(rounds(arrivals))
        if len(folded) != 1:
            return None
        call = known.call_for(folded[0].values(), integrations_of(arrivals), now=timezone.now())
        if call is None:
            return None
        try:
            async with self._my_turn():
                told = await self._fetch(known.TAKE, call.parameters)
        except FOR_ANOTHER_WAY:
            return None
        except psycopg.OperationalError as error:
            raise OperationalError(str(error)) from error
        except psycopg.InterfaceError as error:
            raise InterfaceError(str(error)) from error
        results = Results(len(arrivals))
        if not call.report(told, results):
            return None
        rooms.tell_alerts(call.incidents)
        return results.all()

    def close(self) -> None:
        """End the connection; the next batch makes another."""
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    def _my_turn(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.close()
            self._loop, self._turn = loop, asyncio.Lock()
        return self._turn

    async def _fetch(self, statement: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        database = await self._connect()
        try:
            cursor = await database.execute(statement, parameters)
            return await cursor.fetchall()
        finally:
            self._rests_since = time.monotonic()
            if database.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self.close()  # it was lost, or we stopped waiting for an answer that is still to come

    async def _connect(self) -> psycopg.AsyncConnection:
        if self._connection is not None and time.monotonic() - self._rests_since > IDLE_SECONDS:
            try:
                await self._connection.execute("")
            except psycopg.Error:
                self.close()
        if self._connection is None:
            wanted = connection.get_connection_params()
            self._connection = await psycopg.AsyncConnection.connect(
                **{name: value for name, value in wanted.items() if name not in NOT_OURS}, autocommit=True
            )
        return self._connection
