"""Choices of the alerts app."""

from django.db import models


class AlertStatus(models.TextChoices):
    FIRING = "firing", "Firing"
    RESOLVED = "resolved", "Resolved"


class Source(models.TextChoices):
    """What an integration speaks, hence at which address it listens."""

    OPENALERT = "openalert", "OpenAlert API"
    ALERTMANAGER = "alertmanager", "Prometheus Alertmanager"


class Grouping(models.TextChoices):
    NAME = "name", "By alert name"
    LABELS = "labels", "By chosen labels"
    ALL = "all", "All together"
    NONE = "none", "Not at all: an incident for each alert"
