"""What can be read about the installation at one moment, on a connection that nothing else uses.

The pool of a web process may be used up, and the database frozen; whoever asks how we do must get an answer all the
same, within seconds.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis
from celery import current_app
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from openalert import pulse, shared_redis

from .statements import named

CONNECT_SECONDS = 2
STATEMENT_MILLISECONDS = 3_000
NOT_PSYCOPGS = ("pool", "context", "cursor_factory")

PULSES = "SELECT name, extract(epoch FROM now() - at)::float8 FROM openalert_pulse"
APPLIED = "SELECT app, name FROM django_migrations"


@dataclass(frozen=True)
class Provider:
    """A transport's account: whether it is paused, whether its circuit breaker is open, failures in a row."""

    name: str
    is_paused: bool
    is_open: bool
    failures: int


@dataclass(frozen=True)
class Vitals:
    """Ages in seconds; None where there is nothing to have an age."""

    tick_age: float | None
    beat_age: float | None
    escalations_due: int
    escalation_age: float | None
    outbox: int
    outbox_due: int
    outbox_age: float | None
    dead_letters: int
    unapplied: list[str]
    providers: list[Provider] = field(default_factory=list)
    outbox_by_channel: list[tuple[str, int, int]] = field(default_factory=list)
    unresolved: list[tuple[str, str, int]] = field(default_factory=list)


class Line:
    """A connection to the database for one reading, or for the self-watch. Methods raise psycopg.Error."""

    def __init__(self) -> None:
        wanted = {k: v for k, v in connection.get_connection_params().items() if k not in NOT_PSYCOPGS}
        wanted |= {"connect_timeout": CONNECT_SECONDS, "prepare_threshold": None, "autocommit": True}
        self._connection = psycopg.connect(**wanted)

    def fetch(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """A statement of its own, at most STATEMENT_MILLISECONDS long: PgBouncer may give each another session."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}")
            cursor.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        self._connection.close()


@contextlib.contextmanager
def line() -> Iterator[Line]:
    opened = Line()
    try:
        yield opened
    finally:
        opened.close()


def read(line: Line, *, whole: bool = False) -> Vitals:
    """What readiness needs; the `whole` has what metrics show besides. Raises psycopg.Error."""
    ages = dict(line.fetch(PULSES)) if _has_pulses(line) else {}
    [(due, escalation_age)] = line.fetch(named("escalations_due"))
    [(outbox, outbox_due, outbox_age)] = line.fetch(named("outbox"))
    [(dead,)] = line.fetch(named("dead_letters"))
    vitals = Vitals(
        tick_age=ages.get(pulse.TICK),
        beat_age=ages.get(pulse.BEAT),
        escalations_due=due,
        escalation_age=escalation_age,
        outbox=outbox,
        outbox_due=outbox_due,
        outbox_age=outbox_age,
        dead_letters=dead,
        unapplied=unapplied(line),
    )
    if whole:
        vitals.providers.extend(Provider(*row) for row in line.fetch(named("providers")))
        vitals.outbox_by_channel.extend(line.fetch(named("outbox_by_channel")))  # type: ignore[arg-type]
        vitals.unresolved.extend(line.fetch(named("unresolved_incidents")))  # type: ignore[arg-type]
    return vitals


def _has_pulses(line: Line) -> bool:
    """They are not there before the first migration."""
    return bool(line.fetch("SELECT to_regclass('openalert_pulse') IS NOT NULL")[0][0])


_known_migrations: list[tuple[str, str]] = []


def unapplied(line: Line) -> list[str]:
    """The migrations of this code that the database does not have, as app.name."""
    if not _known_migrations:  # they stand in files, and do not change while we run
        _known_migrations.extend(sorted(MigrationLoader(None, ignore_no_migrations=True).disk_migrations))
    applied = set(line.fetch(APPLIED))
    return [f"{app}.{name}" for app, name in _known_migrations if (app, name) not in applied]


def redis_answers() -> bool:
    try:
        return bool(shared_redis.client().ping())
    except redis.RedisError:
        return False


def queue_names() -> list[str]:
    """Those that tasks are sent to by our settings."""
    routes = current_app.conf.task_routes or {}
    names = {route["queue"] for route in routes.values()} | {current_app.conf.task_default_queue}
    return sorted(names)
