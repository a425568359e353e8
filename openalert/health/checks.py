"""What is well and what is not, by one reading. The thresholds stand here and nowhere else.

A web process is *ready* when it can do its part: take alerts and answer people. For that it needs PostgreSQL with this
code's tables, and nothing else. Redis, the tick and the outbox are others' parts: were a web process taken out of
service for their sake, alerts would be refused that could be stored. So these are told beside it, and make the
installation *unwell*.
"""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from . import vitals
from .vitals import Line, Vitals

# The tick comes each second, and is written down every three.
TICK_SECONDS = 15.0
# Beat's own task comes every five. Without beat the workers tick by themselves.
BEAT_SECONDS = 30.0
ESCALATION_SECONDS = 15.0
# A provider's failure is tried again for longer than that, but puts the due time off.
OUTBOX_SECONDS = 60.0


@dataclass(frozen=True)
class Check:
    """`is_needed` for readiness. `seconds` is the age that was looked at, if it was one."""

    name: str
    is_ok: bool
    detail: str
    is_needed: bool = False
    seconds: float | None = None


def look(read: Callable[[Line], Vitals] = vitals.read) -> tuple[list[Check], Vitals | None]:
    """All checks, and what was read unless the database could not be asked. Never raises for a server's sake."""
    try:
        with vitals.line() as line:
            found = read(line)
    except psycopg.Error:
        gone = "PostgreSQL cannot be asked."
        return [Check("database", False, gone, is_needed=True), redis_check()], None
    return [Check("database", True, "answers", is_needed=True), redis_check(), *of(found)], found


def redis_check() -> Check:
    answers = vitals.redis_answers()
    return Check(
        "redis", answers, "answers" if answers else "Redis cannot be asked; the workers go on without it."
    )


def of(found: Vitals) -> list[Check]:
    count = len(found.unapplied)
    migrations = "all applied" if not count else f"{count} not applied, first {found.unapplied[0]}"
    return [
        Check("migrations", not count, migrations, is_needed=True),
        _happens("tick", found.tick_age, TICK_SECONDS, "Escalations were last looked at"),
        _happens("beat", found.beat_age, BEAT_SECONDS, "Beat was last heard of"),
        _not_older(
            "escalations", found.escalation_age, ESCALATION_SECONDS, "The oldest due escalation step waits"
        ),
        _not_older("outbox", found.outbox_age, OUTBOX_SECONDS, "The oldest due page waits"),
    ]


def _happens(name: str, age: float | None, most: float, words: str) -> Check:
    if age is None:
        return Check(name, False, f"{words}: never.")
    return Check(name, age <= most, f"{words} {age:.0f} s ago.", seconds=age)


def _not_older(name: str, age: float | None, most: float, words: str) -> Check:
    if age is None:
        return Check(name, True, "Nothing is due.", seconds=0.0)
    return Check(name, age <= most, f"{words} since {age:.0f} s.", seconds=max(age, 0.0))


def is_ready(checks: list[Check]) -> bool:
    return all(check.is_ok for check in checks if check.is_needed)


def is_well(checks: list[Check]) -> bool:
    return all(check.is_ok for check in checks)
