from typing import Any

from rest_framework import serializers
from rest_framework.relations import PrimaryKeyRelatedField

from incidents.api.serializers import IncidentRefSerializer
from notifications.models import ContactMethod, DeliveryAttempt, Notification, NotificationRule
from openalert.rest.serializers import ModelSerializer
from teams.api.serializers import UserRefSerializer


class OwnedSerializer(ModelSerializer):
    """Belongs to whoever writes it."""

    def server_values(self) -> dict[str, Any]:
        return {"user": self.context["request"].user}


class ContactMethodSerializer(OwnedSerializer):
    class Meta:
        model = ContactMethod
        fields = ["id", "channel", "label", "address", "is_enabled", "created_at", "updated_at"]


class OwnContactMethodField(PrimaryKeyRelatedField):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(user=self.context["request"].user)


class NotificationRuleSerializer(OwnedSerializer):
    contact_method = OwnContactMethodField(queryset=ContactMethod.objects.all())

    class Meta:
        model = NotificationRule
        fields = ["id", "urgency", "contact_method", "delay_minutes", "created_at", "updated_at"]


class DeliveryAttemptSerializer(serializers.ModelSerializer):
    class Meta:
        model = DeliveryAttempt
        fields = ["number", "status", "started_at", "finished_at", "error", "is_permanent", "provider_id"]
        read_only_fields = fields


class NotificationSerializer(serializers.ModelSerializer):
    user = UserRefSerializer()
    incident = IncidentRefSerializer(allow_null=True)
    address = serializers.SerializerMethodField(help_text="Only of one's own; null for other people's.")
    attempts = DeliveryAttemptSerializer(many=True)

    class Meta:
        model = Notification
        fields = [
            "id", "purpose", "user", "incident", "channel", "address", "run_id", "loop", "step", "status",
            "due_at", "attempt_count", "last_error", "sent_at", "seen_at", "created_at", "attempts",
        ]  # fmt: skip
        read_only_fields = fields

    def get_address(self, notification: Notification) -> str | None:
        is_own = notification.user_id == self.context["request"].user.pk
        return notification.address if is_own else None
