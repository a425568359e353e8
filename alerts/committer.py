"""Group commit: requests that come while a batch is being committed form the next batch.

A commit waits for the disk and costs many times what an alert does, so requests share them: each is answered
after the commit that its alerts were part of, with its own results. Nothing is answered from memory.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from django.db import DataError, InterfaceError, OperationalError, connection

from . import intake
from .events import EventFault
from .express import Express
from .keys import IntegrationChanged
from .problems import Arrival
from .results import Result

logger = logging.getLogger(__name__)

# A second batch is made ready while the database has the first, if it is a large one: small ones had better grow.
AT_ONCE = 2
WORTH_PREPARING = 400
MAX_BATCH = 2_000
# More than this is not taken into memory: the senders are asked to come back.
MAX_WAITING = 50_000

Stored = Sequence[Result | EventFault]
Waiting = tuple[Sequence[Arrival], "asyncio.Future[Stored]"]


class Full(Exception):
    """Too much waits already."""


class Committer:
    """To be used from one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="intake")
        self._express = Express()
        self._free = AT_ONCE
        self._batches: set[asyncio.Task[None]] = set()
        self._waiting: deque[Waiting] = deque()
        self._alerts = 0  # that wait

    async def store(self, arrivals: Sequence[Arrival]) -> Stored:
        """What became of each arrival, once that is committed; a fault for what the database cannot hold.

        Raises Full, IntegrationChanged, django.db.Error; then nothing is stored.
        """
        if self._alerts and self._alerts + len(arrivals) > MAX_WAITING:
            raise Full
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()
        self._waiting.append((arrivals, future))
        self._alerts += len(arrivals)
        self._start()
        return await future

    def close(self) -> None:
        """Let go of the database; the next batch finds its way to it again."""
        self._express.close()

    def _start(self) -> None:
        while self._waiting and (self._free == AT_ONCE or (self._free and self._alerts >= WORTH_PREPARING)):
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._commit(self._next_batch()))
            self._batches.add(task)  # the loop itself would not keep it
            task.add_done_callback(self._batches.discard)

    def _next_batch(self) -> list[Waiting]:
        batch = [self._waiting.popleft()]
        size = len(batch[0][0])
        while self._waiting and size + len(self._waiting[0][0]) <= MAX_BATCH:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0])
        self._alerts -= size
        return batch

    async def _commit(self, batch: list[Waiting]) -> None:
        try:
            outcomes = await self._store_batch([arrivals for arrivals, _ in batch])
        except Exception as failure:
            outcomes = [failure] * len(batch)
        self._free += 1
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            if future.done():  # whoever asked has gone
                continue
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._start()

    async def _store_batch(self, requests: list[Sequence[Arrival]]) -> list[Stored | Exception]:
        taken = await self._express.take([arrival for arrivals in requests for arrival in arrivals])
        if taken is not None:
            return _shared_out(taken, requests)
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, store_requests, requests, bool(self._waiting)
        )


def store_requests(
    requests: Sequence[Sequence[Arrival]], more_wait: bool = False
) -> list[Stored | Exception]:
    """Store several requests' arrivals in one transaction; for each what became of it, or why it failed.

    If they cannot be stored together they are tried in halves, so that one bad alert fails alone.
    """
    try:
        return _store_together_or_in_halves(requests)
    finally:
        # Back to the pool, which gives out only what works; in a rush that would cost each batch a round trip.
        if not more_wait or connection.errors_occurred:
            connection.close()


def _store_together_or_in_halves(requests: Sequence[Sequence[Arrival]]) -> list[Stored | Exception]:
    try:
        stored = _store([arrival for arrivals in requests for arrival in arrivals])
    except Exception as failure:
        if len(requests) > 1 and not _is_everybodys(failure):
            half = len(requests) // 2
            return _store_together_or_in_halves(requests[:half]) + _store_together_or_in_halves(
                requests[half:]
            )
        return [failure] * len(requests)
    return _shared_out(stored, requests)


def _shared_out(stored: Stored, requests: Sequence[Sequence[Arrival]]) -> list[Stored | Exception]:
    outcomes: list[Stored | Exception] = []
    start = 0
    for arrivals in requests:
        outcomes.append(stored[start : start + len(arrivals)])
        start += len(arrivals)
    return outcomes


def _store(arrivals: Sequence[Arrival]) -> Stored:
    try:
        return intake.ingest(arrivals, may_be_known=False)
    except DataError as failure:
        if len(arrivals) > 1:
            half = len(arrivals) // 2
            return [*_store(arrivals[:half]), *_store(arrivals[half:])]
        logger.warning("intake: the database cannot hold an alert: %s", failure)
        return [EventFault(code="invalid", detail="This alert has a value that cannot be stored.")]


def _is_everybodys(failure: Exception) -> bool:
    """Whether trying again with fewer alerts would fail in the same way."""
    return isinstance(failure, OperationalError | InterfaceError | IntegrationChanged)
