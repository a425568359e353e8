from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from openalert.rest.fields import InstantField
from openalert.rest.serializers import ModelSerializer, Whole
from teams import oncall, service_checks
from teams.models import (
    Layer,
    Membership,
    Override,
    Participant,
    Schedule,
    Service,
    ServiceDependency,
    Team,
    User,
)
from teams.queries import people_visible_to

from .scoping import PersonField, VisibleField

MAX_LAYERS = 20
MAX_PARTICIPANTS = 100
MAX_SHIFT_RANGE = timedelta(days=92)
DEFAULT_SHIFT_RANGE = timedelta(days=14)


class UserRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "name", "initials"]
        read_only_fields = fields


class TeamRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "name"]
        read_only_fields = fields


class ServiceRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Service
        fields = ["id", "name"]
        read_only_fields = fields


class ScheduleRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Schedule
        fields = ["id", "name"]
        read_only_fields = fields


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ["id", "name", "initials", "email", "job_title", "phone", "time_zone", "is_active"]
        read_only_fields = fields


class OwnMembershipSerializer(serializers.ModelSerializer):
    team = TeamRefSerializer(read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "team", "role"]
        read_only_fields = fields


class MeSerializer(ModelSerializer):
    memberships = OwnMembershipSerializer(many=True, read_only=True)

    class Meta:
        model = User
        fields = [
            "id", "email", "name", "initials", "job_title", "phone", "time_zone", "is_superuser", "memberships",
        ]  # fmt: skip
        read_only_fields = ["email", "is_superuser"]


class TeamSerializer(ModelSerializer):
    class Meta:
        model = Team
        fields = ["id", "name", "description", "time_zone", "created_at", "updated_at"]


class MembershipSerializer(ModelSerializer):
    team = VisibleField(queryset=Team.objects.all())
    user = PersonField()

    class Meta:
        model = Membership
        fields = ["id", "team", "user", "role", "created_at", "updated_at"]


class ServiceSerializer(ModelSerializer):
    team = VisibleField(queryset=Team.objects.all())
    warnings = serializers.SerializerMethodField(
        help_text="What is wrong with it, like that nobody would be paged. It is saved anyway."
    )

    class Meta:
        model = Service
        fields = [
            "id", "team", "name", "description", "runbook_url", "resolves_with_alerts", "warnings", "created_at",
            "updated_at",
        ]  # fmt: skip

    def get_warnings(self, service: Service) -> list[str]:
        # For all rows of a list at once.
        if not hasattr(self, "_warnings") or service.pk not in self._warnings:
            rows = self.parent.instance if self.parent else [service]
            self._warnings = service_checks.warnings_for(rows)
        return self._warnings[service.pk]


class ServiceDependencySerializer(ModelSerializer):
    """Between which services it is cannot be changed: remove it and add another."""

    service = VisibleField(queryset=Service.objects.select_related("team"))
    upstream = VisibleField(
        queryset=Service.objects.select_related("team"), help_text="What the service depends on."
    )

    class Meta:
        model = ServiceDependency
        fields = ["id", "service", "upstream", "correlation", "window_minutes", "created_at", "updated_at"]


class DependencySettingSerializer(ModelSerializer):
    class Meta(ServiceDependencySerializer.Meta):
        read_only_fields = ["service", "upstream"]


class ParticipantsField(serializers.ListField):
    """The places of a rotation as the ids of their people, looked up in one query."""

    child = serializers.UUIDField()
    default_error_messages = PersonField.default_error_messages

    def to_internal_value(self, data: Any) -> list[User]:
        ids = super().to_internal_value(data)
        people = people_visible_to(self.context["request"].user).in_bulk(ids)
        unknown = {
            place: [
                serializers.ErrorDetail(
                    self.error_messages["does_not_exist"].format(pk_value=pk), "does_not_exist"
                )
            ]
            for place, pk in enumerate(ids)
            if pk not in people
        }
        if unknown:
            raise serializers.ValidationError(unknown)
        return [people[pk] for pk in ids]

    def to_representation(self, data: Any) -> list[str]:
        return [str(participant.user_id) for participant in data.all()]


