"""How much waits in the broker's queues. What waits there are wake-ups: the work itself is in the database."""

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from openalert import shared_redis
from openalert.task_context import SENT_HEADER
from openalert.wake import PRIORITIES

from . import vitals

# How kombu's Redis transport names the list of a priority.
PRIORITY_SEPARATOR = "\x06\x16"


@dataclass(frozen=True)
class Queue:
    """`oldest_seconds` is the age of the job that has waited longest; None when none does, or none says its age."""

    name: str
    waiting: int
    oldest_seconds: float | None


def queues() -> list[Queue]:
    """Raises redis.RedisError."""
    return [_queue(name) for name in vitals.queue_names()]


def _queue(name: str) -> Queue:
    lists = [f"{name}{PRIORITY_SEPARATOR}{rank}" if rank else name for rank in PRIORITIES]
    with shared_redis.client().pipeline(transaction=False) as pipeline:
        for key in lists:
            pipeline.llen(key)
            pipeline.lindex(key, -1)  # jobs are put in at the head, and taken from the tail
        answers = pipeline.execute()
    ages = [age for text in answers[1::2] if (age := _age(text)) is not None]
    return Queue(name, sum(answers[::2]), max(ages, default=None))


def _age(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        message: Any = msgspec.json.decode(text)
        return max(0.0, time.time() - float(message["headers"][SENT_HEADER]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None
