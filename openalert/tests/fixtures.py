"""Fixtures for the tests of every app."""

from collections.abc import Iterator

import pytest
import time_machine
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import override_settings

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


@pytest.fixture
def web(transactional_db: None) -> Iterator[Stack]:
    """Only the web process, for what needs no worker."""
    stack = Stack()
    try:
        stack.start_web()
        yield stack
    finally:
        stack.stop()


class QuickArgon2(Argon2PasswordHasher):
    """Cheap to make; what it makes the real hasher can check, for the hash names its own cost."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1


@pytest.fixture(autouse=True, scope="session")
def quick_passwords() -> Iterator[None]:
    """People of tests get cheap hashes: hundreds are made."""
    with override_settings(PASSWORD_HASHERS=[f"{__name__}.QuickArgon2"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def nobody_is_held_back() -> Iterator[None]:
    """Tests ask faster than people; those of the throttle set what they need."""
    with override_settings(API_REQUESTS_PER_MINUTE=1_000_000):
        yield
