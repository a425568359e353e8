"""Outgoing webhooks: who is told of incidents' events, and the outbox and log of what was told."""

import json
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from incidents.models import Incident
from notifications.enums import WebhookDeliveryStatus, WebhookEvent, WebhookFormat
from openalert import outward
from openalert.base import BaseModel
from openalert.encryption import EncryptedCharField
from teams.access import teams_to_manage
from teams.models import Team

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User

UNSENT = (WebhookDeliveryStatus.PENDING, WebhookDeliveryStatus.SENDING)


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def visible_to(self, user: "User | AnonymousUser") -> "WebhookQuerySet":
        """Those of the teams that `user` manages, as their addresses may be secrets."""
        return self.filter(team__in=teams_to_manage(user))


class Webhook(BaseModel):
    """An address that is told of what happens to a team's incidents.

    After a rotation the old secret signs too until `previous_secret_until`, so that a receiver can change over.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=120)
    url = EncryptedCharField(max_length=2048, validators=[URLValidator(schemes=["http", "https"])])
    format = models.CharField(max_length=16, choices=WebhookFormat, default=WebhookFormat.OPENALERT)
    events = ArrayField(
        models.CharField(max_length=32, choices=WebhookEvent.of_incidents()),
        default=list,
        blank=True,
        help_text="Which events are told; none named: all.",
    )
    is_enabled = models.BooleanField(default=True)
    secret = EncryptedCharField(max_length=80, editable=False)
    previous_secret = EncryptedCharField(max_length=80, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_reason = models.CharField(max_length=255, blank=True, editable=False)
    failures = models.PositiveSmallIntegerField(default=0, editable=False, help_text="In a row.")
    rests_until = models.DateTimeField(null=True, blank=True, editable=False)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        ordering = ["team__name", "name"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """An early word on what a call would be refused; names are looked up with each call."""
        super().clean()
        try:
            url = urlsplit(self.url)
            host = url.hostname or ""
        except ValueError:
            return  # the validator's to tell
        if url.username or url.password:
            raise ValidationError(
                {"url": ["A name or password is not sent: the signature proves who we are."]}
            )
        if outward.is_forbidden_literal(host):
            raise ValidationError({"url": ["This is an address inside a private network."]})

    @property
    def shown_url(self) -> str:
        """The address as pages show it: the path of a chat's is a secret."""
        try:
            url = urlsplit(self.url)
        except ValueError:
            return ""
        return self.url if self.format == WebhookFormat.OPENALERT else f"{url.scheme}://{url.hostname}/…"

    @property
    def resting_until(self) -> datetime | None:
        """When it is called again; None when it may be now."""
        return self.rests_until if self.rests_until and self.rests_until > timezone.now() else None

    def secrets_at(self, now: datetime) -> list[str]:
        """Those that sign now, the newest first."""
        is_changing = self.previous_secret_until is not None and now < self.previous_secret_until
        return [self.secret, self.previous_secret] if is_changing else [self.secret]


class WebhookDelivery(BaseModel):
    """One event for one webhook: a row of the outbox, and afterwards of the log. Written by notifications.webhooks.

    The body is kept as it was sent. A replay is a new row with the same event id, by which a receiver knows it.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    incident = models.ForeignKey(Incident, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    event = models.CharField(max_length=32, choices=WebhookEvent)
    event_id = models.UUIDField(editable=False)
    body = models.JSONField()
    status = models.CharField(
        max_length=16, choices=WebhookDeliveryStatus, default=WebhookDeliveryStatus.PENDING
    )
    due_at = models.DateTimeField(help_text="Not to be sent before.")
    wake_at = models.DateTimeField(help_text="When the sweep looks at it again.")
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    latency_seconds = models.FloatField(null=True, blank=True, help_text="Of the last attempt.")
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    response_text = models.CharField(max_length=1000, blank=True, help_text="How the last answer begins.")
    last_error = models.TextField(blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=WebhookDeliveryStatus.values), name="webhook_delivery_status_known"
            )
        ]
        indexes = [
            models.Index(fields=["wake_at"], condition=Q(status__in=UNSENT), name="webhook_delivery_to_wake"),
            models.Index(
                fields=["webhook", "due_at"], condition=Q(status__in=UNSENT), name="webhook_delivery_waiting"
            ),
            models.Index(fields=["created_at"], name="webhook_delivery_old"),
            models.Index(fields=["webhook", "-created_at"], name="webhook_delivery_log"),
        ]

    def __str__(self) -> str:
        return f"{self.event} to {self.webhook}"

    @property
    def shown_body(self) -> str:
        return json.dumps(self.body, indent=2, ensure_ascii=False)
