"""Choices of the teams app."""

from django.db import models


class Role(models.TextChoices):
    MANAGER = "manager", "Manager"
    RESPONDER = "responder", "Responder"
    OBSERVER = "observer", "Observer"


class Correlation(models.TextChoices):
    """What becomes of a service's alerts while something that it depends on has an incident."""

    OFF = "off", "Nothing"
    SUGGEST = "suggest", "Suggest to merge the incidents"
    JOIN = "join", "Put new alerts into the upstream incident"


class Rotation(models.TextChoices):
    """How long a turn lasts, in units of local time: a 09:00 hand-over stays at 09:00 across DST."""

    HOURLY = "hourly", "Hours"
    DAILY = "daily", "Days"
    WEEKLY = "weekly", "Weeks"
