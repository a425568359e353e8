"""Beat's scheduler: of several beats one is elected and sends, the others wait to take its place.

The elected one renews its office every RENEW_SECONDS; when it dies another sends after at most OFFICE_SECONDS, and until
then each worker ticks by itself (openalert.standby). A beat that was frozen knows that its office may have ended, and
asks before it sends again.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from celery.beat import ScheduleEntry
from django.db import Error as DatabaseError
from django.db import connection
from django_celery_beat.schedulers import DatabaseScheduler

from openalert import audit
from openalert.election import Candidate

logger = logging.getLogger(__name__)

OFFICE_SECONDS = 10.0
RENEW_SECONDS = 2.0
# Who is not elected asks so often.
WAIT_SECONDS = 1.0
# What happens less often than this is written down at once: a successor must not do it again too soon.
SELDOM = timedelta(minutes=1)


class ElectedScheduler(DatabaseScheduler):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.candidate = Candidate("beat", seconds=OFFICE_SECONDS)
        self._asked_at = float("-inf")
        self._was_elected = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Write down the tasks that the product brings along, which nobody has configured."""
        with audit.seeding():
            super().setup_schedule()

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due if this is the elected beat. Returns the seconds until it is to be called again."""
        if not self._may_send():
            self._was_elected = False
            return WAIT_SECONDS
        if not self._was_elected:
            logger.info("this beat is elected")
            self._was_elected = True
            self._read_again()
        return min(super().tick(*args, **kwargs), WAIT_SECONDS)

    def apply_async(
        self, entry: ScheduleEntry, producer: Any = None, advance: bool = True, **kwargs: Any
    ) -> Any:
        if not self.candidate.is_elected:  # it was frozen since it asked
            self._was_elected = False  # so it reads again what was really sent
            return None
        sent = super().apply_async(entry, producer=producer, advance=advance, **kwargs)
        if getattr(entry.schedule, "run_every", SELDOM) >= SELDOM:
            self._do_sync()
        return sent

    def close(self) -> None:
        super().close()
        try:
            self.candidate.resign(_execute)
        except DatabaseError as error:
            logger.warning("beat could not resign: %s", error)

    def _may_send(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at >= RENEW_SECONDS or not self.candidate.is_elected:
            self._asked_at = now
            try:
                self.candidate.stand(_execute)
            except DatabaseError as error:
                # Without the database the tasks could do nothing either.
                logger.warning("beat cannot be elected: %s", error)
                connection.close()
        return self.candidate.is_elected

    def _read_again(self) -> None:
        """What was sent last, and when, stands in the database: another beat may have sent it."""
        self._schedule = None
        self._heap = None
        self._initial_read = True
        self._dirty: set[str] = set()


def _execute(statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []
