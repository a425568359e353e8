from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from openalert.rest.fields import InstantField
from openalert.rest.serializers import ModelSerializer, Whole
from teams import oncall, rotations, service_checks
from teams.access import teams_to_manage
from teams.calendars import check_calendar_url
from teams.models import (
    Layer,
    Membership,
    Override,
    Schedule,
    Service,
    ServiceDependency,
    Team,
    User,
)
from teams.queries import people_visible_to, with_rotation
from teams.windows import TIME, check_windows

from .scoping import PersonField, VisibleField

MAX_LAYERS = 20
MAX_PARTICIPANTS = 100
MAX_TOGETHER = 10
SHIFT_SOURCES = ["rotation", "calendar", "override", "fallback"]
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


@extend_schema_field(
    {
        "type": "array",
        "maxItems": MAX_PARTICIPANTS,
        "items": {
            "oneOf": [
                {"type": "string", "format": "uuid"},
                {"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": MAX_TOGETHER},
            ]
        },
    }
)
class ParticipantsField(serializers.Field):
    """The places of a rotation: the id of a person, or a list of those who are on together. Looked up in one query."""

    default_error_messages = {
        **PersonField.default_error_messages,
        "not_a_list": "Give a list of people's ids; those who are on call together, in a list of their own.",
        "max_length": "At most {most}.",
        "invalid": "“{value}” is not an id.",
    }

    def to_internal_value(self, data: Any) -> list[list[User]]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if len(data) > MAX_PARTICIPANTS:
            self.fail("max_length", most=MAX_PARTICIPANTS)
        faults: dict[int, list[Any]] = {}
        places: list[list[UUID]] = []
        for number, place in enumerate(data):
            try:
                places.append([self._id(one) for one in (place if isinstance(place, list) else [place])])
                if len(places[-1]) > MAX_TOGETHER:
                    self.fail("max_length", most=MAX_TOGETHER)
            except serializers.ValidationError as error:
                faults[number] = error.detail
                places.append([])
        asker = self.context["request"].user
        people = people_visible_to(asker).in_bulk({pk for place in places for pk in place})
        for number, place in enumerate(places):
            if unknown := next((pk for pk in place if pk not in people), None):
                words = self.error_messages["does_not_exist"].format(pk_value=unknown)
                faults[number] = [serializers.ErrorDetail(words, "does_not_exist")]
        if faults:
            raise serializers.ValidationError(faults)
        return [[people[pk] for pk in place] for place in places]

    def _id(self, value: Any) -> UUID:
        try:
            return UUID(value)
        except (AttributeError, TypeError, ValueError):
            self.fail("invalid", value=str(value)[:40])

    def to_representation(self, places: list[tuple[User, ...]]) -> list[Any]:
        return [str(place[0].pk) if len(place) == 1 else [str(user.pk) for user in place] for place in places]


