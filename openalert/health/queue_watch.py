"""The health job of the queues: logs what it sees, and tells operations through the outbox when it is not good.

What it says needs beat, a worker and a sender, so it is for queues that are slow; when those are away, the self-watch
(openalert.health.self_watch) says so.
"""

import logging
from dataclasses import dataclass

import redis
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from notifications import dead_letters, notices
from openalert import failed_tasks
from openalert.election import Candidate

from . import checks, queues, vitals

logger = logging.getLogger(__name__)

# A wake-up that is older is overdue: the rows have been found without it by now.
QUEUE_SECONDS = 60.0
MOST_WAITING = 1_000
RECENT_SECONDS = 300.0
TELL_AGAIN_SECONDS = 3600.0
OFFICE_SECONDS = 60.0


@dataclass(frozen=True)
class Trouble:
    """`name` is the same for the same trouble each time."""

    name: str
    words: str


def look() -> list[Trouble]:
    """Look, log, and tell operations of what they have not been told within the hour. Returns what is not good."""
    troubles = find()
    for trouble in troubles:
        logger.warning("queues: %s", trouble.words, extra={"trouble": trouble.name})
    if not troubles:
        logger.info("queues: all well")
    _tell(troubles)
    return troubles


def find() -> list[Trouble]:
    """Raises psycopg.Error when the database cannot be asked; the task then fails, and is seen as that."""
    with vitals.line() as line:
        seen = vitals.read(line, whole=True)
    troubles = [
        Trouble(check.name, check.detail)
        for check in checks.of(seen)
        if not check.is_ok and check.name != "beat"
    ]
    for provider in seen.providers:
        if provider.is_open:
            troubles.append(Trouble(f"provider {provider.name}", f"The provider {provider.name} is failing."))
    try:
        troubles += _of_broker()
    except redis.RedisError:
        troubles.append(Trouble("redis", "Redis cannot be asked; the workers go on without it."))
    return troubles


def _of_broker() -> list[Trouble]:
    troubles = []
    for queue in queues.queues():
        if queue.waiting > MOST_WAITING or (queue.oldest_seconds or 0) > QUEUE_SECONDS:
            age = f", the oldest for {queue.oldest_seconds:.0f} s" if queue.oldest_seconds is not None else ""
            words = f"{queue.waiting} jobs wait in the queue {queue.name}{age}."
            troubles.append(Trouble(f"queue {queue.name}", words))
    now = timezone.now()
    for group in failed_tasks.groups():
        if (now - group.last_at).total_seconds() <= RECENT_SECONDS:
            words = f"The task {group.task} failed {group.count} times, last with {group.error}"
            troubles.append(Trouble(f"task {group.task}", words))
    return troubles


def _tell(troubles: list[Trouble]) -> None:
    """One notice for all that is new; two of these jobs at once tell it once."""
    candidate = Candidate("queue watch", seconds=OFFICE_SECONDS)
    with transaction.atomic():
        if not candidate.stand(_execute):
            return
        now = timezone.now()
        told: dict[str, float] = candidate.state.get("told", {})
        new = [t for t in troubles if now.timestamp() - told.get(t.name, 0.0) >= TELL_AGAIN_SECONDS]
        if new:
            notices.tell(
                dead_letters.operators(),
                subject=f"OpenAlert: {new[0].words}" if len(new) == 1 else f"OpenAlert: {len(new)} troubles",
                text="\n".join(trouble.words for trouble in new),
                path=reverse("queues"),
                now=now,
            )
        names = {trouble.name for trouble in troubles}
        kept = {name: at for name, at in told.items() if name in names}
        candidate.remember(_execute, {"told": kept | {t.name: now.timestamp() for t in new}})
        candidate.resign(_execute)


def _execute(statement: str, parameters: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []
