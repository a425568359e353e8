"""Which policy deals with an incident."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Prefetch, QuerySet
from django.utils import timezone

from incidents.enums import Severity
from incidents.models import Incident
from teams.models import Service, Team

from .exceptions import NotTheTeamsRules
from .models import EscalationPolicy, RoutingRule, StepTarget


def with_steps(policies: QuerySet[EscalationPolicy]) -> QuerySet[EscalationPolicy]:
    """With all that a snapshot needs, in three queries however many policies there are."""
    targets = StepTarget.objects.select_related("user", "schedule", "team")
    return policies.prefetch_related("steps", Prefetch("steps__targets", targets))


def policies_for(incidents: Iterable[Incident]) -> dict[UUID, EscalationPolicy]:
    """The policy in charge of each incident (service loaded), by its id; none where no rule matches."""
    incidents = list(incidents)
    rules = list(
        RoutingRule.objects.filter(team__in={i.service.team_id for i in incidents}).order_by("position")
    )
    chosen = {incident.pk: rule.policy_id for incident in incidents if (rule := first_match(rules, incident))}
    policies = with_steps(EscalationPolicy.objects.all()).in_bulk(set(chosen.values()))
    return {incident: policies[policy] for incident, policy in chosen.items()}


def policy_for(*, service: Service, severity: Severity | str) -> EscalationPolicy | None:
    """The policy that an incident of this service and severity would get."""
    incident = Incident(service=service, severity=severity)
    return policies_for([incident]).get(incident.pk)


def first_match(rules: Iterable[RoutingRule], incident: Incident) -> RoutingRule | None:
    """The first rule, in the order given, of the incident's team that takes its service and severity."""
    for rule in rules:
        if (
            rule.team_id == incident.service.team_id
            and rule.service_id in (None, incident.service_id)
            and (not rule.severities or incident.severity in rule.severities)
        ):
            return rule
    return None


def next_position(team: Team) -> int:
    """The place behind the team's last rule; locks the team, so that two new rules do not take one place."""
    Team.objects.select_for_update().get(pk=team.pk)
    last = team.routing_rules.aggregate(last=Max("position"))["last"]
    return 0 if last is None else last + 1


@transaction.atomic
def reorder(*, team: Team, rule_ids: Sequence[UUID]) -> None:
    """Try the team's rules in this order from now on. Raises NotTheTeamsRules unless all are named, once each."""
    Team.objects.select_for_update().get(pk=team.pk)
    rules = {rule.pk: rule for rule in team.routing_rules.all()}
    if sorted(rules) != sorted(rule_ids):
        raise NotTheTeamsRules(field="rules")
    now = timezone.now()
    for position, rule_id in enumerate(rule_ids):
        rules[rule_id].position, rules[rule_id].updated_at = position, now
    RoutingRule.objects.bulk_update(rules.values(), ["position", "updated_at"])
