"""Maintenance windows: work that is known to set off alerts."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q, Value

from alerts import maintenance_labels
from alerts.enums import MaintenanceMode, Repeats
from openalert.base import BaseModel
from teams.models import Service, Team, TeamOwnedQuerySet, TimeZoneNameField


class Effect(models.Model):
    """What maintenance is about beside its services, and what it does."""

    mode = models.CharField(
        max_length=16,
        choices=MaintenanceMode,
        default=MaintenanceMode.SUPPRESS,
        db_default=MaintenanceMode.SUPPRESS,
        help_text="What it does to paging.",
    )
    conditions = models.JSONField(
        default=list,
        db_default=Value([], output_field=models.JSONField()),
        blank=True,
        help_text="On labels, see alerts.maintenance_labels: it is about incidents of which all firing alerts meet all of them.",
    )

    class Meta:
        abstract = True

    @property
    def conditions_in_words(self) -> list[str]:
        return maintenance_labels.in_words(self.conditions)


class MaintenanceSeries(Effect, BaseModel):
    """Work that comes again. Its windows are ordinary ones, made some weeks ahead. Written by alerts.maintenance_series."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="maintenance_series")
    title = models.CharField(max_length=200)
    services = models.ManyToManyField(
        Service, blank=True, related_name="+", help_text="Of the team. None: all of its services."
    )
    repeats = models.CharField(max_length=16, choices=Repeats)
    time_zone = TimeZoneNameField(help_text="It comes at the same time on this zone's clock.")
    starts_at = models.DateTimeField(help_text="The first time.")
    duration = models.DurationField()
    until = models.DateField(
        null=True, blank=True, help_text="The last day, in its time zone; none: for ever."
    )
    skipped = ArrayField(models.DateTimeField(), default=list, blank=True, editable=False)
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
        ordering = ["title"]
        verbose_name_plural = "maintenance series"
        constraints = [
            models.CheckConstraint(condition=Q(duration__gt=timedelta(0)), name="series_lasts"),
            models.CheckConstraint(condition=Q(repeats__in=Repeats.values), name="series_repeats_known"),
            models.CheckConstraint(condition=Q(mode__in=MaintenanceMode.values), name="series_mode_known"),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def ends_at(self) -> datetime:
        """Of the first time."""
        return self.starts_at + self.duration


class MaintenanceWindow(Effect, BaseModel):
    """While it lasts, incidents of its services are opened, but nobody is paged, or with low urgency. Written by alerts.maintenance."""

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
    series = models.ForeignKey(
        MaintenanceSeries,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="windows",
    )
    # When the series has it; the window itself may be moved.
    occurs_at = models.DateTimeField(null=True, blank=True, editable=False)
    is_start_told = models.BooleanField(default=False, editable=False)
    is_end_told = models.BooleanField(default=False, editable=False)
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
            ),
            models.UniqueConstraint(fields=["series", "occurs_at"], name="maintenance_occurs_once"),
            models.CheckConstraint(
                condition=Q(mode__in=MaintenanceMode.values), name="maintenance_mode_known"
            ),
        ]
        indexes = [
            models.Index(fields=["team", "ends_at"], name="maintenance_by_end"),
            models.Index(
                fields=["starts_at"], condition=Q(is_start_told=False), name="maintenance_start_to_tell"
            ),
            models.Index(fields=["ends_at"], condition=Q(is_end_told=False), name="maintenance_end_to_tell"),
        ]

    def __str__(self) -> str:
        return self.title

    def covers(self, service: Service, at: datetime) -> bool:
        """Whether it is about the service at the instant, as far as labels allow; `services` should be loaded."""
        if service.team_id != self.team_id or not self.starts_at <= at < self.ends_at:
            return False
        services = self.services.all()
        return not services or any(named.pk == service.pk for named in services)
