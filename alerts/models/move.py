"""Where alerts were before their incident was merged into another one."""

from django.db import models

from incidents.models import Incident

from .alert import Alert


class AlertMove(models.Model):
    """The alert came along when `incident` was merged: taken out again, the incident gets it back.

    Written only by alerts.receivers and alerts.splitting. Without constraints in the database, as the alerts are: a
    storm's worth is moved at once, and retention removes them with their alerts.
    """

    alert = models.ForeignKey(
        Alert, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "alert"], name="alert_move_once")]
        indexes = [models.Index(fields=["alert"], name="alert_move_by_alert")]

    def __str__(self) -> str:
        return f"{self.alert_id} was in {self.incident_id}"
