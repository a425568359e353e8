"""What people add to an alert."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from .alert import Alert


class AlertAdditions(models.Model):
    """Tags and labels that were added to an alert after it came. Written only by alerts.edits.

    They stand apart from what the monitoring system says, as that is written anew whenever the alert fires
    again.
    """

    alert = models.OneToOneField(
        Alert, on_delete=models.CASCADE, primary_key=True, related_name="additions", db_constraint=False
    )
    tags = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    labels = models.JSONField(default=dict, blank=True)

    class Meta:
        verbose_name_plural = "alert additions"

    def __str__(self) -> str:
        return f"Additions to {self.alert_id}"