class EndsAfterStart:
    """For serializers of spans: `ends_at` comes after `starts_at`."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        starts_at, ends_at = (
            attrs.get(name, getattr(self.instance, name, None)) for name in ("starts_at", "ends_at")
        )
        if starts_at and ends_at and ends_at <= starts_at:
            raise serializers.ValidationError({"ends_at": "Must come after starts_at."}, "ends_before_start")
        return super().validate(attrs)


class WindowSerializer(serializers.Serializer):
    """When a layer counts. With `days`: from `from` until the next `to`, on these days. With `from_day` and `to_day`: once a
    week. Days are 1 (Monday) to 7. Only for the document: teams.windows checks them."""

    def get_fields(self) -> dict[str, serializers.Field]:
        day = {"min_value": 1, "max_value": 7, "required": False}
        return {
            "from": serializers.RegexField(TIME, help_text="Local time, like 17:00."),
            "to": serializers.RegexField(
                TIME, help_text="Local time. That of `from` or an earlier one: the day after."
            ),
            "days": serializers.ListField(
                child=serializers.IntegerField(min_value=1, max_value=7),
                required=False,
                help_text="All without it.",
            ),
            "from_day": serializers.IntegerField(**day),
            "to_day": serializers.IntegerField(**day),
        }


@extend_schema_field(WindowSerializer(many=True))
class WindowsField(serializers.JSONField):
    pass


class LayerSerializer(Whole, EndsAfterStart, ModelSerializer):
    id = serializers.UUIDField(
        source="identity", read_only=True, help_text="Stays when the layer is changed."
    )
    participants = ParticipantsField(
        source="places",
        help_text="People in the order of their turns, or lists of those who are on call together; somebody may "
        "have several turns. An empty list is a turn of nobody.",
    )
    restrictions = WindowsField(
        required=False, validators=[check_windows], help_text=Layer._meta.get_field("restrictions").help_text
    )
    calendar_url = serializers.URLField(
        max_length=1000,
        required=False,
        allow_blank=True,
        validators=[check_calendar_url],
        help_text="A calendar elsewhere (iCal) that says who is on call, instead of turns of `participants`.",
    )

    class Meta:
        model = Layer
        fields = [
            "id", "name", "rotation", "turn_length", "hand_over_time", "hand_over_day", "starts_at", "ends_at",
            "participants", "restrictions", "holidays_of", "on_holidays", "calendar_url",
        ]  # fmt: skip

    def to_representation(self, layer: Layer) -> dict[str, Any]:
        shown = super().to_representation(layer)
        url = layer.calendar.url if layer.calendar else ""
        # What follows the host may be all that keeps the calendar private.
        may_see = not url or layer.schedule.team_id in self._managed()
        return {**shown, "calendar_url": url if may_see else f"https://{layer.calendar.host}/"}

    def _managed(self) -> set[UUID]:
        context = self.root.context
        if "managed_teams" not in context:
            context["managed_teams"] = set(
                teams_to_manage(context["request"].user).values_list("pk", flat=True)
            )
        return context["managed_teams"]


class ScheduleSerializer(ModelSerializer):
    """Of several layers the last one that has somebody wins. Writing `layers` replaces all of them from now on; what
    has been stays as it was."""

    team = VisibleField(queryset=Team.objects.all())
    fallback = PersonField(
        required=False,
        allow_null=True,
        help_text="Who is on call when nobody else is: a responder of the team.",
    )
    layers = LayerSerializer(source="rows.layers", many=True, required=False, max_length=MAX_LAYERS)

    class Meta:
        model = Schedule
        fields = [
            "id", "team", "name", "description", "time_zone", "fallback", "layers", "created_at", "updated_at",
        ]  # fmt: skip

    def create(self, validated_data: dict[str, Any]) -> Schedule:
        layers = layer_values(validated_data.pop("rows", {}).get("layers", ()))
        schedule = rotations.create_schedule(**validated_data, layers=layers)
        return with_rotation(Schedule.objects.filter(pk=schedule.pk)).get()

    @transaction.atomic
    def update(self, instance: Schedule, validated_data: dict[str, Any]) -> Schedule:
        layers = validated_data.pop("rows", {}).get("layers")
        pk = instance.pk
        fallback = validated_data.pop("fallback") if "fallback" in validated_data else instance.fallback
        rotations.change_schedule(schedule_id=pk, **validated_data)
        rotations.set_fallback(schedule_id=pk, user=fallback)
        if layers is not None:
            rotations.replace_layers(schedule_id=pk, layers=layer_values(layers))
        return with_rotation(Schedule.objects.filter(pk=pk)).get()


def layer_values(layers: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {("participants" if name == "places" else name): value for name, value in layer.items()}
        for layer in layers
    ]


class OverrideSerializer(EndsAfterStart, ModelSerializer):
    schedule = VisibleField(queryset=Schedule.objects.select_related("team"))
    user = PersonField()
    replaces = PersonField(
        required=False,
        allow_null=True,
        help_text="Instead of only this person, while they are on call; without one, instead of everybody.",
    )
    created_by = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = Override
        fields = [
            "id", "schedule", "user", "replaces", "starts_at", "ends_at", "created_by", "created_at", "updated_at",
        ]  # fmt: skip


class OnCallQuerySerializer(serializers.Serializer):
    at = InstantField(required=False, help_text="Default: now.")


class OnCallSerializer(serializers.Serializer):
    """Who is on call in a schedule. The context has `at`."""

    schedule = ScheduleRefSerializer(source="*")
    team = TeamRefSerializer()
    at = serializers.SerializerMethodField()
    people = serializers.SerializerMethodField(help_text="Empty when nobody is on call.")
    source = serializers.SerializerMethodField(
        help_text="rotation, calendar, override or fallback; null when nobody is on call."
    )

    def get_at(self, schedule: Schedule) -> datetime:
        return self.context["at"]

    @extend_schema_field(UserRefSerializer(many=True))
    def get_people(self, schedule: Schedule) -> Any:
        return UserRefSerializer(oncall.on_call(schedule, self.context["at"]), many=True).data

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_source(self, schedule: Schedule) -> str | None:
        shift = oncall.shift_at(schedule, self.context["at"])
        return shift.source if shift else None


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
    users = UserRefSerializer(many=True)
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    source = serializers.ChoiceField(SHIFT_SOURCES)
    layer = serializers.UUIDField(source="layer.identity", allow_null=True, default=None)
    override = serializers.UUIDField(source="override.pk", allow_null=True, default=None)
