"""Fixtures for the tests of every app."""

from collections.abc import Iterator

import pytest
import time_machine

from .clock import START, Clock
from .stack import Stack, running_stack


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that stands at Monday 2 March 2026, 12:00 UTC."""
    with time_machine.travel(START, tick=False) as traveller:
        yield Clock(traveller)


@pytest.fixture
def stack(transactional_db: None) -> Iterator[Stack]:
    """A running web, worker and beat on the test's database; what the test writes is committed."""
    with running_stack() as stack:
        yield stack
