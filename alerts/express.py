"""The way of `known` from an event loop: on a connection of its own, without a thread, a task or a turn of the loop.

A thread that waits for the database has to wait for the interpreter as well, which the event loop is busy
with just then; under load that costs more than the statement. And a task that is told of the answer has its turn
after all requests that came in meanwhile: the database would wait for so long. So libpq is used as it is meant for
event loops (https://www.postgresql.org/docs/current/libpq-async.html).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

import psycopg
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from psycopg.pq import ExecStatus, PGresult, TransactionStatus

from incidents import rooms

from . import known
from .known import Call
from .problems import Arrival, integrations_of, rounds
from .results import Result, Results

# Another batch was faster, or the database cannot hold an alert.
FOR_ANOTHER_WAY = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.UniqueViolation,
    psycopg.DataError,
)
# The statement is not prepared any more, or was for another version of the function.
FOR_A_NEW_CONNECTION = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.FeatureNotSupported)
NOT_OURS = frozenset({"context", "cursor_factory", "pool"})
NAME = b"alerts_take_known"
STATEMENT = (known.TAKE % tuple(f"${place}" for place in range(1, 8))).encode()

# Told the results of a batch, None when it has to go another way, or what failed.
Tell = Callable[[list[Result] | Exception | None], None]


class UnderWay(NamedTuple):
    call: Call
    arrivals: int
    tell: Tell


class Express:
    """One connection, and one batch at a time."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: psycopg.AsyncConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._socket = -1
        self._is_prepared = False
        self._is_writing = False
        self._result: PGresult | None = None
        self._under_way: UnderWay | None = None

    def take(self, arrivals: Sequence[Arrival], tell: Tell) -> None:
        """Store a batch if all of it is known, and tell its results, later; None when it is not: nothing is stored.

        May tell django.db.OperationalError and InterfaceError: the database could not be reached, or was lost.
        """
        loop = asyncio.get_running_loop()
        try:
            call = _call_for(arrivals)
        except Exception as failure:
            loop.call_soon(tell, failure)
            return
        if call is None:
            loop.call_soon(tell, None)
            return
        if self._loop is not loop:
            self.close()
            self._loop = loop
        self._under_way = UnderWay(call, len(arrivals), tell)
        if self._connection is None:
            self._connecting = loop.create_task(self._connect())
        else:
            self._send()

    def close(self) -> None:
        """End the connection; the next batch makes another. What was under way is lost, and not told."""
        if self._connection is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
                if self._is_writing:
                    self._loop.remove_writer(self._socket)
            self._connection.pgconn.finish()
        self._connection = self._under_way = self._result = None
        self._is_prepared = self._is_writing = False

    async def _connect(self) -> None:
        wanted = connection.get_connection_params()
        try:
            made = await psycopg.AsyncConnection.connect(
                **{name: value for name, value in wanted.items() if name not in NOT_OURS}, autocommit=True
            )
        except Exception as error:
            self._fail(error)
            return
        assert self._loop is not None
        self._connection, self._socket = made, made.fileno()
        self._loop.add_reader(self._socket, self._on_readable)
        self._send()

    def _send(self) -> None:
        assert self._connection is not None and self._under_way is not None
        pgconn = self._connection.pgconn
        parameters = [parameter.encode() for parameter in self._under_way.call.parameters]
        try:
            if (
                self._connection.prepare_threshold is None
            ):  # a pooler may hand each statement to another server
                pgconn.send_query_params(STATEMENT, parameters)
            elif self._is_prepared:
                pgconn.send_query_prepared(NAME, parameters)
            else:
                pgconn.send_prepare(NAME, STATEMENT)
            self._flush()
        except psycopg.Error as error:
            self._fail(error)

    def _flush(self) -> None:
        assert self._connection is not None and self._loop is not None
        is_writing = bool(self._connection.pgconn.flush())
        if is_writing and not self._is_writing:
            self._loop.add_writer(self._socket, self._on_writable)
        elif self._is_writing and not is_writing:
            self._loop.remove_writer(self._socket)
        self._is_writing = is_writing

    def _on_writable(self) -> None:
        try:
            self._flush()
        except psycopg.Error as error:
            self._fail(error)

    def _on_readable(self) -> None:
        assert self._connection is not None
        pgconn = self._connection.pgconn
        try:
            pgconn.consume_input()
            if self._is_writing:
                self._flush()
            while self._under_way is not None and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    self._on_answer()
                    return
                self._result = self._result or result
        except psycopg.Error as error:
            self._fail(error)

    def _on_answer(self) -> None:
        assert self._connection is not None and self._under_way is not None
        result, self._result = self._result, None
        if result is None or self._connection.pgconn.transaction_status != TransactionStatus.IDLE:
            self._fail(psycopg.OperationalError("the connection to the database was lost"))
        elif result.status == ExecStatus.COMMAND_OK:
            self._is_prepared = True
            self._send()
        elif result.status == ExecStatus.TUPLES_OK:
            self._tell_taken(result)
        else:
            error = psycopg.errors.error_from_result(result)
            if isinstance(error, FOR_A_NEW_CONNECTION):
                tell = self._under_way.tell
                self.close()
                tell(None)
            elif isinstance(error, FOR_ANOTHER_WAY):
                self._tell(None)
            else:
                self._fail(error)

    def _tell_taken(self, result: PGresult) -> None:
        assert self._under_way is not None
        call, arrivals, _ = self._under_way
        outcome: list[Result] | Exception | None = None
        try:
            results = Results(arrivals)
            if call.report(result.get_value(0, 0), results):
                rooms.tell_alerts(call.incidents)
                outcome = results.all()
        except Exception as failure:
            outcome = failure
        self._tell(outcome)

    def _tell(self, outcome: list[Result] | Exception | None) -> None:
        """The next batch may come from within."""
        assert self._under_way is not None
        tell, self._under_way = self._under_way.tell, None
        tell(outcome)

    def _fail(self, error: Exception) -> None:
        under_way = self._under_way
        self.close()
        if under_way is None:
            return
        if isinstance(error, psycopg.OperationalError):
            error = OperationalError(str(error))
        elif isinstance(error, psycopg.InterfaceError):
            error = InterfaceError(str(error))
        under_way.tell(error)


def _call_for(arrivals: Sequence[Arrival]) -> Call | None:
    folded = list(rounds(arrivals))
    if len(folded) != 1:
        return None
    return known.call_for(folded[0].values(), integrations_of(arrivals), now=timezone.now())
