from typing import Any

from rest_framework import serializers

from incidents.api.serializers import IncidentRefSerializer
from notifications import webhooks
from notifications.enums import WebhookEvent
from notifications.models import Webhook, WebhookDelivery
from openalert.rest.serializers import ModelSerializer
from teams.api.scoping import VisibleField
from teams.models import Team


class WebhookSerializer(ModelSerializer):
    team = VisibleField(queryset=Team.objects.all())
    events = serializers.ListField(
        child=serializers.ChoiceField(WebhookEvent.of_incidents()),
        max_length=len(WebhookEvent),
        required=False,
        help_text="Which events are told; none named: all.",
    )

    class Meta:
        model = Webhook
        fields = [
            "id", "team", "name", "url", "format", "events", "is_enabled", "disabled_reason", "failures",
            "rests_until", "previous_secret_until", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["disabled_reason", "failures", "rests_until", "previous_secret_until"]

    def create(self, validated_data: dict[str, Any]) -> Webhook:
        webhook = Webhook(**validated_data)
        webhooks.create(webhook)
        return webhook

    def update(self, instance: Webhook, validated_data: dict[str, Any]) -> Webhook:
        return webhooks.change(instance.pk, **validated_data)


class WebhookWithSecretSerializer(WebhookSerializer):
    """With the secret, which is not shown again."""

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = [*WebhookSerializer.Meta.read_only_fields, "secret"]


class WebhookDeliverySerializer(serializers.ModelSerializer):
    webhook = serializers.UUIDField(source="webhook_id")
    incident = IncidentRefSerializer(allow_null=True)
    body = serializers.DictField(help_text="As it is sent.")

    class Meta:
        model = WebhookDelivery
        fields = [
            "id", "webhook", "incident", "event", "event_id", "body", "status", "due_at", "attempt_count",
            "sent_at", "latency_seconds", "response_status", "response_text", "last_error", "created_at",
        ]  # fmt: skip
        read_only_fields = fields
