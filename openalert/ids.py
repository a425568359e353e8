"""Time-ordered identifiers (RFC 9562, version 7). They are unique, not secret: whoever sees one may guess others.

So their random bits come from a generator of Python's: the system's would cost a system call each. It is our own,
so that nobody else's seed can repeat it, and a forked process seeds it anew.
"""

import os
import random
import time
from datetime import datetime
from uuid import UUID

_random = random.Random()  # noqa: S311
os.register_at_fork(after_in_child=_random.seed)


def uuid7() -> UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, 12 bits of their fraction (§6.2, method 3), 62 random bits.

    New rows land at the right-hand edge of the primary-key index, so that it stays in memory however
    large the table grows; and what one process makes is in the order of its making.
    """
    return UUID(int=_value(*divmod(time.time_ns(), 1_000_000), _random.getrandbits(62)))


def uuid7_text() -> str:
    """A UUIDv7 as text, with hyphens, in a fraction of the time."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    noise = _random.getrandbits(62)
    return "%08x-%04x-7%03x-%04x-%012x" % (  # noqa: UP031  # faster than an f-string here
        milliseconds >> 16,
        milliseconds & 0xFFFF,
        (nanoseconds << 12) // 1_000_000,
        0x8000 | noise >> 48,
        noise & 0xFFFF_FFFF_FFFF,
    )


def uuid7_texts(count: int) -> list[str]:
    """So many UUIDv7 of this moment, as 32 hexadecimal digits each: cheap enough for the rows of a bulk."""
    front = f"{_value(*divmod(time.time_ns(), 1_000_000), 0) >> 64:016x}"
    return [f"{front}{0b10 << 62 | _random.getrandbits(62):016x}" for _ in range(count)]


def uuid7_floor(at: datetime) -> str:
    """What every UUIDv7 made at `at` (aware) or later is not below, as 32 hexadecimal digits."""
    return f"{_value(int(at.timestamp() * 1000), 0, 0):032x}"


def _value(milliseconds: int, nanoseconds: int, noise: int) -> int:
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (nanoseconds << 12) // 1_000_000 << 64
    return value | 0b10 << 62 | noise
