from typing import Any

from django.db import transaction
from rest_framework import serializers

from escalations import policies, routing, team_settings
from escalations.enums import TargetKind, WaitReason
from escalations.hours import WEEKDAYS
from escalations.models import (
    EscalationPolicy,
    EscalationRun,
    EscalationStep,
    PagingSettings,
    RoutingRule,
)
from escalations.models.routing import MAX_LABEL
from incidents.api.serializers import IncidentRefSerializer
from incidents.enums import Severity
from notifications.enums import Channel
from openalert.rest.fields import InstantField
from openalert.rest.serializers import ModelSerializer, Whole
from teams.api.scoping import PersonField, VisibleField
from teams.api.serializers import UserRefSerializer
from teams.models import Schedule, Service, Team
from teams.queries import people_visible_to

MAX_STEPS = 20
MAX_TARGETS = 20
LABEL = r"^[^=\0]+=[^\0]*\Z"
CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"


class TargetSerializer(Whole, serializers.Serializer):
    """Whom a step pages: `id` is a person's, a schedule's (whoever is on call, or its people in turn, one each time),
    or a team's (everybody, or its managers)."""

    kind = serializers.ChoiceField(TargetKind.choices)
    id = serializers.UUIDField(source="target.pk")
    name = serializers.CharField(source="target", read_only=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        kind, pk = attrs["kind"], attrs["target"]["pk"]
        asker = self.context["request"].user
        field = TargetKind(kind).field
        choices = {
            "user": people_visible_to,
            "schedule": Schedule.objects.visible_to,
            "team": Team.objects.visible_to,
        }
        target = choices[field](asker).filter(pk=pk).first()
        if target is None:
            raise serializers.ValidationError(
                {"id": f'Invalid pk "{pk}" - object does not exist.'}, "does_not_exist"
            )
        return {"kind": kind, field: target}


class StepSerializer(Whole, serializers.ModelSerializer):
    targets = TargetSerializer(many=True, allow_empty=False, max_length=MAX_TARGETS)

    class Meta:
        model = EscalationStep
        fields = ["id", "delay_seconds", "targets"]

    def validate_targets(self, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        named = {(target["kind"], target[TargetKind(target["kind"]).field].pk) for target in targets}
        if len(named) < len(targets):
            raise serializers.ValidationError("Name each target once.", "unique")
        return targets


class PolicySerializer(ModelSerializer):
    """Steps are carried out in their order. Writing `steps` replaces all of them; running escalations go on."""

    team = VisibleField(queryset=Team.objects.all())
    steps = StepSerializer(many=True, required=False, max_length=MAX_STEPS)

    class Meta:
        model = EscalationPolicy
        fields = [
            "id", "team", "name", "description", "repeat_count", "acknowledge_timeout_minutes", "steps", "created_at",
            "updated_at",
        ]  # fmt: skip

    def create(self, validated_data: dict[str, Any]) -> EscalationPolicy:
        steps = validated_data.pop("steps", [])
        return policies.save_policy(EscalationPolicy(**validated_data), steps=new_steps(steps))

    def update(self, instance: EscalationPolicy, validated_data: dict[str, Any]) -> EscalationPolicy:
        steps = validated_data.pop("steps", None)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return policies.save_policy(instance, steps=None if steps is None else new_steps(steps))


def new_steps(steps: list[dict[str, Any]]) -> list[policies.NewStep]:
    return [
        policies.NewStep(
            values.get("delay_seconds", EscalationStep._meta.get_field("delay_seconds").default),
            [
                policies.NewTarget(TargetKind(target["kind"]), target[TargetKind(target["kind"]).field])
                for target in values["targets"]
            ],
        )
        for values in steps
    ]


class DayHoursSerializer(Whole, serializers.Serializer):
    """Times on local clocks, the first included, the second not; `until` before `from` is a night."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {
            "from": serializers.RegexField(CLOCK, max_length=5, help_text="Like 09:00."),
            "until": serializers.RegexField(CLOCK, max_length=5, help_text="Like 17:00."),
        }


class HoursSerializer(DayHoursSerializer):
    """Times on local clocks of some days; a night belongs to the day on which it begins."""

    def get_fields(self) -> dict[str, serializers.Field]:
        weekdays = serializers.ListField(
            child=serializers.ChoiceField(WEEKDAYS),
            required=False,
            max_length=len(WEEKDAYS),
            help_text="Empty: every day.",
        )
        return {**super().get_fields(), "weekdays": weekdays}


class WorkingHoursSerializer(serializers.Serializer):
    """By weekday; nobody works on those that are left out."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {day: DayHoursSerializer(required=False) for day in WEEKDAYS}


class PagingSettingsSerializer(ModelSerializer):
    """What a team has decided about paging."""

    team = serializers.UUIDField(source="team_id", read_only=True)
    default_policy = VisibleField(
        queryset=EscalationPolicy.objects.all(),
        required=False,
        allow_null=True,
        help_text="Of the team itself. It is in charge of every incident that no routing rule takes.",
    )
    working_hours = WorkingHoursSerializer(required=False)

    class Meta:
        model = PagingSettings
        fields = ["team", "default_policy", "low_urgency_waits", "working_hours", "time_zone"]

    def update(self, instance: PagingSettings, validated_data: dict[str, Any]) -> PagingSettings:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        return team_settings.write(instance)


class RoutingRuleSerializer(ModelSerializer):
    """A new rule comes last; POST …/reorder moves rules. All that a rule names has to hold.

    Labels are those of the incident's alerts: of the alerts that open it, and of those that it has when it gets worse or
    is opened again.
    """

    team = VisibleField(queryset=Team.objects.all())
    service = VisibleField(queryset=Service.objects.all(), allow_null=True, required=False)
    policy = VisibleField(queryset=EscalationPolicy.objects.all())
    severities = serializers.ListField(
        child=serializers.ChoiceField(Severity.choices),
        required=False,
        max_length=len(Severity),
        help_text="Empty: any severity.",
    )

    labels = serializers.DictField(
        child=serializers.CharField(max_length=MAX_LABEL, allow_blank=True),
        required=False,
        help_text="An empty value is any value.",
    )
    hours = HoursSerializer(required=False, allow_null=True, help_text="Null: at any time.")

    class Meta:
        model = RoutingRule
        fields = [
            "id", "team", "position", "service", "severities", "labels", "hours", "time_zone", "policy", "created_at",
            "updated_at",
        ]  # fmt: skip
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
    acknowledge_timeout_seconds = serializers.IntegerField(allow_null=True, default=None)
    steps = SnapshotStepSerializer(many=True)


class RunSerializer(serializers.ModelSerializer):
    """`loop` and `step`, from 0, name the step that `due_at` will carry out.

    `resumes_at` is when the acknowledgement that stopped it runs out, and paging goes on.
    """

    incident = IncidentRefSerializer()
    snapshot = SnapshotSerializer()
    waits_for = serializers.CharField(
        source="wait_reason",
        allow_null=True,
        help_text="Why nobody is paged for now: maintenance or working_hours.",
    )

    class Meta:
        model = EscalationRun
        fields = [
            "id", "incident", "policy", "status", "loop", "step", "due_at", "waits_for", "waits_until", "resumes_at",
            "is_by_hand", "ended_at", "end_reason", "snapshot", "created_at",
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


class PreviewQuerySerializer(serializers.Serializer):
    severity = serializers.ChoiceField(Severity.choices, default=Severity.CRITICAL)
    at = InstantField(required=False, help_text="When the alert fires. Default: now.")
    label = serializers.ListField(
        child=serializers.RegexField(LABEL, max_length=2 * MAX_LABEL + 1),
        required=False,
        max_length=20,
        help_text="A label of the alert, like env=prod; may be given several times.",
    )

    def validate_label(self, labels: list[str]) -> dict[str, str]:
        return dict(label.split("=", 1) for label in labels)


class PreviewWaySerializer(serializers.Serializer):
    channel = serializers.ChoiceField(Channel.choices)
    delay_seconds = serializers.IntegerField(help_text="After the step.")


class PreviewPersonSerializer(serializers.Serializer):
    user = UserRefSerializer()
    ways = PreviewWaySerializer(many=True, help_text="Empty: all contact methods are switched off.")


class PreviewStepSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    loop = serializers.IntegerField()
    step = serializers.IntegerField(source="number")
    targets = serializers.ListField(child=serializers.CharField())
    people = PreviewPersonSerializer(many=True, help_text="Empty: the step reaches nobody.")


class PreviewWaitSerializer(serializers.Serializer):
    """Until then nobody is paged."""

    at = serializers.DateTimeField()
    reason = serializers.ChoiceField(WaitReason.choices, source="wait.reason")
    until = serializers.DateTimeField(source="wait.until")


class PreviewSerializer(serializers.Serializer):
    """What would happen if nobody answered. Without a policy, nobody is paged."""

    service = serializers.UUIDField(source="service.pk")
    severity = serializers.ChoiceField(Severity.choices)
    at = serializers.DateTimeField()
    policy = serializers.UUIDField(source="policy.pk", allow_null=True, default=None)
    rule = serializers.UUIDField(
        source="rule.pk", allow_null=True, default=None, help_text="Null: the team's default policy, or none."
    )
    waits = PreviewWaitSerializer(many=True)
    steps = PreviewStepSerializer(many=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    managers = UserRefSerializer(many=True, help_text="Who is told at the end that nobody has answered.")
