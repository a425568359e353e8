import pytest

from .pager import Pager


@pytest.fixture
def pager(clock, db) -> Pager:
    return Pager(clock)
