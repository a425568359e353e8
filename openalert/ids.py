"""Time-ordered identifiers (RFC 9562, version 7)."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, 12 bits of their fraction (§6.2, method 3), 62 random bits.

    New rows land at the right-hand edge of the primary-key index, so that it stays in memory however
    large the table grows; and what one process makes is in the order of its making.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (nanoseconds << 12) // 1_000_000 << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)
