"""Reads over several tables, scoped by who asks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Case, Count, IntegerField, Value, When
from django.utils import timezone

from teams.access import teams_to_respond_for
from teams.models import User

from .enums import Severity, Status
from .models import Incident, IncidentQuerySet
from .search import among, found_ids, says

UNRESOLVED, ALL = "unresolved", "all"
UNRESOLVED_STATUSES = [Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED]

# What wants an answer stands first.
STATUS_ORDER = Case(
    *(
        When(status=status, then=Value(place))
        for place, status in enumerate([Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED, Status.RESOLVED])
    ),
    output_field=IntegerField(),
)

# What a row of a list says of an incident.
SHOWN = [
    "number",
    "title",
    "severity",
    "status",
    "opened_at",
    "snoozed_until",
    "service__name",
    "service__team__name",
    "assigned_to__name",
    "assigned_to__email",
    "merged_into__number",
]


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

    @cached_property
    def found(self) -> list[UUID]:
        """What the text leads to: looked up once, for the list and for what is counted of it."""
        return found_ids(self.text)

    def but(self, **changes: Any) -> "IncidentFilter":
        """The same but for the changes; what its text leads to is not looked up again."""
        other = replace(self, **changes)
        if self.text and other.text == self.text:
            other.__dict__["found"] = self.found
        return other


def incidents_for_list(user: User, wanted: IncidentFilter) -> IncidentQuerySet:
    """The incidents that `user` may see and the filter lets through.

    What wants an answer stands first, then what is worst, then what is new; where resolved ones are among them,
    the newest.
    """
    incidents = _narrowed(user, wanted)
    if wanted.state != UNRESOLVED:
        return incidents.order_by("-opened_at", "-pk")
    return incidents.with_severity_rank().order_by(STATUS_ORDER, "severity_rank", "-opened_at", "-pk")


def rows_of(ids: Sequence[UUID]) -> list[Incident]:
    """These incidents, in this order, with what a list says of each and no more. One query.

    Apart from finding them: to put thousands in order, they are not joined with all that fifty show.
    """
    incidents = Incident.objects.select_related("service__team", "assigned_to", "merged_into").only(*SHOWN)
    by_id = incidents.in_bulk(ids)
    return [by_id[pk] for pk in ids if pk in by_id]


@dataclass(frozen=True)
class Counts:
    """Of unresolved incidents: altogether, by status whatever the severity, by severity within the state."""

    unresolved: int
    by_status: dict[Status, int]
    by_severity: dict[Severity, int]

    def of_state(self, state: str) -> int | None:
        """How many the filter lets through in this state; None for those that are not counted here."""
        if state == UNRESOLVED:
            return self.unresolved
        return None if state == ALL else self.by_status.get(Status(state))


def counts_of(user: User, wanted: IncidentFilter) -> Counts:
    """How many unresolved incidents the filter lets through: by status whatever its state, and by severity whatever its
    severities. One query."""
    incidents = _narrowed(user, wanted.but(state=UNRESOLVED, severities=[]))
    counted = incidents.values_list("status", "severity").annotate(Count("pk")).order_by()
    by_status = dict.fromkeys(UNRESOLVED_STATUSES, 0)
    by_severity = dict.fromkeys(Severity, 0)
    for status, severity, count in counted:
        if not wanted.severities or severity in wanted.severities:
            by_status[Status(status)] += count
        if wanted.state in (UNRESOLVED, ALL, status):
            by_severity[Severity(severity)] += count
    return Counts(sum(by_status.values()), by_status, by_severity)


def merge_targets(user: User, source: Incident, text: str = "") -> IncidentQuerySet:
    """Unresolved incidents into which `user` may merge `source`, those of its service first, then the newest."""
    incidents = Incident.objects.unresolved().filter(service__team__in=teams_to_respond_for(user))
    if text:
        incidents = incidents.filter(says(text))
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
    return incidents.filter(among(wanted.found)) if wanted.text else incidents
