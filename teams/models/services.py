"""Services, and which of them need which."""

from typing import TYPE_CHECKING

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from openalert.base import BaseModel
from teams.enums import Correlation

from .people import Team, User

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser


class TeamOwnedQuerySet(models.QuerySet):
    """For rows with a `team`."""

    def visible_to(self, user: "User | AnonymousUser") -> "TeamOwnedQuerySet":
        """Those of the teams that `user` belongs to; all of them for a superuser."""
        return self.filter(team__in=Team.objects.visible_to(user))


class Service(BaseModel):
    """Something that a team runs and that can be broken: alerts arrive for it, incidents are about it."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="services")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    runbook_url = models.URLField(blank=True, max_length=500)
    resolves_with_alerts = models.BooleanField(
        default=True, help_text="Resolve the incident when the last of its open alerts is resolved."
    )

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), "team", name="service_name_unique_in_team"),
        ]

    def __str__(self) -> str:
        return self.name


USUAL_WINDOW_MINUTES = 30
LONGEST_WINDOW_MINUTES = 7 * 24 * 60


class ServiceDependencyQuerySet(models.QuerySet["ServiceDependency"]):
    def visible_to(self, user: "User | AnonymousUser") -> "ServiceDependencyQuerySet":
        """Those of services that `user` may see, on either side; all for a superuser."""
        services = Service.objects.visible_to(user)
        return self.filter(Q(service__in=services) | Q(upstream__in=services))


class ServiceDependency(BaseModel):
    """A service that is broken when another one, upstream of it, is. Written only by teams.dependencies.

    No service is upstream of itself, over however many others.
    """

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="dependencies")
    upstream = models.ForeignKey(
        Service, on_delete=models.CASCADE, related_name="dependents", verbose_name="depends on"
    )
    correlation = models.CharField(
        max_length=16,
        choices=Correlation,
        default=Correlation.SUGGEST,
        help_text="What becomes of its alerts while the upstream service has an incident.",
    )
    window_minutes = models.PositiveIntegerField(
        default=USUAL_WINDOW_MINUTES,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WINDOW_MINUTES)],
        help_text="The upstream incident counts for so long after its last alert.",
    )

    objects = ServiceDependencyQuerySet.as_manager()

    class Meta:
        ordering = ["service__name", "upstream__name"]
        verbose_name_plural = "service dependencies"
        constraints = [
            models.UniqueConstraint(fields=["service", "upstream"], name="dependency_once"),
            models.CheckConstraint(condition=~Q(service=F("upstream")), name="dependency_not_on_itself"),
            models.CheckConstraint(
                condition=Q(correlation__in=Correlation.values), name="dependency_correlation_known"
            ),
            models.CheckConstraint(
                condition=Q(window_minutes__range=(1, LONGEST_WINDOW_MINUTES)), name="dependency_window_sane"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} depends on {self.upstream}"
