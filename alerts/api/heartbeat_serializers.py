"""Heartbeats and their pings, as the API shows and takes them."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError as DjangoValidationError
from django.urls import reverse
from rest_framework import serializers

from alerts import heartbeat_mail, heartbeats, mail_intake
from alerts.models import Heartbeat, HeartbeatPing
from alerts.models.heartbeat import LONGEST_WORD, MOST_WORDS
from openalert.rest.serializers import ModelSerializer
from teams.api.scoping import VisibleField
from teams.models import Service

MOST_TAGS = 20


def list_of_texts(most: int, longest: int, help_text: str = "") -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=longest), max_length=most, required=False, help_text=help_text
    )


class HeartbeatSerializer(ModelSerializer):
    """Whoever has `ping_url` or `email` can ping. `cron`, if it is there, counts instead of the interval."""

    service = VisibleField(queryset=Service.objects.select_related("team"), source="integration.service")
    ping_url = serializers.SerializerMethodField(
        help_text="For GET, HEAD and POST; /start, /fail, /<exit status> after it."
    )
    email = serializers.SerializerMethodField(help_text="What is mailed there is a ping.")
    alert_tags = list_of_texts(MOST_TAGS, 255)
    start_words = list_of_texts(MOST_WORDS, LONGEST_WORD, "In a mail, these mean that it begins.")
    success_words = list_of_texts(MOST_WORDS, LONGEST_WORD, "In a mail, these mean that it is done.")
    fail_words = list_of_texts(MOST_WORDS, LONGEST_WORD, "In a mail, these mean that it failed.")
    took_seconds = serializers.SerializerMethodField(help_text="From its last start until its end.")

    class Meta:
        model = Heartbeat
        fields = [
            "id", "service", "name", "description", "interval", "interval_unit", "cron", "time_zone", "grace_minutes",
            "severity", "alert_message", "alert_tags", "start_words", "success_words", "fail_words", "mail_means",
            "is_enabled", "ping_url", "email", "last_ping_at", "started_at", "took_seconds", "due_at", "expired_at",
            "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["last_ping_at", "started_at", "due_at", "expired_at"]

    def get_ping_url(self, heartbeat: Heartbeat) -> str:
        return settings.SITE_URL.rstrip("/") + reverse("ping", args=[heartbeat.ping_key])

    def get_took_seconds(self, heartbeat: Heartbeat) -> float | None:
        return _seconds(heartbeat.took)

    def get_email(self, heartbeat: Heartbeat) -> str:
        return mail_intake.address_of(heartbeat_mail.mailbox_of(heartbeat))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        owner = attrs.pop("integration", None)
        attrs = super().validate(attrs)
        return attrs | {"service": owner["service"]} if owner else attrs

    def create(self, validated_data: dict[str, Any]) -> Heartbeat:
        service = validated_data.pop("service")
        with _name_told():
            return heartbeats.add(Heartbeat(**validated_data), service=service)

    def update(self, instance: Heartbeat, validated_data: dict[str, Any]) -> Heartbeat:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        with _name_told():
            return heartbeats.configure(instance)


class HeartbeatChangeSerializer(HeartbeatSerializer):
    """A heartbeat stays with its service."""

    def get_fields(self) -> dict[str, serializers.Field]:
        fields = super().get_fields()
        fields["service"] = serializers.PrimaryKeyRelatedField(read_only=True, source="integration.service")
        return fields


class HeartbeatPingSerializer(serializers.ModelSerializer):
    took_seconds = serializers.SerializerMethodField(help_text="Since its start.")

    class Meta:
        model = HeartbeatPing
        fields = ["id", "at", "kind", "exit_status", "took_seconds", "body", "address", "sender"]
        read_only_fields = fields

    def get_took_seconds(self, ping: HeartbeatPing) -> float | None:
        return _seconds(ping.took)


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()


@contextlib.contextmanager
def _name_told() -> Iterator[None]:
    """The only thing that the heart refuses once the fields are right: a name that the service has."""
    try:
        yield
    except DjangoValidationError as error:
        taken = serializers.ErrorDetail("There is such a heartbeat already.", "unique")
        raise serializers.ValidationError({"name": [taken]}) from error
