"""Services as their managers make and change them: what they are, what they need, and which policy is in charge.

It stands in this app as it writes what several apps own. A service's policy is a routing rule that asks for nothing
but the service, before the team's rules for any service.
"""

from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, transaction

from teams import dependencies
from teams.access import require_manage
from teams.enums import Correlation
from teams.models import USUAL_WINDOW_MINUTES, Service, Team, User

from . import routing
from .exceptions import NotTheTeamsPolicy, ServiceNameTaken
from .models import EscalationPolicy, RoutingRule


def create_service(
    *,
    team: Team,
    name: str,
    description: str = "",
    runbook_url: str = "",
    resolves_with_alerts: bool = True,
    upstreams: Iterable[Service] = (),
    policy: EscalationPolicy | None = None,
    by: User,
) -> Service:
    """All of it or nothing.

    Raises PermissionMissing, ServiceNameTaken, NotTheTeamsPolicy, and what teams.dependencies raises.
    """
    require_manage(by, team)
    service = Service(
        team=team,
        name=name,
        description=description,
        runbook_url=runbook_url,
        resolves_with_alerts=resolves_with_alerts,
    )
    return _write(service, upstreams, policy, by)


@transaction.atomic
def change_service(
    *,
    service_id: UUID,
    name: str,
    description: str,
    runbook_url: str,
    resolves_with_alerts: bool,
    upstreams: Iterable[Service],
    policy: EscalationPolicy | None,
    by: User,
) -> Service:
    """What it depends on that `by` may not see stays as it is. Repeating it changes nothing.

    Raises Service.DoesNotExist, and what `create_service` raises.
    """
    service = (
        Service.objects.select_for_update(of=("self",), no_key=True).select_related("team").get(pk=service_id)
    )
    require_manage(by, service.team)
    service.name, service.description, service.runbook_url = name, description, runbook_url
    service.resolves_with_alerts = resolves_with_alerts
    return _write(service, upstreams, policy, by)


def own_rule(service: Service) -> RoutingRule | None:
    """The rule by which the service's policy is in charge at any time, for any severity and labels."""
    return (
        RoutingRule.objects.filter(service=service, severities=[], labels={}, hours__isnull=True)
        .select_related("policy")
        .order_by("position")
        .first()
    )


@transaction.atomic
def _write(
    service: Service, upstreams: Iterable[Service], policy: EscalationPolicy | None, by: User
) -> Service:
    try:
        with transaction.atomic():
            service.save()
    except IntegrityError as error:
        if "service_name_unique_in_team" not in str(error):
            raise
        raise ServiceNameTaken(field="name") from error
    _set_upstreams(service, {upstream.pk: upstream for upstream in upstreams}, by)
    _set_policy(service, policy)
    return service


def _set_upstreams(service: Service, wanted: dict[UUID, Service], by: User) -> None:
    seen = Service.objects.visible_to(by)
    there = service.dependencies.filter(upstream__in=seen).select_related("service__team", "upstream__team")
    present = {dependency.upstream_id: dependency for dependency in there}
    for upstream_id, dependency in present.items():
        if upstream_id not in wanted:
            dependencies.remove_dependency(dependency=dependency, by=by)
    for upstream_id, upstream in wanted.items():
        if upstream_id not in present:
            dependencies.add_dependency(
                service=service,
                upstream=upstream,
                correlation=Correlation.SUGGEST,
                window_minutes=USUAL_WINDOW_MINUTES,
                by=by,
            )


def _set_policy(service: Service, policy: EscalationPolicy | None) -> None:
    if policy and policy.team_id != service.team_id:
        raise NotTheTeamsPolicy(field="policy")
    rule = own_rule(service)
    if policy is None:
        if rule:
            rule.delete()
    elif rule:
        if rule.policy_id != policy.pk:
            rule.policy = policy
            rule.save()
    else:
        added = routing.save_rule(RoutingRule(team=service.team, service=service, policy=policy))
        rules = list(service.team.routing_rules.order_by("position"))
        place = next((n for n, other in enumerate(rules) if other.service_id is None), None)
        if place is not None:
            routing.move(rule_id=added.pk, by=place - (len(rules) - 1))
