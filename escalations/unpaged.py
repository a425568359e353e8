"""Services whose incidents would page nobody: told whenever a service is saved."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from incidents.enums import SEVERITIES, Severity
from openalert.words import listed
from teams import service_checks
from teams.models import Service

from . import hours
from .models import EscalationPolicy, PagingSettings, RoutingRule
from .preview import imagined
from .routing import first_match, with_steps
from .snapshot import of_policy
from .targets import Targets


def connect() -> None:
    service_checks.checks.append(unpaged)


def unpaged(services: Sequence[Service]) -> dict[UUID, list[str]]:
    """For which severities nobody would be paged, in the coming week, by an alert without labels.

    Whether a policy reaches somebody is looked at as of now.
    """
    now = timezone.now()
    teams = {service.team_id for service in services}
    rules = list(RoutingRule.objects.filter(team__in=teams).select_related("team").order_by("position"))
    defaults = dict(PagingSettings.objects.filter(team__in=teams).values_list("team_id", "default_policy_id"))
    wanted = {rule.policy_id for rule in rules} | set(defaults.values()) - {None}
    policies = with_steps(EscalationPolicy.objects.all()).in_bulk(wanted)
    reaching = _reaching(policies.values(), at=now)
    instants = _instants(rules, now)
    found: dict[UUID, list[str]] = {}
    for service in services:
        default = defaults.get(service.team_id)
        uncovered: list[Severity] = []
        silent: dict[UUID, list[Severity]] = {}
        for severity in SEVERITIES:
            incident = imagined(service, severity, at=now)
            matches = [first_match(rules, incident, at=at) for at in instants]
            chosen = {rule.policy_id if rule else default for rule in matches}
            if None in chosen:
                uncovered.append(severity)
            for policy in chosen - reaching:
                if policy is not None:
                    silent.setdefault(policy, []).append(severity)
        words = []
        if uncovered:
            always = len(instants) == 1
            words.append(
                f"Nobody would be paged for {_named(uncovered)} incidents{'' if always else ' at some hours'}: "
                "no routing rule takes them, and the team has no default policy."
            )
        words += [
            f"Nobody would be paged for {_named(severities)} incidents: the policy “{policies[policy]}” reaches nobody."
            for policy, severities in silent.items()
            if policy in policies
        ]
        if words:
            found[service.pk] = words
    return found


def silent_policies(*, at: datetime) -> list[EscalationPolicy]:
    """Those of all teams that would page nobody at an instant, by name with their teams; a fixed number of queries."""
    policies = list(with_steps(EscalationPolicy.objects.select_related("team").order_by("name")))
    reaching = _reaching(policies, at=at)
    return [policy for policy in policies if policy.pk not in reaching]


def _reaching(policies: Iterable[EscalationPolicy], *, at: datetime) -> set[UUID | None]:
    """The ids of those that would page somebody."""
    snapshots = {policy.pk: of_policy(policy) for policy in policies}
    targets = Targets(snapshots.values())
    return {
        pk
        for pk, snapshot in snapshots.items()
        if any(targets.people(step, at=at) for step in snapshot["steps"])
    }


def _instants(rules: Iterable[RoutingRule], now: datetime) -> list[datetime]:
    """Now, and all instants of the coming week at which another rule may match."""
    edges = {now}
    for rule in rules:
        if rule.hours:
            window = hours.read(rule.hours)
            edges |= {edge for edge in window.edges(now, rule.tzinfo) if edge > now}
    return sorted(edges)


def _named(severities: Sequence[Severity]) -> str:
    if len(severities) == len(SEVERITIES):
        return "any"
    return listed([severity.label.lower() for severity in severities])