class EndsAfterStart:
    """For serializers of spans: `ends_at` comes after `starts_at`."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        starts_at, ends_at = (
            attrs.get(name, getattr(self.instance, name, None)) for name in ("starts_at", "ends_at")
        )
        if starts_at and ends_at and ends_at <= starts_at:
            raise serializers.ValidationError({"ends_at": "Must come after starts_at."}, "ends_before_start")
        return super().validate(attrs)


class LayerSerializer(Whole, EndsAfterStart, ModelSerializer):
    participants = ParticipantsField(
        max_length=MAX_PARTICIPANTS,
        help_text="People in the order of their turns; somebody may have several.",
    )

    class Meta:
        model = Layer
        fields = ["id", "name", "rotation", "turn_length", "starts_at", "ends_at", "participants"]


class ScheduleSerializer(ModelSerializer):
    """Of several layers the last one that has somebody wins. Writing `layers` replaces all of them."""

    team = VisibleField(queryset=Team.objects.all())
    layers = LayerSerializer(many=True, required=False, max_length=MAX_LAYERS)

    class Meta:
        model = Schedule
        fields = ["id", "team", "name", "description", "time_zone", "layers", "created_at", "updated_at"]

    @transaction.atomic
    def create(self, validated_data: dict[str, Any]) -> Schedule:
        layers = validated_data.pop("layers", [])
        schedule = super().create(validated_data)
        write_layers(schedule, layers)
        return schedule

    @transaction.atomic
    def update(self, instance: Schedule, validated_data: dict[str, Any]) -> Schedule:
        layers = validated_data.pop("layers", None)
        schedule = super().update(instance, validated_data)
        if layers is not None:
            schedule.layers.all().delete()
            write_layers(schedule, layers)
        return schedule


def write_layers(schedule: Schedule, layers: list[dict[str, Any]]) -> None:
    for position, values in enumerate(layers):
        people = values.pop("participants")
        layer = Layer.objects.create(schedule=schedule, position=position, **values)
        Participant.objects.bulk_create(
            Participant(layer=layer, user=user, position=place) for place, user in enumerate(people)
        )


class OverrideSerializer(EndsAfterStart, ModelSerializer):
    schedule = VisibleField(queryset=Schedule.objects.select_related("team"))
    user = PersonField()
    created_by = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Override
        fields = ["id", "schedule", "user", "starts_at", "ends_at", "created_by", "created_at", "updated_at"]


class OnCallQuerySerializer(serializers.Serializer):
    at = InstantField(required=False, help_text="Default: now.")


class OnCallSerializer(serializers.Serializer):
    """Who is on call in a schedule. The context has `at`."""

    schedule = ScheduleRefSerializer(source="*")
    team = TeamRefSerializer()
    at = serializers.SerializerMethodField()
    people = serializers.SerializerMethodField(help_text="Empty when nobody is on call.")

    def get_at(self, schedule: Schedule) -> datetime:
        return self.context["at"]

    @extend_schema_field(UserRefSerializer(many=True))
    def get_people(self, schedule: Schedule) -> Any:
        return UserRefSerializer(oncall.on_call(schedule, self.context["at"]), many=True).data


class ShiftQuerySerializer(serializers.Serializer):
    """`from` and `to`, at most 92 days apart."""

    def get_fields(self) -> dict[str, serializers.Field]:
        return {
            "from": InstantField(required=False, help_text="Default: now."),
            "to": InstantField(required=False, help_text="Default: 14 days later. At most 92 days."),
        }

    def validate(self, attrs: dict[str, datetime]) -> dict[str, datetime]:
        start = attrs.get("from", timezone.now())
        end = attrs.get("to", start + DEFAULT_SHIFT_RANGE)
        if not start < end <= start + MAX_SHIFT_RANGE:
            raise serializers.ValidationError(
                {"to": "Must come after from, by 92 days at most."}, "range_not_allowed"
            )
        return {"start": start, "end": end}


class ShiftSerializer(serializers.Serializer):
    user = UserRefSerializer()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    source = serializers.ChoiceField(["rotation", "override"])
    layer = serializers.UUIDField(source="layer.pk", allow_null=True, default=None)
    override = serializers.UUIDField(source="override.pk", allow_null=True, default=None)
