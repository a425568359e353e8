from typing import Any

from django.conf import settings
from rest_framework import serializers

from alerts import integrations, maintenance
from alerts.enums import Source
from alerts.models import Alert, Change, Integration, MaintenanceWindow
from incidents.api.serializers import IncidentRefSerializer
from openalert.rest.serializers import ModelSerializer
from teams.api.scoping import VisibleField
from teams.api.serializers import EndsAfterStart, ServiceRefSerializer, TeamRefSerializer, UserRefSerializer
from teams.models import Service, Team

MAX_GROUPING_LABELS = 20


class IntegrationSerializer(ModelSerializer):
    service = VisibleField(queryset=Service.objects.select_related("team"))
    grouping_labels = serializers.ListField(
        child=serializers.CharField(max_length=128), max_length=MAX_GROUPING_LABELS, required=False
    )

    class Meta:
        model = Integration
        fields = [
            "id", "service", "name", "source", "is_enabled", "key_hint", "grouping", "grouping_labels",
            "grouping_window_minutes", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["key_hint"]

    def create(self, validated_data: dict[str, Any]) -> Integration:
        integration = Integration(**validated_data)
        integration.plain_key = integrations.create_integration(integration)
        return integration

    def update(self, instance: Integration, validated_data: dict[str, Any]) -> Integration:
        return integrations.change_integration(instance.pk, **validated_data)


class IntegrationWithKeySerializer(IntegrationSerializer):
    """With the key, which nobody can be shown again."""

    key = serializers.CharField(source="plain_key", read_only=True)
    address = serializers.SerializerMethodField(help_text="Where to send alerts.")

    class Meta(IntegrationSerializer.Meta):
        fields = [*IntegrationSerializer.Meta.fields, "key", "address"]

    def get_address(self, integration: Integration) -> str:
        path = "/api/v1/alerts"
        if integration.source != Source.OPENALERT:
            path = f"/integrations/{integration.source}/{integration.plain_key}"
        return settings.SITE_URL.rstrip("/") + path


class IntegrationRefSerializer(serializers.ModelSerializer):
    class Meta:
        model = Integration
        fields = ["id", "name"]
        read_only_fields = fields


class AlertSerializer(serializers.ModelSerializer):
    integration = IntegrationRefSerializer()
    service = ServiceRefSerializer(source="integration.service")
    team = TeamRefSerializer(source="integration.service.team")
    incident = IncidentRefSerializer(allow_null=True)
    labels = serializers.DictField()
    metadata = serializers.DictField()

    class Meta:
        model = Alert
        fields = [
            "id", "dedup_key", "status", "title", "severity", "source", "integration", "service", "team",
            "incident", "is_current", "labels", "metadata", "count", "first_fired_at", "last_fired_at",
            "resolved_at",
        ]  # fmt: skip
        read_only_fields = fields


class ChangeLinkSerializer(serializers.Serializer):
    href = serializers.URLField()
    text = serializers.CharField(allow_blank=True)


class ChangeSerializer(serializers.ModelSerializer):
    integration = IntegrationRefSerializer()
    service = ServiceRefSerializer(source="integration.service")
    team = TeamRefSerializer(source="integration.service.team")
    links = ChangeLinkSerializer(many=True)
    custom_details = serializers.DictField()

    class Meta:
        model = Change
        fields = [
            "id", "summary", "source", "at", "integration", "service", "team", "links", "custom_details",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class MaintenanceWindowSerializer(EndsAfterStart, ModelSerializer):
    """Without services it is about all of the team's."""

    team = VisibleField(queryset=Team.objects.all())
    services = serializers.ManyRelatedField(
        child_relation=VisibleField(queryset=Service.objects.all()), required=False
    )
    created_by = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = MaintenanceWindow
        fields = [
            "id", "team", "title", "services", "starts_at", "ends_at", "created_by", "created_at", "updated_at",
        ]  # fmt: skip

    def create(self, validated_data: dict[str, Any]) -> MaintenanceWindow:
        return maintenance.add_window(**validated_data, by=self.context["request"].user)


class MaintenanceChangeSerializer(MaintenanceWindowSerializer):
    """A window's team cannot be changed."""

    class Meta(MaintenanceWindowSerializer.Meta):
        read_only_fields = ["team"]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        fields["team"] = serializers.PrimaryKeyRelatedField(read_only=True)
        return fields

    def update(self, instance: MaintenanceWindow, validated_data: dict[str, Any]) -> MaintenanceWindow:
        return maintenance.change_window(instance.pk, **validated_data)
