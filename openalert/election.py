"""Elections: of several processes that are ready, one does what only one may do.

Whoever is elected holds a row for some seconds and renews it; when it dies, another has it after those. A row and
not an advisory lock, for those belong to a session, and PgBouncer's transaction mode has none. The database's clock
counts, so the machines' need not agree.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from uuid import uuid4

import msgspec

ELECT = """
INSERT INTO openalert_election AS e (name, holder, until, state)
VALUES (%s, %s, now() + make_interval(secs => %s), '{}')
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
WHERE e.holder = excluded.holder OR e.until < now()
RETURNING state::text
"""
RESIGN = "UPDATE openalert_election SET until = now() WHERE name = %s AND holder = %s"
REMEMBER = "UPDATE openalert_election SET state = %s::jsonb WHERE name = %s AND holder = %s"


class Execute(Protocol):
    def __call__(self, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The statement's rows. Raises the driver's errors."""
        ...


class Candidate:
    """One process's part in an election. For use by one thread."""

    def __init__(self, name: str, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.seconds = name, seconds
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self.state: dict[str, Any] = {}
        self._clock = clock
        self._held_until = float("-inf")

    @property
    def is_elected(self) -> bool:
        """Whether this is the one at this moment, as far as can be known without asking: a process that was frozen
        for long knows that it is not."""
        return self._clock() < self._held_until

    def stand(self, execute: Execute) -> bool:
        """Get or renew the office; whether it is ours now. Raises what `execute` raises.

        `state` is then what was last remembered, by us or by whoever was elected before.
        """
        asked_at = self._clock()
        rows = execute(ELECT, [self.name, self.holder, self.seconds])
        if not rows:
            self._held_until = float("-inf")
            return False
        self._held_until = asked_at + self.seconds
        self.state = msgspec.json.decode(rows[0][0])
        return True

    def remember(self, execute: Execute, state: dict[str, Any]) -> None:
        """Leave something for whoever is elected next."""
        self.state = state
        execute(REMEMBER, [msgspec.json.encode(state).decode(), self.name, self.holder])

    def resign(self, execute: Execute) -> None:
        """Let another be elected at once. Without effect when it is not ours."""
        self._held_until = float("-inf")
        execute(RESIGN, [self.name, self.holder])
