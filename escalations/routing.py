"""Which policy is in charge of an incident: the first of the team's rules that takes it, else the team's default."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Prefetch, QuerySet
from django.utils import timezone

from alerts.queries import labels_of_incidents
from incidents.enums import Severity
from incidents.models import Incident
from openalert import audit
from teams.models import Service, Team

from . import hours
from .exceptions import NotTheTeamsRules
from .models import EscalationPolicy, PagingSettings, RoutingRule, StepTarget

Labels = Mapping[str, str]
# Of each incident, those of its alerts, by the incident's id.
LabelsOf = Mapping[UUID, Sequence[Labels]]


class Choice(NamedTuple):
    """Why a policy is in charge: by a rule, or as the team's default."""

    policy: EscalationPolicy
    rule: RoutingRule | None


def with_steps(policies: QuerySet[EscalationPolicy]) -> QuerySet[EscalationPolicy]:
    """With all that a snapshot needs, in three queries however many policies there are."""
    targets = StepTarget.objects.select_related("user", "schedule", "team")
    return policies.prefetch_related("steps", Prefetch("steps__targets", targets))


def choices_for(
    incidents: Iterable[Incident], *, at: datetime, labels: LabelsOf | None = None
) -> dict[UUID, Choice]:
    """What is in charge of each incident (service loaded) at an instant, by its id; none where nothing is.

    `labels` are those of the incidents' alerts. Without it they are read, of the first alerts of each.
    """
    incidents = list(incidents)
    teams = {incident.service.team_id for incident in incidents}
    rules = list(RoutingRule.objects.filter(team__in=teams).select_related("team").order_by("position"))
    if labels is None:
        named = {rule.team_id for rule in rules if rule.labels}
        labels = labels_of_incidents([i.pk for i in incidents if i.service.team_id in named]) if named else {}
    by_rule = {
        incident.pk: rule
        for incident in incidents
        if (rule := first_match(rules, incident, at=at, labels=labels.get(incident.pk, ())))
    }
    rest = {i.service.team_id for i in incidents if i.pk not in by_rule}
    defaults = dict(
        PagingSettings.objects.filter(team__in=rest, default_policy__isnull=False).values_list(
            "team_id", "default_policy_id"
        )
        if rest
        else ()
    )
    policies = with_steps(EscalationPolicy.objects.all()).in_bulk(
        {rule.policy_id for rule in by_rule.values()} | set(defaults.values())
    )
    chosen = {
        pk: Choice(policies[rule.policy_id], rule)
        for pk, rule in by_rule.items()
        if rule.policy_id in policies
    }
    for incident in incidents:
        default = defaults.get(incident.service.team_id)
        if incident.pk not in chosen and default in policies:
            chosen[incident.pk] = Choice(policies[default], None)
    return chosen


def policies_for(
    incidents: Iterable[Incident], *, at: datetime | None = None, labels: LabelsOf | None = None
) -> dict[UUID, EscalationPolicy]:
    """The policy in charge of each incident (service loaded), by its id; none where nobody is paged."""
    chosen = choices_for(incidents, at=at or timezone.now(), labels=labels)
    return {pk: choice.policy for pk, choice in chosen.items()}


def policy_for(*, service: Service, severity: Severity | str) -> EscalationPolicy | None:
    """The policy that an incident of this service and severity would get now."""
    incident = Incident(service=service, severity=severity)
    return policies_for([incident], labels={}).get(incident.pk)


def first_match(
    rules: Iterable[RoutingRule], incident: Incident, *, at: datetime, labels: Sequence[Labels] = ()
) -> RoutingRule | None:
    """The first rule, in the order given, of the incident's team that takes it as it is."""
    for rule in rules:
        if (
            rule.team_id == incident.service.team_id
            and rule.service_id in (None, incident.service_id)
            and (not rule.severities or incident.severity in rule.severities)
            and _has_labels(rule.labels, labels)
            and (not rule.hours or hours.read(rule.hours).covers(at, rule.tzinfo))
        ):
            return rule
    return None


def _has_labels(wanted: Labels, labels: Sequence[Labels]) -> bool:
    """Each label is one of some alert's: of several alerts, it need not be the same one."""
    return all(
        any(found.get(name) == value if value else name in found for found in labels)
        for name, value in wanted.items()
    )


def next_position(team: Team) -> int:
    """The place behind the team's last rule; locks the team, so that two new rules do not take one place."""
    Team.objects.select_for_update().get(pk=team.pk)
    last = team.routing_rules.aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


@transaction.atomic
def save_rule(rule: RoutingRule) -> RoutingRule:
    """Save a rule, validated before; a new one comes last."""
    if rule._state.adding:
        rule.position = next_position(rule.team)
    rule.save()
    return rule


@transaction.atomic
def move(*, rule_id: UUID, by: int) -> None:
    """Try a rule so many places later, or earlier when it is negative; at the ends it stays.

    Raises RoutingRule.DoesNotExist.
    """
    rule = RoutingRule.objects.select_related("team").get(pk=rule_id)
    Team.objects.select_for_update().get(pk=rule.team_id)
    order = list(rule.team.routing_rules.order_by("position").values_list("pk", flat=True))
    place = order.index(rule_id)
    order.insert(min(max(place + by, 0), len(order) - 1), order.pop(place))
    reorder(team=rule.team, rule_ids=order)


@transaction.atomic
def reorder(*, team: Team, rule_ids: Sequence[UUID]) -> None:
    """Try the team's rules in this order from now on. Raises NotTheTeamsRules unless all are named, once each."""
    Team.objects.select_for_update().get(pk=team.pk)
    rules = {rule.pk: rule for rule in team.routing_rules.all()}
    if sorted(rules) != sorted(rule_ids):
        raise NotTheTeamsRules(field="rules")
    now = timezone.now()
    before = {rule_id: copy(rule) for rule_id, rule in rules.items()}
    for position, rule_id in enumerate(rule_ids):
        rules[rule_id].position, rules[rule_id].updated_at = position, now
    RoutingRule.objects.bulk_update(rules.values(), ["position", "updated_at"])
    audit.changed_all((before[rule_id], rule) for rule_id, rule in rules.items())
