"""Senders' own look at the outbox: what no wake-up came for is sent all the same."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection

from . import fallback, outbox
from .lease_keeper import keeper
from .waking import TOGETHER

logger = logging.getLogger(__name__)

# How many pages one look finds another way for.
FALLBACKS = 50
# One look goes on for so long while there is always more.
LOOK_SECONDS = 5.0


class LeftBehind:
    """Sends pages that were left behind, in threads of its own. To be used by one thread."""

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="left-behind")
        self._pending: set[Future[None]] = set()

    def look(self) -> int:
        """Begin to send what was left behind, as much at once as the sender may. Returns how many.

        What needs another way finds it first.
        """
        taken = 0
        for page in outbox.fallbacks_left_behind(limit=FALLBACKS):
            _do(fallback.fall_back, page)
        until = time.monotonic() + LOOK_SECONDS
        while time.monotonic() < until:
            self._pending = {future for future in self._pending if not future.done()}
            # What the process's workers are sending counts as well, among it most of ours.
            if max(keeper.count, len(self._pending)) >= self._concurrency:
                wait(self._pending, timeout=0.1, return_when=FIRST_COMPLETED)
                if not self._pending:
                    return taken  # the others have their hands full
                continue
            pages = outbox.take_left_behind(limit=TOGETHER)
            if not pages:
                return taken
            taken += len(pages)
            self._pending.add(self._pool.submit(_deliver, pages))
        return taken


def _deliver(pages: list[UUID]) -> None:
    try:
        outbox.deliver_all(pages)
    except DatabaseError as error:
        logger.warning("%s pages were left again: %s", len(pages), error)
    finally:
        connection.close()  # back to the pool


def _do(work: Callable[[UUID], None], page: UUID) -> None:
    try:
        work(page)
    except DatabaseError as error:
        logger.warning("page %s was left again: %s", page, error)
