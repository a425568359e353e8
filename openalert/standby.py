"""The standby: each worker does what is due by itself when nobody tells it to.

Beat's ticks and all wake-ups travel through the broker, which may be flushed, frozen or away, and beat may be dead.
The rows that say what is due are in the database, and the tasks that look at them may run anywhere, any number at
once. So each worker has a thread that runs the tasks of its queue (settings.STANDBY) every second, unless the worker
has just done them because it was told to. It needs nothing but the database.
"""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

import structlog
from celery import Celery, bootsteps
from celery.signals import task_success
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from openalert import correlation_id, failed_tasks
from openalert.ids import uuid7_text

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
# Beat's ticks are shared by all workers, so each of several sees only some.
PATIENCE_SECONDS = 3.0
STOP_SECONDS = 5.0


class Lookout(threading.Thread):
    """Runs tasks in turn, each once it has not been carried out in this process for PATIENCE_SECONDS, then every
    second until it is again. One that fails keeps no other from its turn."""

    def __init__(self, app: Celery, tasks: Sequence[str]) -> None:
        super().__init__(name="standby", daemon=True)
        self._app, self._tasks = app, tasks
        self._told_at = dict.fromkeys(tasks, time.monotonic())
        self._ending = threading.Event()
        self._is_broken = False

    def run(self) -> None:
        task_success.connect(self._note, weak=False, dispatch_uid=self)
        while not self._ending.wait(INTERVAL_SECONDS):
            self.look()
        task_success.disconnect(dispatch_uid=self)

    def end(self) -> None:
        """Returns once what it has begun is done, or after STOP_SECONDS."""
        self._ending.set()
        if self.is_alive():
            self.join(STOP_SECONDS)

    def look(self) -> list[str]:
        """Run what nobody asked for lately; returns the names of what was carried out."""
        now = time.monotonic()
        due = [name for name in self._tasks if now - self._told_at[name] >= PATIENCE_SECONDS]
        try:
            return [name for name in due if self._carry_out(name)]
        finally:
            connection.close()  # back to the pool

    def _carry_out(self, name: str) -> bool:
        try:
            with correlation_id.being(uuid7_text()), structlog.contextvars.bound_contextvars(task=name):
                self._app.tasks[name]()
        except DatabaseError as error:
            if not self._is_broken:  # once, not every second
                logger.warning("standby: the database did not carry out %s: %s", name, error)
            self._is_broken = True
            connection.close()
            return False
        except Exception as error:
            logger.exception("standby: %s failed", name)
            failed_tasks.note(name, error)
            return False
        self._is_broken = False
        return True

    def _note(self, sender: Any = None, **_: Any) -> None:
        if sender is not None and sender.name in self._told_at:
            self._told_at[sender.name] = time.monotonic()


class Standby(bootsteps.StartStopStep):
    """Celery's part: starts the thread with the worker, whether or not there is a broker."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self.lookout: Lookout | None = None

    def start(self, worker: Any) -> None:
        tasks = tasks_of(worker.app.amqp.queues.consume_from)
        if tasks:
            self.lookout = Lookout(worker.app, tasks)
            self.lookout.start()

    def stop(self, worker: Any) -> None:
        if self.lookout:
            self.lookout.end()

    terminate = stop


def tasks_of(queues: Iterable[str]) -> list[str]:
    """What a worker of these queues does by itself."""
    return [task for queue in queues for task in settings.STANDBY.get(queue, ())]
