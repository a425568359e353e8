import copy
from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts import rulebook, rules
from alerts.dry_run import LIMIT
from alerts.models import Alert, HeldAlert, IntegrationRule
from incidents.enums import Severity
from openalert.rest.serializers import check
from teams.api.serializers import ServiceRefSerializer

from .places import PartOfRule
from .rule_schema import ACTIONS_SCHEMA, CONDITIONS_SCHEMA


@extend_schema_field(CONDITIONS_SCHEMA)
class ConditionsField(PartOfRule):
    read = staticmethod(rules.read_conditions)


@extend_schema_field(ACTIONS_SCHEMA)
class ActionsField(PartOfRule):
    read = staticmethod(rules.read_actions)


class RuleSerializer(serializers.ModelSerializer):
    """Without conditions it is for every alert. The context has the `integration`."""

    position = serializers.IntegerField(
        min_value=0,
        max_value=rulebook.MOST_RULES - 1,
        required=False,
        help_text="From 0. A new rule comes last unless it has one; others make room.",
    )
    conditions = ConditionsField(required=False, help_text="All of them must hold.")
    actions = ActionsField()

    class Meta:
        model = IntegrationRule
        fields = [
            "id", "position", "name", "is_enabled", "conditions", "actions", "created_at", "updated_at",
        ]  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        integration = self.context["integration"]
        candidate = copy.copy(self.instance) if self.instance else IntegrationRule(integration=integration)
        for name, value in attrs.items():
            setattr(candidate, name, value)
        # Its place is no fault of the rule's: others make room.
        check(candidate, excluded=set(rulebook.NOT_CHECKED))
        return attrs

    def create(self, validated_data: dict[str, Any]) -> IntegrationRule:
        return rulebook.add(self.context["integration"], **{"conditions": [], **validated_data})

    def update(self, instance: IntegrationRule, validated_data: dict[str, Any]) -> IntegrationRule:
        return rulebook.edit(instance.pk, **validated_data)


class OrderSerializer(serializers.Serializer):
    """All rules of the integration, in the order in which they are to be tried."""

    rules = serializers.ListField(child=serializers.UUIDField(), max_length=rulebook.MOST_RULES)


class RulesToTrySerializer(serializers.Serializer):
    rules = RuleSerializer(
        many=True,
        required=False,
        max_length=rulebook.MOST_RULES,
        help_text="What to try, in this order. Left out: the integration's rules as they are.",
    )


class EffectSerializer(serializers.Serializer):
    what = serializers.ChoiceField(["severity", "title", "grouping", "service", "hold"])
    before = serializers.CharField(allow_blank=True)
    after = serializers.CharField()


class TriedAlertSerializer(serializers.ModelSerializer):
    class Meta:
        model = Alert
        fields = ["id", "dedup_key", "title", "first_fired_at"]
        read_only_fields = fields


class TriedSerializer(serializers.Serializer):
    alert = TriedAlertSerializer()
    matched = serializers.ListField(
        child=serializers.CharField(), help_text="The names of the rules that had a say, in their order."
    )
    dropped = serializers.BooleanField()
    effects = EffectSerializer(many=True)


class DryRunSerializer(serializers.Serializer):
    total = serializers.IntegerField(help_text=f"How many alerts the rules were tried on: {LIMIT} at most.")
    dropped = serializers.IntegerField()
    changed = serializers.IntegerField(help_text="In severity, title or grouping.")
    moved = serializers.IntegerField(help_text="To another service.")
    held = serializers.IntegerField()
    untouched = serializers.IntegerField()
    tried = TriedSerializer(many=True, help_text="Those that would not be left as they are.")


class SecondsField(serializers.IntegerField):
    def to_representation(self, value: timedelta) -> int:
        return int(value.total_seconds())


class HeldAlertSerializer(serializers.ModelSerializer):
    title = serializers.CharField(source="event.title")
    severity = serializers.ChoiceField(Severity.choices, source="event.severity")
    source = serializers.CharField(source="event.source", allow_blank=True)
    labels = serializers.DictField(source="event.labels")
    metadata = serializers.DictField(source="event.metadata")
    service = ServiceRefSerializer(help_text="Where it becomes an alert.")
    wait_seconds = SecondsField(source="wait", allow_null=True, help_text="How long it has to last.")
    times = serializers.IntegerField(
        allow_null=True, help_text="How often it has to be sent within `within_seconds`."
    )
    within_seconds = SecondsField(source="within", allow_null=True)

    class Meta:
        model = HeldAlert
        fields = [
            "id", "dedup_key", "title", "severity", "source", "labels", "metadata", "service", "wait_seconds",
            "times", "within_seconds", "count", "firing_since", "last_fired_at", "due_at", "expires_at",
        ]  # fmt: skip
        read_only_fields = fields
