"""The admin's first page: what needs mending in the whole installation, each line with the place where it is mended.

Nobody is told of what they may not see in the lists. The number of queries does not grow with what is found.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, Integration, IntegrationRule
from escalations import unpaged
from escalations.models import EscalationPolicy, PagingSettings, RoutingRule
from notifications import coverage_checks, dead_letters, text_samples
from notifications.models import ContactMethod, Notification, ProviderAccount
from teams import coverage
from teams.models import Schedule, Service, Team, User
from teams.standing import is_admin, sees_everything

from .admin_menu import may_see
from .admin_roles import visible

# Of each kind that many are told; there are places for the rest.
MOST = 8
AHEAD = timedelta(days=14)
# Findings of the look ahead that are told of under headings of their own.
ELSEWHERE = {"step_empty", "unreachable"}

Line = tuple[str, str]


@dataclass
class Matter:
    """Things of one kind that are wrong: the first `MOST` of them as (words, address), how many there are, the address
    of all of them, and what was not looked at."""

    title: str
    fine: str
    lines: list[Line] = field(default_factory=list)
    count: int = 0
    more: str = ""
    note: str = ""


def desk(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Unfold's callback for the first page."""
    found = list(matters(request))
    return {
        **context,
        "open_matters": [matter for matter in found if matter.count],
        "fine_matters": [matter for matter in found if not matter.count],
        "matter_count": len(found),
    }


def matters(request: HttpRequest) -> Iterator[Matter]:
    if may_see(request, Schedule):
        yield _coverage(request)
    if may_see(request, EscalationPolicy):
        yield _policies(request)
    if may_see(request, Service):
        yield _services(request)
    if may_see(request, User):
        yield _people(request)
    if may_see(request, Notification):
        yield _dead_letters(request)
    if may_see(request, ProviderAccount):
        yield _channels(request)
    if may_see(request, Integration):
        yield _silent_integrations(request)


def _coverage(request: HttpRequest) -> Matter:
    """Of the first teams by name; each team's managers are told of theirs anyway."""
    now = timezone.now()
    with_schedules = (
        visible(Team.objects.all(), request.user)
        .annotate(found=Count("schedules"))
        .filter(found__gt=0)
        .order_by("name")
    )
    count, teams = with_schedules.count(), list(with_schedules[: coverage.BATCH])
    findings = [
        finding
        for finding in coverage.check(
            teams, coverage.load(Schedule.objects.filter(team__in=teams), now), at=now
        )
        if finding.code not in ELSEWHERE and (finding.starts_at or now) < now + AHEAD
    ]
    findings.sort(key=lambda finding: (not finding.is_urgent, finding.starts_at or now))
    # Layers and overrides are changed on the schedule's own page, which opens for those who see the team.
    page = "schedule" if sees_everything(request.user) else "admin:teams_schedule_change"
    return Matter(
        f"On-call schedules, the next {AHEAD.days} days",
        f"No schedule has a gap in the next {AHEAD.days} days.",
        [_line_of(finding, page) for finding in findings[:MOST]],
        len(findings),
        reverse("on-call"),
        f"The schedules of {len(teams)} of {count} teams were looked at." if count > len(teams) else "",
    )


def _line_of(finding: coverage.Finding, page: str) -> Line:
    if finding.schedule is None:
        return f"{finding.team}: {finding.detail}", reverse("admin:teams_team_change", args=[finding.team.pk])
    zone = finding.schedule.tzinfo
    when = f"{finding.starts_at.astimezone(zone):%a %d %b, %H:%M}: " if finding.starts_at else ""
    return f"{finding.schedule}: {when}{finding.detail}", reverse(page, args=[finding.schedule.pk])


def _policies(request: HttpRequest) -> Matter:
    theirs = set(visible(EscalationPolicy.objects.all(), request.user).values_list("pk", flat=True))
    found = [policy for policy in unpaged.silent_policies(at=timezone.now()) if policy.pk in theirs]
    page = "admin:escalations_escalationpolicy_change"
    return Matter(
        "Escalation policies that reach nobody now",
        "Every escalation policy reaches somebody now.",
        [(f"{policy} ({policy.team})", reverse(page, args=[policy.pk])) for policy in found[:MOST]],
        len(found),
        reverse("admin:escalations_escalationpolicy_changelist"),
    )


