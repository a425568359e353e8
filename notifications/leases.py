"""Leases: what a sender is sending stays its own for as long as it lives.

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
from django.db.models import F
from django.utils import timezone

from .enums import NotificationStatus
from .models import DeliveryAttempt, Notification

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
LONGEST = timedelta(seconds=120)
RENEW_SECONDS = 3.0


@dataclass(frozen=True)
class Held:
    """An attempt that is being carried out in this process."""

    attempt_id: UUID
    since: float  # time.monotonic()


class Keeper:
    """Renews the leases of the attempts that are being carried out in this process. One for each, `keeper`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[Held] = set()
        self._thread: threading.Thread | None = None

    @property
    def count(self) -> int:
        """How many messages this process is sending."""
        return len(self._held)

    @contextlib.contextmanager
    def holding(self, attempt: DeliveryAttempt) -> Iterator[None]:
        """Within, the lease of the attempt's notification does not run out, up to LONGEST."""
        held = Held(attempt.pk, time.monotonic())
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
        """Renew the leases of what has been held for a while and not for too long. Returns how many."""
        now = time.monotonic()
        with self._lock:
            ages = {held.attempt_id: now - held.since for held in self._held}
        attempts = [pk for pk, age in ages.items() if RENEW_SECONDS <= age <= LONGEST.total_seconds()]
        if not attempts:
            return 0
        until = timezone.now() + LEASE
        # Not what somebody else has taken over meanwhile.
        ours = DeliveryAttempt.objects.filter(pk__in=attempts, number=F("notification__attempt_count"))
        return Notification.objects.filter(
            pk__in=ours.values("notification"), status=NotificationStatus.SENDING
        ).update(lease_until=until, wake_at=until)


keeper = Keeper()
