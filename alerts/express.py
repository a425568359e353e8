"""The way of `known` from an event loop: on connections of its own, without a thread.

A thread that waits for the database has to wait for the interpreter as well, which the event loop is busy
with just then; under load that costs more than the statement.
"""

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
NOT_OURS = frozenset({"context", "cursor_factory", "pool"})


class Express:
    """Some connections, for one event loop."""

    def __init__(self) -> None:
        self._resting: list[tuple[psycopg.AsyncConnection, float]] = []

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
            told = await self._fetch(known.TAKE, call.parameters)
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.DataError):
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
        """End the connections that rest."""
        while self._resting:
            self._resting.pop()[0].pgconn.finish()

    async def _fetch(self, statement: str, parameters: Sequence[object]) -> list[tuple[object, ...]]:
        database = await self._connection()
        try:
            cursor = await database.execute(statement, parameters)
            rows = await cursor.fetchall()
        except BaseException:
            if database.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                await (
                    database.close()
                )  # it was lost, or we stopped waiting for an answer that is still to come
            raise
        finally:
            if not database.closed:
                self._resting.append((database, time.monotonic()))
        return rows

    async def _connection(self) -> psycopg.AsyncConnection:
        while self._resting:
            database, rested_at = self._resting.pop()
            if time.monotonic() - rested_at < IDLE_SECONDS:
                return database
            try:
                await database.execute("")
                return database
            except psycopg.Error:
                await database.close()
        wanted = connection.get_connection_params()
        return await psycopg.AsyncConnection.connect(
            **{name: value for name, value in wanted.items() if name not in NOT_OURS}, autocommit=True
        )
