"""Reads over several tables, scoped by who asks."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Q, Value, When
from django.utils import timezone

from teams.access import teams_to_respond_for
from teams.models import User

from . import parts
from .enums import Severity, Status
from .models import Incident, IncidentQuerySet

UNRESOLVED, ALL = "unresolved", "all"
LARGEST_NUMBER = 2**63 - 1

# What wants an answer stands first.
STATUS_ORDER = Case(
    *(
        When(status=status, then=Value(place))
        for place, status in enumerate([Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED, Status.RESOLVED])
    ),
    output_field=IntegerField(),
)


@dataclass(frozen=True)
class IncidentFilter:
    """What a list of incidents is narrowed to; `state` is a status, `unresolved` or `all`."""

    state: str = UNRESOLVED
    severities: list[Severity] = field(default_factory=list)
    team: UUID | None = None
    service: UUID | None = None
    mine: bool = False
    days: int | None = None
    text: str = ""


def incidents_for_list(user: User, wanted: IncidentFilter) -> IncidentQuerySet:
    """The incidents that `user` may see and the filter lets through.

    What wants an answer stands first, then what is worst, then what is new; where resolved ones are among them,
    the newest.
    """
    incidents = _narrowed(user, wanted).select_related("service__team", "assigned_to", "merged_into")
    if wanted.state != UNRESOLVED:
        return incidents.order_by("-opened_at", "-pk")
    return incidents.with_severity_rank().order_by(STATUS_ORDER, "severity_rank", "-opened_at", "-pk")


def counts_by_state(user: User, wanted: IncidentFilter) -> dict[str, int]:
    """How many unresolved incidents the filter lets through, whatever its state: altogether and by status."""
    statuses = [Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED]
    return _narrowed(user, replace(wanted, state=UNRESOLVED)).aggregate(
        unresolved=Count("pk"), **{status: Count("pk", filter=Q(status=status)) for status in statuses}
    )


def merge_targets(user: User, source: Incident, text: str = "") -> IncidentQuerySet:
    """Unresolved incidents into which `user` may merge `source`, those of its service first, then the newest."""
    incidents = Incident.objects.unresolved().filter(service__team__in=teams_to_respond_for(user))
    if text:
        incidents = incidents.filter(_says(text))
    is_near = Case(When(service=source.service_id, then=Value(0)), default=Value(1))
    return (
        incidents.exclude(pk=source.pk).select_related("service__team").order_by(is_near, "-opened_at", "-pk")
    )


def merged_visible_to(user: User, target: Incident) -> IncidentQuerySet:
    """What was merged into `target`, as far as `user` may see it, in the order of opening."""
    merged = Incident.objects.visible_to(user).filter(merged_into=target)
    return merged.select_related("service__team").order_by("opened_at")


def _narrowed(user: User, wanted: IncidentFilter) -> IncidentQuerySet:
    incidents = Incident.objects.visible_to(user)
    if wanted.state == UNRESOLVED:
        incidents = incidents.unresolved()
    elif wanted.state != ALL:
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
    return incidents.filter(_says(wanted.text)) if wanted.text else incidents


def _says(text: str) -> Q:
    number = text.removeprefix("#")
    if number.isdecimal() and int(number) <= LARGEST_NUMBER:
        found = Incident.objects.filter(Q(number=int(number)) | Q(title__icontains=text))
    else:
        found = Incident.objects.filter(title__icontains=text)
    # A union, not an OR: each side has a trigram index of its own to use.
    ids = found.order_by().values("pk").union(*(search(text) for search in parts.searches), all=True)
    return Q(pk__in=ids)
