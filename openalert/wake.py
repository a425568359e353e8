"""Wake-ups: tell a worker that there is something to do now. Nothing depends on their arrival.

The truth is in the database and the beat looks at it every second, so a wake-up lost with the broker costs
a second, not a page.
"""

import logging
import time
from functools import partial

from celery import current_app
from django.db import transaction

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0
_paused_until = 0.0


# The Redis broker keeps a list for each of these priorities, and workers empty them in this order.
PRIORITIES = (0, 3, 6, 9)


def wake(task: str, *args: str, priority: int = 0) -> None:
    """Send the Celery task named `task` when the transaction commits. Never raises for the broker's sake.

    `priority` is a severity's rank: among those of one queue that wait, 0 comes first.
    """
    transaction.on_commit(partial(_send, task, args, priority), robust=True)


def _send(task: str, args: tuple[str, ...], priority: int = 0) -> None:
    global _paused_until
    if time.monotonic() < _paused_until:
        return
    try:
        rank = PRIORITIES[min(priority, len(PRIORITIES) - 1)]
        current_app.send_task(task, args=args, retry=False, ignore_result=True, priority=rank)
    except Exception as error:  # kombu wraps whatever the broker's client raises, but not all of it
        # While the broker is away every caller would wait for its time-out: let them pass for a while.
        _paused_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("could not wake %s: %r", task, error)
