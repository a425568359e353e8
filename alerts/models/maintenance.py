"""Maintenance windows: work that is known to set off alerts."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from openalert.base import BaseModel
from teams.models import Service, Team, TeamOwnedQuerySet


class MaintenanceWindow(BaseModel):
    """While it lasts, incidents of its services are opened, but nobody is paged. Written by alerts.maintenance."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="maintenance_windows")
    title = models.CharField(max_length=200)
    services = models.ManyToManyField(
        Service,
        blank=True,
        related_name="maintenance_windows",
        help_text="Of the team. None: all of its services.",
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="maintenance_ends_after_start"
            )
        ]
        indexes = [models.Index(fields=["team", "ends_at"], name="maintenance_by_end")]

    def __str__(self) -> str:
        return self.title

    def covers(self, service: Service, at: datetime) -> bool:
        """Whether it is about the service at the instant; `services` should be loaded."""
        if service.team_id != self.team_id or not self.starts_at <= at < self.ends_at:
            return False
        services = self.services.all()
        return not services or any(named.pk == service.pk for named in services)
