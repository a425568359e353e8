"""Identifiers are what RFC 9562 says, and in the order of their making."""

import time
from uuid import RFC_4122

from openalert.ids import uuid7


def test_version_variant_and_instant():
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_order_is_that_of_making():
    made = [uuid7() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert made == sorted(made)
