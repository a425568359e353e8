"""How many messages a process hands over at the same time, whoever in it does."""

import threading

from django.conf import settings


class Slots:
    """Places for calls of transports. A page is leased only once it has one: nothing leased waits for its turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._changed = threading.Condition()

    def take(self, most: int, *, patiently: bool) -> int:
        """At most so many, and at least one if `patiently`, which may take as long as a call. Returns how many."""
        with self._changed:
            while patiently and most and not self._free:
                self._changed.wait()
            taken = min(most, self._free)
            self._free -= taken
            return taken

    def give_back(self, count: int = 1) -> None:
        with self._changed:
            self._free += count
            self._changed.notify(count)


slots = Slots(settings.CELERY_WORKER_CONCURRENCY)
