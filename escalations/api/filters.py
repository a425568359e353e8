import django_filters as filters

from escalations.enums import RunStatus
from escalations.models import EscalationPolicy, EscalationRun, RoutingRule


class PolicyFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")

    class Meta:
        model = EscalationPolicy
        fields = ["team"]


class RoutingRuleFilter(filters.FilterSet):
    team = filters.UUIDFilter(field_name="team_id")
    service = filters.UUIDFilter(field_name="service_id")
    policy = filters.UUIDFilter(field_name="policy_id")

    class Meta:
        model = RoutingRule
        fields = ["team", "service", "policy"]


class RunFilter(filters.FilterSet):
    status = filters.MultipleChoiceFilter(choices=RunStatus.choices)
    incident = filters.UUIDFilter(field_name="incident_id")
    policy = filters.UUIDFilter(field_name="policy_id")
    team = filters.UUIDFilter(field_name="incident__service__team_id")

    class Meta:
        model = EscalationRun
        fields = ["status", "incident", "policy", "team"]
