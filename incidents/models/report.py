"""Reports that go out by email, and those that went."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django_celery_beat.models import PeriodicTask

from incidents.enums import Recipients, ReportKind
from openalert.base import BaseModel
from teams.models import Team


class ReportSchedule(BaseModel):
    """A report of a team that is mailed again and again. When, and whether at all, is its periodic task's to say.

    Written only by incidents.reports.schedules.
    """

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="report_schedules")
    kind = models.CharField(max_length=16, choices=ReportKind)
    recipients = models.CharField(max_length=16, choices=Recipients, default=Recipients.MANAGERS)
    addresses = ArrayField(
        models.EmailField(), default=list, blank=True, help_text="Others who get it, with commas in between."
    )
    task = models.OneToOneField(
        PeriodicTask, on_delete=models.PROTECT, editable=False, related_name="report_schedule"
    )

    class Meta:
        ordering = ["team__name", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["team", "kind"], name="report_schedule_once_per_team"),
            models.CheckConstraint(condition=Q(kind__in=ReportKind.values), name="report_kind_known"),
            models.CheckConstraint(
                condition=Q(recipients__in=Recipients.values), name="report_recipients_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.team}"


class ReportSent(BaseModel):
    """A report to one address: written before the mail server is asked, so that no day's report goes out twice."""

    schedule = models.ForeignKey(ReportSchedule, on_delete=models.CASCADE, related_name="sent")
    address = models.EmailField()
    day = models.DateField(help_text="On which it goes out, in the schedule's time zone.")
    sent_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "reports sent"
        constraints = [
            models.UniqueConstraint(fields=["schedule", "address", "day"], name="report_once_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.address}, {self.day}"
