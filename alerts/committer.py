"""Group commit: requests that come while a batch is being committed form the next batch.

A commit waits for the disk and costs many times what an alert does, so requests share them: each is answered
after the commit that its alerts were part of, with its own results. Nothing is answered from memory.

Some batches are under way at once, so that one is made ready, or computed, while another waits for the disk. They
have no alert in common: else one would wait for the other in the database, perhaps in vain.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from django.db import DataError, InterfaceError, OperationalError, connection

from openalert import correlation_id, figures

from . import intake
from .events import EventFault
from .express import Express
from .keys import IntegrationChanged
from .problems import Arrival, Key
from .results import Result

logger = logging.getLogger(__name__)

AT_ONCE = 3
# Another is begun when it has so many alerts: small ones had better grow.
WORTH_BEGINNING = 32
MAX_BATCH = 1_000
# How often in a row others may go before the request that has waited longest.
MOST_OVERTAKING = 4
MOST_PASSED = 100
# More than this is not taken into memory: the senders are asked to come back.
MAX_WAITING = 50_000

Stored = Sequence[Result | EventFault]
Keys = set[Key]
# Told what became of each arrival, or why none is known to be stored.
Tell = Callable[[Stored | Exception], None]


class Waiting(NamedTuple):
    """A request: its arrivals, the keys of their alerts, whom to tell what became of them, its correlation id, and
    since when it waits (time.monotonic)."""

    arrivals: Sequence[Arrival]
    keys: Keys
    tell: Tell
    correlation_id: str
    since: float


class Full(Exception):
    """Too much waits already."""


class Committer:
    """To be used from one event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="intake")
        self._ways = [Express() for _ in range(AT_ONCE)]
        self._free = list(self._ways)
        self._batches: set[asyncio.Task[None]] = set()
        self._under_way: Keys = set()
        self._overtaken = 0  # how often the first that waits was
        self._waiting: deque[Waiting] = deque()
        self._alerts = 0  # that wait
        self._is_to_start = False  # in the loop's next turn

    def submit(self, arrivals: Sequence[Arrival], tell: Tell, correlation_id: str = "") -> None:
        """Store what arrived with the next batch, and tell what became of each; a fault for what the database cannot hold.

        Raises Full. May tell IntegrationChanged, and then nothing is stored, or django.db.Error.
        """
        if self._alerts and self._alerts + len(arrivals) > MAX_WAITING:
            raise Full
        keys = {(arrival.integration.id_text, arrival.event.dedup_key) for arrival in arrivals}
        self._waiting.append(Waiting(arrivals, keys, tell, correlation_id, time.monotonic()))
        self._alerts += len(arrivals)
        if self._alerts >= WORTH_BEGINNING:
            self._start()
        elif not self._is_to_start:
            # Of the requests that are read in this turn of the loop the first would else be a batch by itself.
            self._is_to_start = True
            asyncio.get_running_loop().call_soon(self._start_in_next_turn)

    async def store(self, arrivals: Sequence[Arrival], correlation_id: str = "") -> Stored:
        """The same, for whoever can wait: raises what would be told."""
        future: asyncio.Future[Stored] = asyncio.get_running_loop().create_future()

        def tell(outcome: Stored | Exception) -> None:
            if future.done():  # whoever asked has gone
                return
            if isinstance(outcome, Exception):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.submit(arrivals, tell, correlation_id)
        return await future

    def close(self) -> None:
        """Let go of the database; the next batch finds its way to it again."""
        for way in self._ways:
            way.close()

    def _start_in_next_turn(self) -> None:
        self._is_to_start = False
        self._start()

    def _start(self) -> None:
        while self._free and (self._alerts >= WORTH_BEGINNING or len(self._free) == AT_ONCE):
            batch = self._next_batch()
            if not batch:
                return
            way = self._free.pop()
            way.take(
                [arrival for request in batch for arrival in request.arrivals],
                partial(self._taken, batch, way),
            )

    def _taken(self, batch: list[Waiting], way: Express, taken: list[Result] | Exception | None) -> None:
        if taken is None:
            task = asyncio.get_running_loop().create_task(self._store_in_thread(batch, way))
            self._batches.add(task)  # the loop itself would not keep it
            task.add_done_callback(self._batches.discard)
        elif isinstance(taken, Exception):
            self._end(batch, way, [taken] * len(batch))
        else:
            self._end(batch, way, _shared_out(taken, [request.arrivals for request in batch]))

    def _next_batch(self) -> list[Waiting]:
        """Take out those that have waited longest, but for those with an alert that is under way."""
        batch: list[Waiting] = []
        passed: list[Waiting] = []
        size = 0
        first = self._waiting[0] if self._waiting else None
        most_passed = MOST_PASSED if self._overtaken < MOST_OVERTAKING else 0
        while self._waiting and (not batch or size + len(self._waiting[0].arrivals) <= MAX_BATCH):
            if self._waiting[0].keys.isdisjoint(self._under_way):
                batch.append(self._waiting.popleft())
                size += len(batch[-1].arrivals)
            elif len(passed) < most_passed:
                passed.append(self._waiting.popleft())
            else:
                break
        self._waiting.extendleft(reversed(passed))
        if first is None or (batch and batch[0] is first):
            self._overtaken = 0
        elif batch:
            self._overtaken += 1
        self._alerts -= size
        self._under_way.update(*(request.keys for request in batch))
        return batch

    async def _store_in_thread(self, batch: list[Waiting], way: Express) -> None:
        outcomes: list[Stored | Exception]
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(
                self._threads,
                store_requests,
                [request.arrivals for request in batch],
                bool(self._waiting),
                _id_of(batch),
            )
        except Exception as failure:
            outcomes = [failure] * len(batch)
        self._end(batch, way, outcomes)

    def _end(self, batch: list[Waiting], way: Express, outcomes: Sequence[Stored | Exception]) -> None:
        self._free.append(way)
        self._under_way.difference_update(*(request.keys for request in batch))
        self._start()  # so that the database works while these are told
        for request, outcome in zip(batch, outcomes, strict=True):
            try:
                request.tell(outcome)
            except Exception:
                logger.exception("intake: a sender could not be told")
        _count(outcomes, seconds=time.monotonic() - batch[0].since)


def _id_of(batch: Sequence[Waiting]) -> str:
    """What is woken by a batch of one request belongs to it; of several requests, to none of them."""
    return batch[0].correlation_id if len(batch) == 1 else ""


def _count(outcomes: Sequence[Stored | Exception], *, seconds: float) -> None:
    """Once for a batch: `seconds` is what its first request waited, and no other waited longer."""
    stored = [len(outcome) for outcome in outcomes if not isinstance(outcome, Exception)]
    figures.count(figures.INTAKE_BATCHES)
    if stored:
        figures.count(figures.INTAKE_REQUESTS, amount=len(stored))
        figures.count(figures.INTAKE_ALERTS, amount=sum(stored))
        figures.observe(figures.INTAKE_SECONDS, seconds, times=len(stored))


def store_requests(
    requests: Sequence[Sequence[Arrival]], more_wait: bool = False, request_id: str = ""
) -> list[Stored | Exception]:
    """Store several requests' arrivals in one transaction; for each what became of it, or why it failed.

    If they cannot be stored together they are tried in halves, so that one bad alert fails alone.
    """
    try:
        with correlation_id.being(request_id):
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
