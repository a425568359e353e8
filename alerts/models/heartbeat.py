"""Heartbeats: programs that say at intervals that they are alive."""

from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from alerts.enums import IntervalUnit
from incidents.enums import Severity
from openalert.base import BaseModel
from teams.models import Team

from .integration import Integration

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User

MAX_INTERVAL = 10_000


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def visible_to(self, user: "User | AnonymousUser") -> "HeartbeatQuerySet":
        return self.filter(integration__service__team__in=Team.objects.visible_to(user))


class Heartbeat(BaseModel):
    """A program that has to ping once in an interval, or an alert fires for it until it does.

    It is watched from its first ping on: `due_at` is when the next one is late, None while nothing is watched.
    Its alerts are its integration's. Written only by alerts.heartbeats.
    """

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="heartbeats")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=10_000)
    interval = models.PositiveIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(MAX_INTERVAL)]
    )
    interval_unit = models.CharField(max_length=8, choices=IntervalUnit, default=IntervalUnit.MINUTES)
    is_enabled = models.BooleanField(default=True, help_text="Off: nobody minds when no ping comes.")
    alert_message = models.CharField(
        max_length=1024, blank=True, help_text="The alert's title; empty: “<name> is expired”."
    )
    alert_tags = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    severity = models.CharField(max_length=16, choices=Severity, default=Severity.MEDIUM)
    last_ping_at = models.DateTimeField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    expired_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), "integration", name="heartbeat_name_unique_in_integration"
            ),
            models.CheckConstraint(condition=Q(interval__gte=1), name="heartbeat_interval_positive"),
            models.CheckConstraint(
                condition=Q(interval_unit__in=IntervalUnit.values), name="heartbeat_interval_unit_known"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="heartbeat_severity_known"
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(is_enabled=True, expired_at__isnull=True),
                name="heartbeat_due_only_when_watched",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="heartbeat_due")]

    def __str__(self) -> str:
        return self.name

    @property
    def span(self) -> timedelta:
        return timedelta(**{self.interval_unit: self.interval})

    @property
    def title(self) -> str:
        return self.alert_message or f"{self.name} is expired"
