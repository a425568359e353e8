"""A clock that tests move by hand."""

from datetime import UTC, datetime, timedelta

import time_machine

# A Monday, in the middle of somebody's working day.
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Clock:
    """All of Python's clocks stand still until `advance` or `set`."""

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def advance(self, **span: float) -> datetime:
        """Move on by a timedelta's arguments: `advance(minutes=30)`."""
        self._traveller.shift(timedelta(**span))
        return self.now

    def set(self, instant: datetime) -> datetime:
        self._traveller.move_to(instant)
        return self.now
