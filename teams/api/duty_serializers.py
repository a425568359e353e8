"""What people do about their shifts, as the API sees it."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from openalert.rest.fields import InstantField
from openalert.rest.serializers import ModelSerializer
from teams import coverage
from teams.models import CalendarFeed, HandOverNote, Schedule, ShiftSwap

from .scoping import PersonField, VisibleField
from .serializers import (
    ScheduleRefSerializer,
    ScheduleSerializer,
    ShiftSerializer,
    TeamRefSerializer,
    UserRefSerializer,
)


class ShiftSwapSerializer(ModelSerializer):
    """You ask about your own shifts. `asked` may be left out: then any responder of the team may accept."""

    schedule = VisibleField(queryset=Schedule.objects.select_related("team"))
    asker = UserRefSerializer(read_only=True)
    asked = PersonField(required=False, allow_null=True)
    expires_at = InstantField(required=False, help_text="Default: when the first of the shifts begins.")
    answered_by = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = ShiftSwap
        fields = [
            "id", "schedule", "asker", "asked", "starts_at", "ends_at", "return_starts_at", "return_ends_at", "note",
            "status", "expires_at", "answered_at", "answered_by", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["status", "answered_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs  # teams.swaps checks, in words that fit


class HandOverNoteSerializer(ModelSerializer):
    schedule = VisibleField(queryset=Schedule.objects.select_related("team"))
    author = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = HandOverNote
        fields = ["id", "schedule", "author", "text", "created_at", "updated_at"]


class CalendarFeedSerializer(ModelSerializer):
    """`url` is only told in the answer that made it: it holds a secret."""

    schedule = VisibleField(
        queryset=Schedule.objects.all(), allow_null=True, required=False, help_text="Null: your own shifts."
    )
    url = serializers.CharField(read_only=True, allow_null=True, default=None)

    class Meta:
        model = CalendarFeed
        fields = ["id", "schedule", "url", "read_at", "created_at", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs  # one that is there already is replaced


class LayerRefSerializer(serializers.Serializer):
    id = serializers.UUIDField(source="identity")
    name = serializers.CharField()


class FindingSerializer(serializers.Serializer):
    """Something that will go wrong in the next 30 days unless somebody mends it."""

    code = serializers.CharField(help_text="gap, fallback_only, layer_empty, person_deleted, unreachable, …")
    detail = serializers.CharField()
    team = TeamRefSerializer()
    schedule = ScheduleRefSerializer(allow_null=True)
    layer = LayerRefSerializer(allow_null=True)
    user = UserRefSerializer(allow_null=True)
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)


class OwnShiftSerializer(serializers.Serializer):
    schedule = ScheduleRefSerializer()
    shift = ShiftSerializer()


class SavedScheduleSerializer(ScheduleSerializer):
    """With `warnings`: it is saved, and this will go wrong with it."""

    warnings = serializers.SerializerMethodField()

    class Meta(ScheduleSerializer.Meta):
        fields = [*ScheduleSerializer.Meta.fields, "warnings"]

    @extend_schema_field(FindingSerializer(many=True))
    def get_warnings(self, schedule: Schedule) -> Any:
        return FindingSerializer(coverage.check_schedule(schedule), many=True).data
