"""What an integration's rules make of what it sends, and what they hold back for now."""

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from alerts import rules
from alerts.exceptions import InvalidRule
from openalert.base import BaseModel
from teams.models import Service, Team

from .integration import Integration

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User


class OfIntegrationQuerySet(models.QuerySet):
    """For rows with an `integration`."""

    def visible_to(self, user: "User | AnonymousUser") -> "OfIntegrationQuerySet":
        return self.filter(integration__service__team__in=Team.objects.visible_to(user))


class IntegrationRule(BaseModel):
    """What to make of some of an integration's alerts; `alerts.rules` has the shapes of conditions and actions.

    Rules are tried in the order of their positions. Written by alerts.rulebook, so that intake knows at once.
    """

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="rules")
    position = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=120)
    is_enabled = models.BooleanField(default=True, help_text="Off: the rule is passed over.")
    conditions = models.JSONField(
        default=list, blank=True, help_text="All of them must hold; without any, the rule is for every alert."
    )
    actions = models.JSONField(default=list)
    # What the actions name, kept in step by save(): a service is not removed while a rule sends alerts to it.
    to_service = models.ForeignKey(
        Service, on_delete=models.RESTRICT, null=True, blank=True, editable=False, related_name="+"
    )

    objects = OfIntegrationQuerySet.as_manager()

    class Meta:
        ordering = ["integration", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "position"],
                name="integration_rule_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Raises ValidationError: of conditions and actions, one that names the place."""
        super().clean()
        try:
            rules.read_conditions(self.conditions)
            rules.read_actions(self.actions)
        except InvalidRule as fault:
            name, _, place = (fault.field or "actions").partition(".")
            raise ValidationError({name: f"{place}: {fault.detail}" if place else fault.detail}) from fault
        service_id = self._named_service()
        if service_id is None or not self.integration_id:
            return
        if not Service.objects.filter(pk=service_id, team=self.integration.service.team_id).exists():
            raise ValidationError({"actions": "Choose a service of the integration's own team."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.to_service_id = self._named_service()
        super().save(*args, **kwargs)

    def _named_service(self) -> Any:
        named = (a.service for a in rules.read_actions(self.actions) if isinstance(a, rules.SetService))
        return next(named, None)


class HeldAlert(BaseModel):
    """Something that fires, but is no alert yet: it has to last, or to fire more often. Written only by alerts.held.

    It has all that becomes of it, so that editing or removing rules does not change it. `due_at` is when it becomes
    an alert, None while it has not fired often enough; `expires_at` is when it is forgotten unless it does. While
    `firing_since` is None it is over, but its times are still counted.
    """

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="held_alerts")
    dedup_key = models.CharField(max_length=512)
    event = models.JSONField()
    to_service = models.ForeignKey(
        Service, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", db_constraint=False
    )
    grouping = models.TextField(null=True, blank=True)  # noqa: DJ001 (None leaves it to the integration)
    wait = models.DurationField(null=True, blank=True)
    times = models.PositiveSmallIntegerField(null=True, blank=True)
    within = models.DurationField(null=True, blank=True)
    count = models.PositiveBigIntegerField(default=1, help_text="How often it was sent as firing.")
    fired_at = ArrayField(models.DateTimeField(), default=list, help_text="The last times, as many as count.")
    firing_since = models.DateTimeField(null=True, blank=True)
    last_fired_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = OfIntegrationQuerySet.as_manager()

    class Meta:
        ordering = ["-last_fired_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["integration", "dedup_key"], name="held_alert_once_per_dedup_key"
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=False, expires_at__isnull=True)
                | Q(due_at__isnull=True, expires_at__isnull=False),
                name="held_alert_is_due_or_expires",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="held_alert_due"),
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="held_alert_expiring"
            ),
        ]

    @property
    def service(self) -> Service:
        """Where it becomes an alert."""
        return self.to_service or self.integration.service

    def __str__(self) -> str:
        return str(self.event.get("title") or self.dedup_key)
