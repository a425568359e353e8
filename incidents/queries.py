"""Reads over several tables, scoped by who asks."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Q, Value, When
from django.utils import timezone

from teams.models import User

from .enums import Severity, Status
from .models import Incident, IncidentQuerySet

# What wants an answer stands first.
STATUS_ORDER = [Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED, Status.RESOLVED]


@dataclass(frozen=True)
class IncidentFilter:
    """What a list of incidents is narrowed to; `state` is a status, `unresolved` or `all`."""

    state: str = "unresolved"
    severities: list[Severity] = field(default_factory=list)
    team: UUID | None = None
    service: UUID | None = None
    mine: bool = False
    days: int | None = None
    text: str = ""


def incidents_for_list(user: User, wanted: IncidentFilter) -> IncidentQuerySet:
    """The incidents that `user` may see and the filter lets through: what wants an answer first."""
    incidents = Incident.objects.visible_to(user).select_related(
        "service__team", "assigned_to", "acknowledged_by"
    )
    if wanted.state == "unresolved":
        incidents = incidents.unresolved()
    elif wanted.state != "all":
        incidents = incidents.filter(status=wanted.state)
    if wanted.severities:
        incidents = incidents.filter(severity__in=wanted.severities)
    if wanted.team:
        incidents = incidents.filter(service__team=wanted.team)
    if wanted.service:
        incidents = incidents.filter(service=wanted.service)
    if wanted.mine:
        incidents = incidents.filter(assigned_to=user)
    if wanted.days:
        incidents = incidents.filter(opened_at__gte=timezone.now() - timedelta(days=wanted.days))
    if wanted.text:
        incidents = incidents.filter(_says(wanted.text))
    if wanted.state != "unresolved":
        return incidents.order_by("-opened_at", "-pk")
    order = Case(
        *(When(status=status, then=Value(place)) for place, status in enumerate(STATUS_ORDER)),
        output_field=IntegerField(),
    )
    return incidents.with_severity_rank().order_by(order, "severity_rank", "-opened_at", "-pk")


def _says(text: str) -> Q:
    number = text.removeprefix("#")
    is_number = number.isdecimal() and len(number) < 18
    return Q(title__icontains=text) | (Q(number=int(number)) if is_number else Q())


def counts_by_status(user: User) -> dict[str, int]:
    """How many incidents that `user` may see are in each unresolved status, and `mine` of them."""
    return (
        Incident.objects.visible_to(user)
        .unresolved()
        .aggregate(
            unresolved=Count("pk"),
            mine=Count("pk", filter=Q(assigned_to=user)),
            **{status: Count("pk", filter=Q(status=status)) for status in STATUS_ORDER[:3]},
        )
    )
