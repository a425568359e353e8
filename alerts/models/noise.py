"""How often each problem came, month by month: what a report about a year adds up. Written only by alerts.noise."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from .integration import Integration


class CountedMonth(models.Model):
    """A calendar month in UTC whose alerts are counted for good.

    `left` are the alerts that still took events then: they are not in the counts, and reports read their rows.
    """

    month = models.DateField(primary_key=True)
    left = ArrayField(models.UUIDField())

    def __str__(self) -> str:
        return f"{self.month:%B %Y}"


class MonthlyNoise(models.Model):
    """The alerts of one dedup key that first fired in a month.

    `alerts` and `sent` have a number for each severity, most severe first; `all_alerts` and `all_sent` are their sums,
    for most reports are about all.
    """

    id = models.BigAutoField(primary_key=True)
    month = models.ForeignKey(CountedMonth, on_delete=models.CASCADE, related_name="noise", db_index=False)
    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    dedup_key = models.CharField(max_length=512)
    title = models.CharField(max_length=1024)
    alerts = ArrayField(models.PositiveIntegerField())
    sent = ArrayField(models.PositiveBigIntegerField())
    all_alerts = models.PositiveIntegerField()
    all_sent = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["month", "integration", "dedup_key"], name="noise_once_a_month_per_dedup_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.dedup_key} in {self.month}"
