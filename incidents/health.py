"""How services are: what is unresolved about them."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, Min, Q

from teams.models import Service

from .enums import SEVERITIES, Severity, Status
from .models import Incident


@dataclass(frozen=True)
class Health:
    """Of a service with unresolved incidents: how many, how many of them nobody has answered, and the worst."""

    unresolved: int
    open: int
    worst: Severity


def health_of(services: Iterable[Service]) -> dict[UUID, Health]:
    """By the service's id; services without unresolved incidents are left out. One query."""
    rows = (
        Incident.objects.filter(service__in=list(services))
        .unresolved()
        .with_severity_rank()
        .order_by()
        .values("service")
        .annotate(
            unresolved=Count("pk"), open=Count("pk", filter=Q(status=Status.OPEN)), worst=Min("severity_rank")
        )
    )
    return {row["service"]: Health(row["unresolved"], row["open"], SEVERITIES[row["worst"]]) for row in rows}
