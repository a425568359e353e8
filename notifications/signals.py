"""Facts about notifications, told inside the transaction that made them."""

from dataclasses import dataclass
from uuid import UUID

from django.dispatch import Signal


@dataclass(frozen=True)
class Exhausted:
    """Nobody whom a step paged could be reached: all methods of all its people failed, or wait for a provider."""

    incident_id: UUID
    run_id: UUID
    loop: int
    step: int


# Sent with `steps`, a list of Exhausted, before any notification is locked: receivers may lock runs.
notifications_exhausted = Signal()
