"""Choices of the escalations app."""

from django.db import models


class TargetKind(models.TextChoices):
    USER = "user", "A person"
    SCHEDULE = "schedule", "Whoever is on call in a schedule"
    TEAM = "team", "A whole team"


class RunStatus(models.TextChoices):
    RUNNING = "running", "Running"
    STOPPED = "stopped", "Stopped"
    EXHAUSTED = "exhausted", "Ended without an answer"
