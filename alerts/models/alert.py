"""Alerts, as intake keeps them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import OuterRef, Q

from alerts.enums import AlertStatus
from incidents.enums import Severity
from incidents.models import Incident
from openalert.base import BaseModel
from teams.models import Team

from .integration import Integration

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User


LONG_AGO = datetime(1970, 1, 2, tzinfo=UTC)


class AlertQuerySet(models.QuerySet["Alert"]):
    def visible_to(self, user: "User | AnonymousUser") -> "AlertQuerySet":
        return self.filter(integration__service__team__in=Team.objects.visible_to(user))

    def newest_of(self, integration: "Integration | OuterRef") -> "AlertQuerySet":
        """The integration's alerts, the newest first. For many integrations, in a Subquery with an OuterRef."""
        # Not “=”: PostgreSQL would walk along the primary key instead, through the whole table for an integration
        # that has sent nothing for long.
        of_it = self.filter(integration__gte=integration, integration__lte=integration)
        return of_it.filter(first_fired_at__gt=LONG_AGO).order_by("-integration_id", "-pk")


class Alert(BaseModel):
    """One deduplicated problem from one integration.

    It is current until its incident is resolved: until then, events with its dedup key go to it. So a
    flapping check stays one alert, and a problem that comes back next month is a new alert in a new
    incident, with the old story left as it was. Written only by alerts.intake and alerts.receivers.
    """

    # Intake locks both rows before it writes alerts, once for a batch. A constraint would do it again for every
    # row; that was a fifth of an insert's cost.
    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="alerts", db_constraint=False, db_index=False
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, related_name="alerts", db_constraint=False, db_index=False
    )
    dedup_key = models.CharField(max_length=512)
    is_current = models.BooleanField(default=True)
    status = models.CharField(max_length=16, choices=AlertStatus, default=AlertStatus.FIRING)
    title = models.CharField(max_length=1024)
    severity = models.CharField(max_length=16, choices=Severity)
    source = models.CharField(max_length=255, blank=True)
    labels = models.JSONField(default=dict, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    # Not a positive field: that would have a constraint of its own beside the one below.
    count = models.BigIntegerField(default=1, help_text="How often it was sent as firing.")
    first_fired_at = models.DateTimeField()
    last_fired_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "dedup_key"],
                condition=Q(is_current=True),
                name="alert_current_once_per_dedup_key",
            ),
            # Few and short: every batch reads each of them anew, twice, and that is a tenth of what it costs.
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alert_severity_known"),
            models.CheckConstraint(condition=Q(count__gte=1), name="alert_count_positive"),
            models.CheckConstraint(
                condition=Q(status=AlertStatus.FIRING, is_current=True, resolved_at__isnull=True)
                | Q(status=AlertStatus.RESOLVED, resolved_at__isnull=False),
                name="alert_firing_or_resolved",
            ),
        ]
        indexes = [
            models.Index(fields=["incident", "status", "id"], name="alert_by_incident"),
            # Ids are in the order of time, so the newest are at one end. The condition holds for every alert; it
            # keeps this index from intake's lookup by dedup key, for which PostgreSQL would take either of the
            # two as long as the table is small, and keep to it.
            models.Index(
                fields=["integration", "id"],
                condition=Q(first_fired_at__gt=LONG_AGO),
                name="alert_by_integration",
            ),
        ]

    def __str__(self) -> str:
        return self.title