def _services(request: HttpRequest) -> Matter:
    """Where a policy is in charge of some severities or hours only, the service itself says so when it is saved."""
    of_team = {"team": OuterRef("team")}
    rules = RoutingRule.objects.filter(Q(service=OuterRef("pk")) | Q(service=None), **of_team)
    found = Service.objects.annotate(
        has_rule=Exists(rules),
        has_default=Exists(PagingSettings.objects.filter(**of_team, default_policy__isnull=False)),
        is_fed=Exists(Integration.objects.filter(service=OuterRef("pk"), is_enabled=True)),
        is_chosen=Exists(
            IntegrationRule.objects.filter(
                to_service=OuterRef("pk"), is_enabled=True, integration__is_enabled=True
            )
        ),
    ).filter(Q(has_rule=False, has_default=False) | Q(is_fed=False, is_chosen=False))
    page = "service" if sees_everything(request.user) else "admin:teams_service_change"

    def words(service: Service) -> str:
        lacks = ["no policy is in charge"] if not (service.has_rule or service.has_default) else []
        lacks += [] if service.is_fed or service.is_chosen else ["no integration is switched on"]
        return f"{service}: {', and '.join(lacks)}"

    found = visible(found, request.user)
    lines = [(words(service), reverse(page, args=[service.pk])) for service in found.order_by("name")[:MOST]]
    count, all_of_them = found.count(), reverse("admin:teams_service_changelist")
    if not lines and not visible(Service.objects.all(), request.user).exists():
        start = reverse("first-steps") if is_admin(request.user) else all_of_them
        lines, count = [("There is no service yet, so nobody is paged", start)], 1
    return Matter(
        "Services without a policy or an integration",
        "Every service has a policy and an integration.",
        lines,
        count,
        all_of_them,
    )


def _people(request: HttpRequest) -> Matter:
    found = visible(coverage_checks.unreached_responders(), request.user)
    methods = reverse("admin:notifications_contactmethod_changelist")

    def place(user: User) -> str:
        if may_see(request, ContactMethod):
            return f"{methods}?user__id__exact={user.pk}"
        return reverse("admin:teams_user_change", args=[user.pk])

    return Matter(
        "People who cannot be paged",
        "Every responder has a contact method that works.",
        [(f"{user}, {user.email}", place(user)) for user in found.order_by("name", "email")[:MOST]],
        found.count(),
    )


def _dead_letters(request: HttpRequest) -> Matter:
    found = dead_letters.visible_to(request.user).select_related("user").order_by("-created_at")
    page = reverse("dead-letters")
    lines = [
        (f"{row.get_channel_display()} to {row.user or 'nobody'}: {row.last_error[:120] or 'failed'}", page)
        for row in found[:MOST]
    ]
    return Matter("Dead letters", "There are no dead letters.", lines, found.count(), page)


def _channels(request: HttpRequest) -> Matter:
    """Those whose provider fails, and those that people have chosen and that are off."""
    usable = ContactMethod.objects.filter(is_enabled=True, verified_at__isnull=False)
    used = dict(usable.order_by().values_list("channel").annotate(Count("pk")))
    accounts = reverse("admin:notifications_provideraccount_changelist")
    failing = reverse("queues") if dead_letters.may_look_after(request.user) else accounts
    off = reverse("admin:notifications_texts") if may_see(request, ContactMethod) else accounts
    lines: list[Line] = []
    for way in text_samples.ways():
        if way.trouble:
            lines.append((f"{way.channel.label}: {way.trouble[:160]}", failing))
        elif way.why_off and (count := used.get(way.channel)):
            methods = "contact method is" if count == 1 else "contact methods are"
            lines.append(
                (f"{way.channel.label}: {count} {methods} of a channel that is off. {way.why_off}", off)
            )
    return Matter("Channels that fail", "Every channel that people have chosen works.", lines, len(lines))


def _silent_integrations(request: HttpRequest) -> Matter:
    found = visible(Integration.objects.filter(is_enabled=True), request.user).exclude(
        Exists(Alert.objects.newest_of(OuterRef("pk")))
    )
    lines = [
        (str(row), reverse("admin:alerts_integration_change", args=[row.pk]))
        for row in found.order_by("name")[:MOST]
    ]
    return Matter(
        "Integrations that wait for their first alert",
        "Every integration has sent an alert.",
        lines,
        found.count(),
        reverse("admin:alerts_integration_changelist"),
    )
