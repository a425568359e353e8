"""The admin's first page: what needs mending in the whole installation, each line with the place where it is mended."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, Integration
from escalations.models import EscalationPolicy, StepTarget
from notifications import dead_letters
from notifications.models import ContactMethod, Notification, ProviderAccount
from openalert.admin_roles import may, visible
from teams import coverage
from teams.models import Schedule, Team, User

MOST = 10


@dataclass
class Matter:
    """Things of one kind that are wrong: the first `MOST` of them as (words, address), how many there are, and all of them."""

    title: str
    fine: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    count: int = 0
    more: str = ""


def desk(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback. Nobody is told of what they may not see in the lists."""
    return {**context, "matters": list(matters(request.user))}


def matters(user: User) -> Iterator[Matter]:
    """In a number of queries that does not grow with what is found."""
    if may(user, "view", Schedule):
        yield _coverage(user)
    if may(user, "view", Integration):
        found = visible(Integration.objects.filter(is_enabled=True).select_related("service"), user)
        yield _rows(
            "Integrations that wait for their first alert",
            "Every integration has sent something.",
            found.exclude(Exists(Alert.objects.filter(integration=OuterRef("pk")))).order_by("name"),
            "admin:alerts_integration_change",
        )
    if may(user, "view", User):
        usable = ContactMethod.objects.filter(
            user=OuterRef("pk"), is_enabled=True, verified_at__isnull=False, broken_at__isnull=True
        )
        found = visible(User.objects.filter(is_active=True, memberships__isnull=False).distinct(), user)
        yield _rows(
            "Members of teams without a verified contact method",
            "Every member of a team can be reached.",
            found.exclude(Exists(usable)).order_by("name", "email"),
            "admin:teams_user_change",
        )
    if may(user, "view", EscalationPolicy):
        targets = StepTarget.objects.filter(step__policy=OuterRef("pk"))
        yield _rows(
            "Escalation policies that page nobody",
            "Every policy has a step with somebody to page.",
            visible(EscalationPolicy.objects.exclude(Exists(targets)).order_by("name"), user),
            "admin:escalations_escalationpolicy_change",
        )
    if may(user, "view", Notification):
        yield _dead_letters(user)
    if may(user, "view", ProviderAccount):
        yield _accounts()


def _rows(title: str, fine: str, rows: QuerySet, page: str) -> Matter:
    lines = [(str(row), reverse(page, args=[row.pk])) for row in rows[:MOST]]
    return Matter(title, fine, lines, rows.count())


def _coverage(user: User) -> Matter:
    """Of the first teams by name; each team's managers are told of theirs anyway."""
    now = timezone.now()
    with_schedules = (
        visible(Team.objects.all(), user)
        .annotate(found=Count("schedules"))
        .filter(found__gt=0)
        .order_by("name")
    )
    count, teams = with_schedules.count(), list(with_schedules[: coverage.BATCH])
    findings = coverage.check(teams, coverage.load(Schedule.objects.filter(team__in=teams), now), at=now)
    findings.sort(key=lambda finding: (not finding.is_urgent, finding.starts_at or now))
    seen = f"Looked at {len(teams)} of {count} teams. " if count > len(teams) else ""
    title = f"On-call coverage of the next {coverage.HORIZON.days} days"
    return Matter(
        title,
        f"{seen}No gaps.",
        [(_told(finding), _place(finding)) for finding in findings[:MOST]],
        len(findings),
        reverse("on-call"),
    )


def _told(finding: coverage.Finding) -> str:
    zone = finding.schedule.tzinfo if finding.schedule else timezone.get_current_timezone()
    when = f"{finding.starts_at.astimezone(zone):%a %d %b, %H:%M}: " if finding.starts_at else ""
    return f"{finding.schedule or finding.team}: {when}{finding.detail}"


def _place(finding: coverage.Finding) -> str:
    if finding.schedule:
        return reverse("schedule", args=[finding.schedule.pk])
    if finding.user:
        return reverse("admin:teams_user_change", args=[finding.user.pk])
    return reverse("admin:teams_team_change", args=[finding.team.pk])


def _dead_letters(user: User) -> Matter:
    found = dead_letters.visible_to(user).select_related("user", "incident").order_by("-created_at")
    page = reverse("dead-letters")
    lines = [
        (f"{row.get_channel_display()} to {row.user or 'nobody'}: {row.last_error[:120] or 'failed'}", page)
        for row in found[:MOST]
    ]
    return Matter("Dead letters", "Nothing failed for good.", lines, found.count(), page)


def _accounts() -> Matter:
    found = ProviderAccount.objects.filter(failures__gt=0).order_by("name")
    page = reverse("queues")
    lines = [
        (f"{row}: {row.failures} failures in a row. {row.last_error[:120]}", page) for row in found[:MOST]
    ]
    return Matter("Failing provider accounts", "Every provider answers.", lines, found.count(), page)
