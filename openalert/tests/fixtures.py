"""Fixtures for the tests of every app."""

from collections.abc import Iterator

import pytest
import time_machine

from .clock import START, Clock


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that stands at Monday 2 March 2026, 12:00 UTC."""
    with time_machine.travel(START, tick=False) as traveller:
        yield Clock(traveller)
