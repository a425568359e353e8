from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.relations import PrimaryKeyRelatedField

from incidents.api.serializers import IncidentRefSerializer
from notifications.enums import Channel, Hold
from notifications.models import (
    LONGEST_ADDRESS,
    ContactMethod,
    DeliveryAttempt,
    Notification,
    NotificationRule,
    QuietHours,
)
from openalert.rest.serializers import ModelSerializer
from teams.api.serializers import UserRefSerializer


class OwnedSerializer(ModelSerializer):
    """Belongs to whoever writes it."""

    def server_values(self) -> dict[str, Any]:
        return {"user": self.context["request"].user}


class ContactMethodSerializer(OwnedSerializer):
    class Meta:
        model = ContactMethod
        fields = [
            "id", "channel", "label", "address", "is_enabled", "verified_at", "broken_at", "broken_reason",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["verified_at", "broken_at", "broken_reason"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs.get("channel") == Channel.WEB_PUSH:
            raise serializers.ValidationError(
                {"channel": "A browser registers itself: see push-subscriptions."}
            )
        return super().validate(attrs)

    def create(self, validated_data: dict[str, Any]) -> ContactMethod:
        method = ContactMethod(**validated_data)
        method.settle_verification(now=timezone.now())
        method.save(force_insert=True)
        return method

    def update(self, instance: ContactMethod, validated_data: dict[str, Any]) -> ContactMethod:
        before = instance.channel, instance.address
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if (instance.channel, instance.address) != before:
            instance.settle_verification(now=timezone.now())
            instance.broken_at, instance.broken_reason = None, ""  # that was said of the old address
        instance.save()
        return instance


class CodeSerializer(serializers.Serializer):
    code = serializers.CharField(max_length=20, help_text="The six digits that were sent.")


class PushKeysSerializer(serializers.Serializer):
    p256dh = serializers.CharField(max_length=120, help_text="The browser's public key, in URL-safe base64.")
    auth = serializers.CharField(max_length=40, help_text="The secret that goes with it, in URL-safe base64.")


class PushSubscriptionSerializer(serializers.Serializer):
    """What `PushSubscription.toJSON()` of a browser is; more of it is ignored."""

    endpoint = serializers.CharField(max_length=LONGEST_ADDRESS)
    keys = PushKeysSerializer()
    label = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")


class PushKeySerializer(serializers.Serializer):
    public_key = serializers.CharField(help_text="For `applicationServerKey`, in URL-safe base64.")


class OwnContactMethodField(PrimaryKeyRelatedField):
    def get_queryset(self) -> Any:
        return super().get_queryset().filter(user=self.context["request"].user)


class NotificationRuleSerializer(OwnedSerializer):
    contact_method = OwnContactMethodField(queryset=ContactMethod.objects.all())

    class Meta:
        model = NotificationRule
        fields = ["id", "urgency", "contact_method", "delay_minutes", "created_at", "updated_at"]


class QuietHoursSerializer(OwnedSerializer):
    allowed_methods = OwnContactMethodField(
        many=True,
        required=False,
        queryset=ContactMethod.objects.all(),
        help_text="Pages go by these all the same.",
    )

    class Meta:
        model = QuietHours
        fields = ["id", "weekdays", "starts", "until", "allowed_methods", "created_at", "updated_at"]


class DeliveryAttemptSerializer(serializers.ModelSerializer):
    latency_seconds = serializers.FloatField(allow_null=True)

    class Meta:
        model = DeliveryAttempt
        fields = [
            "number", "status", "started_at", "finished_at", "latency_seconds", "error", "is_permanent",
            "request_id", "provider_id", "account", "receipt", "receipt_at", "receipt_detail",
        ]  # fmt: skip
        read_only_fields = fields


class NotificationSerializer(serializers.ModelSerializer):
    user = UserRefSerializer()
    incident = IncidentRefSerializer(allow_null=True)
    address = serializers.SerializerMethodField(help_text="Only of one's own; null for other people's.")
    hold = serializers.SerializerMethodField(help_text="Why it waits longer than its rule says; else null.")
    attempts = DeliveryAttemptSerializer(many=True)

    class Meta:
        model = Notification
        fields = [
            "id", "purpose", "user", "incident", "channel", "address", "run_id", "loop", "step", "status",
            "due_at", "hold", "bundle_size", "attempt_count", "last_error", "sent_at", "seen_at", "created_at",
            "attempts",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field({"oneOf": [{"type": "string", "enum": Hold.values}, {"type": "null"}]})
    def get_hold(self, notification: Notification) -> str | None:
        return notification.hold or None

    def get_address(self, notification: Notification) -> str | None:
        is_own = notification.user_id == self.context["request"].user.pk
        return notification.address if is_own else None


class PayloadSerializer(serializers.Serializer):
    subject = serializers.CharField(default="")
    text = serializers.CharField(default="")


class DeadLetterSerializer(NotificationSerializer):
    payload = serializers.SerializerMethodField(help_text="What it said; empty when it could not be written.")

    class Meta(NotificationSerializer.Meta):
        fields = [*NotificationSerializer.Meta.fields, "payload", "updated_at"]
        read_only_fields = fields

    @extend_schema_field(PayloadSerializer)
    def get_payload(self, letter: Notification) -> dict[str, str]:
        return {name: letter.payload.get(name, "") for name in ("subject", "text")}


class ChosenLettersSerializer(serializers.Serializer):
    """Which dead letters; those that the asker may not see, and those that are none any more, are passed over."""

    ids = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=500)


class ChangedLettersSerializer(serializers.Serializer):
    count = serializers.IntegerField(help_text="How many of them it was done to.")
