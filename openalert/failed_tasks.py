"""The tasks that failed lately, for the page of queues.

They are kept in Redis and lost with it: a task is only a wake-up, and the log has the traceback. What a task had to do is
still due in the database.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import redis

from openalert import correlation_id, figures, shared_redis
from openalert.redaction import Redactor

logger = logging.getLogger(__name__)

KEY = "openalert:failed-tasks"
MOST_KEPT = 500
LONGEST_ERROR = 500
REMEMBERED_SECONDS = 7 * 24 * 3600
PAUSE_SECONDS = 5.0

_redactor = Redactor()
_paused_until = 0.0
_lock = threading.Lock()


class Failure(msgspec.Struct):
    """One failure; `at` in seconds since 1970."""

    task: str
    error: str
    at: float
    correlation_id: str = ""


@dataclass(frozen=True)
class Group:
    """Failures of one task by the same kind of error: how many are remembered, and the last one."""

    task: str
    error: str
    count: int
    last_at: datetime
    correlation_id: str


def note(task: str, error: BaseException | None) -> None:
    """Count and remember a failure. Never raises; without Redis it is only counted."""
    global _paused_until
    figures.count(figures.TASK_FAILURES, task)
    if time.monotonic() < _paused_until:
        return
    text = _redactor.text(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]
    failure = Failure(task, text, time.time(), correlation_id.current.get())
    try:
        with shared_redis.client().pipeline() as pipeline:
            pipeline.lpush(KEY, msgspec.json.encode(failure).decode())
            pipeline.ltrim(KEY, 0, MOST_KEPT - 1)
            pipeline.expire(KEY, REMEMBERED_SECONDS)
            pipeline.execute()
    except redis.RedisError as problem:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        logger.warning("a failed task cannot be remembered: %r", problem)


def groups() -> list[Group]:
    """What failed, by task and kind of error, the last first. Raises redis.RedisError."""
    found: dict[tuple[str, str], list[Failure]] = {}
    for text in shared_redis.client().lrange(KEY, 0, MOST_KEPT - 1):  # type: ignore[union-attr]
        failure = msgspec.json.decode(text, type=Failure)
        found.setdefault((failure.task, failure.error.partition(":")[0]), []).append(failure)
    return [
        Group(task, failures[0].error, len(failures), _instant(failures[0].at), failures[0].correlation_id)
        for (task, _), failures in found.items()
    ]


def forget() -> None:
    """Somebody has seen to them. Raises redis.RedisError."""
    shared_redis.client().delete(KEY)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
