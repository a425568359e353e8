"""Time-ordered identifiers (RFC 9562, version 7)."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, then 74 random bits.

    New rows land at the right-hand edge of the primary-key index, so that it stays in memory however
    large the table grows.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = secrets.randbits(74)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | (random_bits >> 62) << 64
    value |= 0b10 << 62 | random_bits & (1 << 62) - 1
    return UUID(int=value)
