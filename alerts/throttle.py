"""How many alerts an integration may send, so that one that runs wild does not crowd out the others."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_REMEMBERED = 10_000


class Throttle:
    """A token bucket for each integration: a minute's worth at once, refilled evenly. To be used from one thread.

    Each process has its own; an integration may send as many times more as there are web processes.
    """

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens left, at

    def allows(self, integration_id: str, alerts: int) -> bool:
        """Whether so many may come now; then they are counted. What is larger than a bucket needs a full one."""
        if not self._per_minute:
            return True
        now = self._clock()
        left, at = self._buckets.pop(integration_id, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - at) * self._per_minute / 60)
        allowed = left >= min(alerts, self._per_minute)
        self._buckets[integration_id] = (max(0.0, left - alerts) if allowed else left), now
        if len(self._buckets) > MOST_REMEMBERED:
            self._buckets.popitem(last=False)
        return allowed
