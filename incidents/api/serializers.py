from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from incidents.enums import Severity
from incidents.models import Incident, TimelineEntry
from incidents.timeline import sentence
from openalert.rest.fields import InstantField
from teams.api.scoping import VisibleField
from teams.api.serializers import ServiceRefSerializer, TeamRefSerializer, UserRefSerializer
from teams.models import Service

MAX_SNOOZE_MINUTES = 365 * 24 * 60
MAX_NOTE = 20_000


class IncidentRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Incident
        fields = ["id", "number", "title"]
        read_only_fields = fields


class MergedIntoSerializer(serializers.ModelSerializer):
    """No title: whoever sees the one incident may not see the other."""

    class Meta:
        model = Incident
        fields = ["id", "number"]
        read_only_fields = fields


class IncidentSerializer(serializers.ModelSerializer):
    service = ServiceRefSerializer()
    team = TeamRefSerializer(source="service.team")
    acknowledged_by = UserRefSerializer(allow_null=True)
    assigned_to = UserRefSerializer(allow_null=True)
    resolved_by = UserRefSerializer(allow_null=True)
    merged_into = MergedIntoSerializer(allow_null=True, help_text="Where it goes on.")

    class Meta:
        model = Incident
        fields = [
            "id", "number", "title", "severity", "status", "service", "team", "opened_at", "last_alert_at",
            "acknowledged_at", "acknowledged_by", "assigned_to", "snoozed_until", "resolved_at", "resolved_by",
            "merged_into", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class OpenIncidentSerializer(serializers.Serializer):
    """An incident that no monitoring system saw."""

    service = VisibleField(queryset=Service.objects.select_related("team"))
    title = serializers.CharField(max_length=1024)
    severity = serializers.ChoiceField(Severity.choices, default=Severity.HIGH)
    note = serializers.CharField(max_length=MAX_NOTE, required=False, allow_blank=True, default="")


class SnoozeSerializer(serializers.Serializer):
    """Either `until` or `minutes`."""

    until = InstantField(required=False)
    minutes = serializers.IntegerField(required=False, min_value=1, max_value=MAX_SNOOZE_MINUTES)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give either until or minutes.", "either_or")
        if "minutes" in attrs:
            return {"until": timezone.now() + timedelta(minutes=attrs["minutes"])}
        return attrs


class SeveritySerializer(serializers.Serializer):
    severity = serializers.ChoiceField(Severity.choices)


class MergeSerializer(serializers.Serializer):
    into = VisibleField(
        queryset=Incident.objects.all(), help_text="The id of the incident in which it goes on."
    )


class NoteSerializer(serializers.Serializer):
    text = serializers.CharField(max_length=MAX_NOTE)


class TimelineEntrySerializer(serializers.ModelSerializer):
    actor = UserRefSerializer(allow_null=True)
    sentence = serializers.SerializerMethodField(help_text="The entry in words.")
    data = serializers.DictField(help_text="What the sentence is made of; differs from kind to kind.")

    class Meta:
        model = TimelineEntry
        fields = ["id", "at", "kind", "actor_kind", "actor", "actor_name", "via", "sentence", "data"]
        read_only_fields = fields

    def get_sentence(self, entry: TimelineEntry) -> str:
        return sentence(entry)
