"""Choices of the escalations app."""

from django.db import models


class TargetKind(models.TextChoices):
    USER = "user", "A person"
    SCHEDULE = "schedule", "Whoever is on call in a schedule"
    ROUND_ROBIN = "round_robin", "The people of a schedule in turn, one each time"
    TEAM = "team", "A whole team"
    MANAGER = "manager", "A team's managers"

    @property
    def field(self) -> str:
        """The field of a target that says which person, schedule or team it is."""
        return {TargetKind.ROUND_ROBIN: "schedule", TargetKind.MANAGER: "team"}.get(self, str(self))


class RunStatus(models.TextChoices):
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"
    EXHAUSTED = "exhausted", "Ended without an answer"


class WaitReason(models.TextChoices):
    """Why nobody is paged for now."""

    MAINTENANCE = "maintenance", "A maintenance window"
    WORKING_HOURS = "working_hours", "Low urgency, outside working hours"
