"""Keeping leases: what a sender is sending stays its own for as long as it lives.

A lease is short, so that another sender soon takes over from one that was killed, and is renewed by a thread of the
process that sends, so that a provider may take its time. A send that hangs for LONGEST is given up all the same.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.utils import timezone

from .enums import NotificationStatus
from .leases import LEASE, Lease
from .models import Notification

logger = logging.getLogger(__name__)

LONGEST = timedelta(seconds=120)
RENEW_SECONDS = 3.0


class Keeper:
    """Renews the leases of the messages that are being sent in this process. One for each, `keeper`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[UUID, float] = {}  # a message, and since when (time.monotonic)
        self._thread: threading.Thread | None = None

    @property
    def count(self) -> int:
        """How many messages this process is sending."""
        return len(self._held)

    @contextlib.contextmanager
    def holding(self, lease: Lease) -> Iterator[None]:
        """Within, the lease does not run out, up to LONGEST."""
        self.hold([lease])
        try:
            yield
        finally:
            self.release([lease])

    def hold(self, leases: Iterable[Lease]) -> None:
        """Keep the leases from running out until they are released, up to LONGEST."""
        now = time.monotonic()
        with self._lock:
            self._held |= {lease.request_id: now for lease in leases}
            if self._thread is None or not self._thread.is_alive():  # a forked worker has none yet
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()

    def release(self, leases: Iterable[Lease]) -> None:
        """Keep them no longer. Repeating it changes nothing."""
        with self._lock:
            for lease in leases:
                self._held.pop(lease.request_id, None)

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
            ages = {request_id: now - since for request_id, since in self._held.items()}
        requests = [pk for pk, age in ages.items() if RENEW_SECONDS <= age <= LONGEST.total_seconds()]
        if not requests:
            return 0
        until = timezone.now() + LEASE
        # What somebody else has taken over meanwhile bears another request's name; what is locked is being finished.
        ours = Notification.objects.filter(request_id__in=requests, status=NotificationStatus.SENDING)
        with transaction.atomic():
            free = list(ours.select_for_update(skip_locked=True).values_list("pk", flat=True))
            return Notification.objects.filter(pk__in=free).update(lease_until=until, wake_at=until)


keeper = Keeper()
