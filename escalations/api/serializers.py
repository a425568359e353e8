from typing import Any

from django.db import transaction
from rest_framework import serializers

from escalations import routing
from escalations.enums import TargetKind
from escalations.models import EscalationPolicy, EscalationRun, EscalationStep, RoutingRule, StepTarget
from incidents.api.serializers import IncidentRefSerializer
from incidents.enums import Severity
from openalert.rest.serializers import ModelSerializer, Whole
from teams.api.scoping import PersonField, VisibleField
from teams.api.serializers import UserRefSerializer
from teams.models import Schedule, Service, Team
from teams.queries import people_visible_to

MAX_STEPS = 20
MAX_TARGETS = 20


class TargetSerializer(Whole, serializers.Serializer):
    """Whom a step pages: a person, whoever is on call in a schedule, or a whole team."""

    kind = serializers.ChoiceField(TargetKind.choices)
    id = serializers.UUIDField(source="target.pk")
    name = serializers.CharField(source="target", read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind, pk = attrs["kind"], attrs["target"]["pk"]
        asker = self.context["request"].user
        choices = {
            TargetKind.USER: people_visible_to,
            TargetKind.SCHEDULE: Schedule.objects.visible_to,
            TargetKind.TEAM: Team.objects.visible_to,
        }
        target = choices[kind](asker).filter(pk=pk).first()
        if target is None:
            raise serializers.ValidationError(
                {"id": f'Invalid pk "{pk}" - object does not exist.'}, "does_not_exist"
            )
        return {"kind": kind, kind: target}


class StepSerializer(Whole, serializers.ModelSerializer):
    targets = TargetSerializer(many=True, allow_empty=False, max_length=MAX_TARGETS)

    class Meta:
        model = EscalationStep
        fields = ["id", "delay_minutes", "targets"]

    def validate_targets(self, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len({(target["kind"], target[target["kind"]].pk) for target in targets}) < len(targets):
            raise serializers.ValidationError("Name each target once.", "unique")
        return targets


class PolicySerializer(ModelSerializer):
    """Steps are carried out in their order. Writing `steps` replaces all of them; running escalations go on."""

    team = VisibleField(queryset=Team.objects.all())
    steps = StepSerializer(many=True, required=False, max_length=MAX_STEPS)

    class Meta:
        model = EscalationPolicy
        fields = ["id", "team", "name", "description", "repeat_count", "steps", "created_at", "updated_at"]

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> EscalationPolicy:
        steps = validated_data.pop("steps", [])
        policy = super().create(validated_data)
        write_steps(policy, steps)
        return policy

    @transaction.atomic
    def update(self, instance: EscalationPolicy, validated_data: dict[str, Any]) -> EscalationPolicy:
        steps = validated_data.pop("steps", None)
        policy = super().update(instance, validated_data)
        if steps is not None:
            policy.steps.all().delete()
            write_steps(policy, steps)
        return policy


def write_steps(policy: EscalationPolicy, steps: list[dict[str, Any]]) -> None:
    for position, values in enumerate(steps):
        targets = values.pop("targets")
        step = EscalationStep.objects.create(policy=policy, position=position, **values)
        StepTarget.objects.bulk_create(StepTarget(step=step, **target) for target in targets)


class RoutingRuleSerializer(ModelSerializer):
    """A new rule comes last; POST …/reorder moves rules."""

    team = VisibleField(queryset=Team.objects.all())
    service = VisibleField(queryset=Service.objects.all(), allow_null=True, required=False)
    policy = VisibleField(queryset=EscalationPolicy.objects.all())
    severities = serializers.ListField(
        child=serializers.ChoiceField(Severity.choices),
        required=False,
        max_length=len(Severity),
        help_text="Empty: any severity.",
    )

    class Meta:
        model = RoutingRule
        fields = ["id", "team", "position", "service", "severities", "policy", "created_at", "updated_at"]
        read_only_fields = ["position"]

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> RoutingRule:
        return super().create({**validated_data, "position": routing.next_position(validated_data["team"])})

    @transaction.atomic
    def update(self, instance: RoutingRule, validated_data: dict[str, Any]) -> RoutingRule:
        team = validated_data.get("team", instance.team)
        if team.pk != instance.team_id:
            validated_data["position"] = routing.next_position(team)
        return super().update(instance, validated_data)


class ReorderSerializer(serializers.Serializer):
    """All rules of a team, in the order in which they are to be tried."""

    team = VisibleField(queryset=Team.objects.all())
    rules = serializers.ListField(child=serializers.UUIDField(), max_length=1000)


class SnapshotTargetSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(TargetKind.choices)
    id = serializers.UUIDField()
    name = serializers.CharField()


class SnapshotStepSerializer(serializers.Serializer):
    delay_seconds = serializers.IntegerField()
    targets = SnapshotTargetSerializer(many=True)


class SnapshotSerializer(serializers.Serializer):
    """The policy as it was when the run began."""

    policy = serializers.CharField()
    repeat = serializers.IntegerField()
    steps = SnapshotStepSerializer(many=True)


class RunSerializer(serializers.ModelSerializer):
    """`loop` and `step`, from 0, name the step that `due_at` will carry out."""

    incident = IncidentRefSerializer()
    snapshot = SnapshotSerializer()

    class Meta:
        model = EscalationRun
        fields = [
            "id", "incident", "policy", "status", "loop", "step", "due_at", "ended_at", "end_reason", "snapshot",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class UpcomingStepSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    loop = serializers.IntegerField()
    step = serializers.IntegerField()
    people = UserRefSerializer(many=True, help_text="Who is on call then, by the schedules as they are now.")
    targets = serializers.ListField(child=serializers.CharField())


class EscalationSerializer(serializers.Serializer):
    run = RunSerializer(allow_null=True, help_text="The latest; null when there never was one.")
    upcoming = UpcomingStepSerializer(many=True)


class ReassignSerializer(serializers.Serializer):
    """Either `user` or `policy`."""

    user = PersonField(required=False)
    policy = VisibleField(queryset=EscalationPolicy.objects.all(), required=False)
