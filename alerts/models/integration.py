"""Integrations: the doors of monitoring systems."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from alerts.enums import Grouping, Source
from openalert.base import BaseModel
from openalert.encryption import EncryptedCharField
from teams.models import Service, Team

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from alerts.formats.base import Reader
    from alerts.triage import Rules
    from teams.models import User

KEY_LENGTH = 32  # what PagerDuty's clients insist on


class IntegrationQuerySet(models.QuerySet["Integration"]):
    def visible_to(self, user: "User | AnonymousUser") -> "IntegrationQuerySet":
        return self.filter(service__team__in=Team.objects.visible_to(user))


class Integration(BaseModel):
    """A door for one monitoring system into one service, opened by its integration key.

    Only the key's SHA-256 is stored: a key has 128 random bits, so a slow hash would add nothing.
    """

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="integrations")
    name = models.CharField(max_length=120)
    source = models.CharField(max_length=32, choices=Source, default=Source.OPENALERT)
    is_enabled = models.BooleanField(default=True, help_text="Off: alerts with its key are refused.")
    secret = EncryptedCharField(
        "signing secret",
        max_length=255,
        blank=True,
        help_text="For formats that sign what they send. Empty: signatures are not checked.",
    )
    settings = models.JSONField(
        default=dict, blank=True, editable=False, help_text="What only this source's format understands."
    )
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    key_hint = models.CharField("key ends in", max_length=8, editable=False)
    key_rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The key before that, which opens it too until then.
    old_key_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001
    old_key_hint = models.CharField(max_length=8, blank=True, default="", db_default="", editable=False)
    old_key_until = models.DateTimeField(null=True, blank=True, editable=False)
    grouping = models.CharField(max_length=16, choices=Grouping, default=Grouping.NAME)
    grouping_labels = ArrayField(
        models.CharField(max_length=128),
        default=list,
        blank=True,
        help_text="Only for grouping by labels: alerts with the same values of these belong together.",
    )
    grouping_window_minutes = models.PositiveIntegerField(
        default=1440,
        validators=[MinValueValidator(1), MaxValueValidator(525_600)],
        help_text="A new alert joins an incident whose newest alert is not older than this.",
    )

    # What the row was when its key was looked up (alerts.keys); "" when it was loaded otherwise.
    stamp = ""
    key_ends_at: "datetime | None" = None  # of the key that it was looked up by, if that is the old one
    reader: "Reader | None" = None  # of its format, made when it is first used
    rules_in_force: "Rules | None" = None  # see alerts.triage.rules_of

    objects = IntegrationQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), "service", name="integration_name_unique_in_service"),
            models.CheckConstraint(
                condition=Q(grouping__in=Grouping.values), name="integration_grouping_known"
            ),
            models.CheckConstraint(condition=Q(source__in=Source.values), name="integration_source_known"),
            models.CheckConstraint(
                condition=~Q(grouping=Grouping.LABELS) | ~Q(grouping_labels=[]),
                name="integration_labels_for_grouping",
            ),
            models.CheckConstraint(
                condition=Q(grouping_window_minutes__gte=1), name="integration_window_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        super().clean()
        if self.grouping == Grouping.LABELS and not self.grouping_labels:
            raise ValidationError({"grouping_labels": "Name at least one label to group by."})

    @property
    def grouping_window(self) -> timedelta:
        return timedelta(minutes=self.grouping_window_minutes)

    @staticmethod
    def hash_key(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    @property
    def has_old_key(self) -> bool:
        """Whether the key before the last rotation still opens it."""
        return self.old_key_until is not None and timezone.now() < self.old_key_until

    def forget_old_key(self) -> None:
        """Does not save."""
        self.old_key_hash, self.old_key_hint, self.old_key_until = None, "", None

    def set_key(self, key: str | None = None) -> str:
        """Give it a new key and return it: the only time it can be seen. Does not save."""
        key = key or secrets.token_hex(KEY_LENGTH // 2)
        self.key_hash, self.key_hint = self.hash_key(key), key[-4:]
        return key
