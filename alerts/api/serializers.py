from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from alerts import integrations, maintenance, maintenance_labels, maintenance_series
from alerts.enums import Source
from alerts.fields import read_fields, stored_fields
from alerts.formats import email
from alerts.models import Alert, Change, Integration, MaintenanceSeries, MaintenanceWindow
from incidents.api.serializers import IncidentRefSerializer
from openalert.rest.serializers import ModelSerializer
from teams.api.scoping import VisibleField
from teams.api.serializers import EndsAfterStart, ServiceRefSerializer, TeamRefSerializer, UserRefSerializer
from teams.models import Service, Team

from .places import PartOfRule, ReadField
from .rule_schema import FIELDS_SCHEMA

MAX_GROUPING_LABELS = 20


# Which source each is for.
SETTINGS = {"fields": Source.GENERIC, "email": Source.EMAIL}


@extend_schema_field(FIELDS_SCHEMA)
class PickedFieldsField(ReadField):
    """What an integration for any JSON picks from a payload."""

    read = staticmethod(read_fields)

    def get_attribute(self, instance: Integration) -> dict[str, Any] | None:
        return stored_fields(instance.settings)[0] if instance.source == Source.GENERIC else None


def words_field(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=email.LONGEST_WORD),
        max_length=email.MOST_WORDS,
        required=False,
        **options,
    )


class EmailSettingsSerializer(serializers.Serializer):
    """How mails are told apart and understood."""

    dedup = serializers.ChoiceField(
        ["subject", "thread", "message"],
        required=False,
        help_text="Mails are about one problem when their subjects are the same but for the state (the default), when "
        "they answer one another, or never.",
    )
    over = words_field(help_text="Words that mean it is over, instead of the usual ones.")
    firing = words_field(help_text="More words that mean it fires.")

    def get_attribute(self, instance: Integration) -> email.Settings | None:
        return email.settings_of(instance) if instance.source == Source.EMAIL else None


class IntegrationSerializer(ModelSerializer):
    """The signing secret is not here: it is set on the integration's page, and never shown."""

    fields = PickedFieldsField(
        required=False,
        allow_null=True,
        help_text="Null unless the source is any JSON (`generic`). Written as a whole; what is left out of it is found "
        "by its usual names.",
    )
    email = EmailSettingsSerializer(
        required=False, allow_null=True, help_text="Null unless the source is email. Written as a whole."
    )
    service = VisibleField(queryset=Service.objects.select_related("team"))
    grouping_labels = serializers.ListField(
        child=serializers.CharField(max_length=128), max_length=MAX_GROUPING_LABELS, required=False
    )

    class Meta:
        model = Integration
        fields = [
            "id", "service", "name", "source", "is_enabled", "key_hint", "old_key_until", "grouping", "grouping_labels",
            "grouping_window_minutes", "fields", "email", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["key_hint", "old_key_until"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = {name: attrs.pop(name) for name in SETTINGS if name in attrs}
        source = attrs.get("source", self.instance.source if self.instance else Source.OPENALERT)
        for name, value in given.items():
            if value is not None and source != SETTINGS[name]:
                raise serializers.ValidationError({name: f"Only for the source “{SETTINGS[name]}”."})
        settings = {name: value or {} for name, value in given.items() if source == SETTINGS[name]}
        return super().validate(attrs) | ({"settings": settings} if settings else {})

    def create(self, validated_data: dict[str, Any]) -> Integration:
        integration = Integration(**validated_data)
        integration.plain_key = integrations.create_integration(integration)
        return integration

    def update(self, instance: Integration, validated_data: dict[str, Any]) -> Integration:
        return integrations.change_integration(instance.pk, **validated_data)


class RotationSerializer(serializers.Serializer):
    overlap_hours = serializers.IntegerField(
        default=0, min_value=0, max_value=720, help_text="How long the old key works on."
    )


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


@extend_schema_field(
    {
        "type": "array",
        "maxItems": maintenance_labels.MOST_CONDITIONS,
        "items": {
            "oneOf": [
                {"$ref": "#/components/schemas/RuleEquals"},
                {"$ref": "#/components/schemas/RuleMatches"},
            ]
        },
    }
)
class LabelConditionsField(PartOfRule):
    read = staticmethod(maintenance_labels.read)


CONDITIONS_HELP = (
    "On labels, like those of rules: it is about incidents of which all firing alerts meet all of them."
)


class MaintenanceWindowSerializer(EndsAfterStart, ModelSerializer):
    """Without services it is about all of the team's; with conditions, about the alerts that meet them."""

    conditions = LabelConditionsField(required=False, help_text=CONDITIONS_HELP)

    team = VisibleField(queryset=Team.objects.all())
    services = serializers.ManyRelatedField(
        child_relation=VisibleField(queryset=Service.objects.all()), required=False
    )
    created_by = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = MaintenanceWindow
        fields = [
            "id", "team", "title", "services", "conditions", "mode", "starts_at", "ends_at", "series", "created_by",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["series"]

    def create(self, validated_data: dict[str, Any]) -> MaintenanceWindow:
        return maintenance.add_window(**validated_data, by=self.context["request"].user)


class MaintenanceSeriesSerializer(EndsAfterStart, ModelSerializer):
    """`starts_at` and `ends_at` are those of the first time; `time_zone` is whose clock it keeps to."""

    conditions = LabelConditionsField(required=False, help_text=CONDITIONS_HELP)
    team = VisibleField(queryset=Team.objects.all())
    services = serializers.ManyRelatedField(
        child_relation=VisibleField(queryset=Service.objects.all()), required=False
    )
    ends_at = serializers.DateTimeField()
    created_by = UserRefSerializer(read_only=True, allow_null=True)

    class Meta:
        model = MaintenanceSeries
        fields = [
            "id", "team", "title", "services", "conditions", "mode", "repeats", "time_zone", "starts_at", "ends_at", "until",
            "created_by", "created_at", "updated_at",
        ]  # fmt: skip

    def create(self, validated_data: dict[str, Any]) -> MaintenanceSeries:
        return maintenance_series.add_series(**validated_data, by=self.context["request"].user)


class MaintenanceSeriesChangeSerializer(MaintenanceSeriesSerializer):
    """All of it but the team."""

    class Meta(MaintenanceSeriesSerializer.Meta):
        read_only_fields = ["team"]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        fields["team"] = serializers.PrimaryKeyRelatedField(read_only=True)
        return fields

    def update(self, instance: MaintenanceSeries, validated_data: dict[str, Any]) -> MaintenanceSeries:
        given = {"services": instance.services.all(), **validated_data}
        for name in ("title", "conditions", "mode", "repeats", "time_zone", "starts_at", "ends_at", "until"):
            given.setdefault(name, getattr(instance, name))
        return maintenance_series.change_series(instance.pk, **given)


class MaintenanceChangeSerializer(MaintenanceWindowSerializer):
    """A window's team cannot be changed."""

    class Meta(MaintenanceWindowSerializer.Meta):
        read_only_fields = ["team", "series"]

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        fields["team"] = serializers.PrimaryKeyRelatedField(read_only=True)
        return fields

    def update(self, instance: MaintenanceWindow, validated_data: dict[str, Any]) -> MaintenanceWindow:
        return maintenance.change_window(instance.pk, **validated_data)
