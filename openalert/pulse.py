"""Pulses: rows that say when the tick, and beat, were last there. They stand in PostgreSQL, as the tick needs nothing else.

A process writes each at most every PERIOD seconds, so that it costs the tick nothing.
"""

import logging
import threading
import time

from django.db import Error as DatabaseError
from django.db import connection

logger = logging.getLogger(__name__)

TICK, BEAT = "tick", "beat"
PERIOD_SECONDS = 3.0

# Of several workers one at a time writes; the others would only wait for it.
WRITE = """
INSERT INTO openalert_pulse (name, at) VALUES (%s, now())
ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE openalert_pulse.at < excluded.at - interval '1 second'
"""

_noted_at: dict[str, float] = {}
_lock = threading.Lock()


def note(name: str) -> None:
    """It has just happened. Never raises for the database's sake: the next time will do."""
    now = time.monotonic()
    with _lock:
        if now - _noted_at.get(name, float("-inf")) < PERIOD_SECONDS:
            return
        _noted_at[name] = now
    try:
        with connection.cursor() as cursor:
            cursor.execute(WRITE, [name])
    except DatabaseError as error:
        _noted_at.pop(name, None)
        logger.warning("the pulse of %s cannot be written: %s", name, error)
