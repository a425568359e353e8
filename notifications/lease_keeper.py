"""Keeping leases: what a sender is sending stays its own for as long as it lives.

A lease is short, so that another sender soon takes over from one that was killed, and is renewed by a thread of the
process that sends, so that a provider may take its time. A send that hangs for LONGEST is given up all the same.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

from .enums import NotificationStatus
from .leases import LEASE, Lease
from .models import Notification

logger = logging.getLogger(__name__)

LONGEST = timedelta(seconds=120)
RENEW_SECONDS = 3.0


@dataclass(frozen=True)
class Sending:
    """A message that is being sent in this process."""

    request_id: UUID
    since: float  # time.monotonic()


class Keeper:
    """Renews the leases of the messages that are being sent in this process. One for each, `keeper`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[Sending] = set()
        self._thread: threading.Thread | None = None

    @property
    def count(self) -> int:
        """How many messages this process is sending."""
        return len(self._held)

    @contextlib.contextmanager
    def holding(self, lease: Lease) -> Iterator[None]:
        """Within, the lease does not run out, up to LONGEST."""
        held = Sending(lease.request_id, time.monotonic())
        with self._lock:
            self._held.add(held)
            if self._thread is None or not self._thread.is_alive():  # a forked worker has none yet
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(held)

    def _run(self) -> None:
        while True:
            time.sleep(RENEW_SECONDS)
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
            try:
                self.renew()
            except DatabaseError as error:
                logger.warning("leases could not be renewed: %s", error)
            finally:
                connection.close()

    def renew(self) -> int:
        """Renew the leases of what has been held for a while and not for too long. Returns how many notifications."""
        now = time.monotonic()
        with self._lock:
            ages = {held.request_id: now - held.since for held in self._held}
        requests = [pk for pk, age in ages.items() if RENEW_SECONDS <= age <= LONGEST.total_seconds()]
        if not requests:
            return 0
        until = timezone.now() + LEASE
        # What somebody else has taken over meanwhile bears another request's name.
        ours = Notification.objects.filter(request_id__in=requests, status=NotificationStatus.SENDING)
        return ours.update(lease_until=until, wake_at=until)


keeper = Keeper()
