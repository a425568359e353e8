"""Alerts that come and go."""

from django.db import models

from openalert.base import BaseModel

from .integration import Integration


class Flap(BaseModel):
    """How often a problem ended its incident lately. Written only by alerts.flapping.

    `ends` are counted from `since`. While `settles_at` is set, the incident waits for the problem to stay quiet.
    """

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="+", db_constraint=False
    )
    dedup_key = models.CharField(max_length=512)
    incident = models.UUIDField()
    ends = models.PositiveIntegerField(default=1)
    since = models.DateTimeField()
    settles_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["integration", "dedup_key"], name="flap_once_per_dedup_key")
        ]
        indexes = [
            models.Index(
                fields=["settles_at"], condition=models.Q(settles_at__isnull=False), name="flap_settling"
            ),
            models.Index(fields=["since"], name="flap_since"),
        ]

    def __str__(self) -> str:
        return f"{self.dedup_key}: {self.ends}"
