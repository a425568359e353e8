"""Wake-ups: tell a worker that there is something to do now. Nothing depends on their arrival.

The truth is in the database, which beat and the standby of each worker look at every second, so a wake-up lost with
the broker costs a few seconds, not a page.
"""

import logging
import os
import threading
import time
from functools import partial
from queue import Empty, Full, Queue

from celery import current_app
from django.db import transaction

from openalert import task_context

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
MAX_WAITING = 10_000
# The Redis broker keeps a list for each of these priorities, and workers empty them in this order.
PRIORITIES = (0, 3, 6, 9)


def wake(task: str, *args: str, priority: int = 0) -> None:
    """Send the Celery task named `task` when the transaction commits. Never waits or raises for the broker's sake.

    `priority` is a severity's rank: among those of one queue that wait, 0 comes first.
    """
    transaction.on_commit(partial(waker.send, task, args, priority), robust=True)


class Waker:
    """Hands wake-ups to the broker from a thread of its own: a broker that hangs holds up nobody but that one.

    While the broker is away, what waits is dropped: the rows are found without it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._waiting: Queue[tuple[str, tuple[str, ...], int, dict[str, str]]]
        self._paused_until = 0.0
        #: Whether the broker did not take the last wake-up that it was offered.
        self.is_broker_away = False

    def send(self, task: str, args: tuple[str, ...], priority: int = 0) -> None:
        """Queue a wake-up; returns at once."""
        self._ensure_running()
        try:
            self._waiting.put_nowait((task, args, priority, task_context.headers()))
        except Full:
            logger.warning("wake-ups were dropped: %s wait for the broker", MAX_WAITING)
            self._drop_all()

    def _ensure_running(self) -> None:
        with self._lock:
            if self._pid == os.getpid():  # a forked worker has no thread yet
                return
            self._waiting = Queue(MAX_WAITING)
            self._pid = os.getpid()
            threading.Thread(target=self._run, name="waker", daemon=True).start()

    def _run(self) -> None:
        while True:
            task, args, priority, headers = self._waiting.get()
            if time.monotonic() < self._paused_until:
                continue
            try:
                rank = PRIORITIES[min(priority, len(PRIORITIES) - 1)]
                current_app.send_task(
                    task, args=args, retry=False, ignore_result=True, priority=rank, headers=headers
                )
                self.is_broker_away = False
            except Exception as error:  # kombu wraps whatever the broker's client raises, but not all of it
                # Each of those that wait would have to wait for its time-out: let them pass for a while.
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                self.is_broker_away = True
                logger.warning("could not wake %s: %r", task, error)
                self._drop_all()

    def _drop_all(self) -> None:
        try:
            while True:
                self._waiting.get_nowait()
        except Empty:
            pass


waker = Waker()
