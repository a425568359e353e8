"""Time-ordered identifiers (RFC 9562, version 7)."""

import os
import secrets
import time
from uuid import UUID

RANDOM_BYTES = 8


def uuid7() -> UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, 12 bits of their fraction (§6.2, method 3), 62 random bits.

    New rows land at the right-hand edge of the primary-key index, so that it stays in memory however
    large the table grows; and what one process makes is in the order of its making.
    """
    return UUID(int=_value(*divmod(time.time_ns(), 1_000_000), secrets.randbits(62)))


def uuid7_texts(count: int) -> list[str]:
    """So many UUIDv7 of this moment, as 32 hexadecimal digits each: cheap enough for the rows of a bulk."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    noise = os.urandom(RANDOM_BYTES * count)
    return [
        f"{_value(milliseconds, nanoseconds, int.from_bytes(noise[at : at + RANDOM_BYTES]) >> 2):032x}"
        for at in range(0, RANDOM_BYTES * count, RANDOM_BYTES)
    ]


def _value(milliseconds: int, nanoseconds: int, noise: int) -> int:
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (nanoseconds << 12) // 1_000_000 << 64
    return value | 0b10 << 62 | noise
