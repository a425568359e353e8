"""Choices of the teams app."""

from django.db import models


class Role(models.TextChoices):
    MANAGER = "manager", "Manager"
    RESPONDER = "responder", "Responder"
    OBSERVER = "observer", "Observer"


class InstallationRole(models.TextChoices):
    """A role in all of the installation."""

    ADMIN = "admin", "Administrator"
    AUDITOR = "auditor", "Auditor"


class Correlation(models.TextChoices):
    """What becomes of a service's alerts while something that it depends on has an incident."""

    OFF = "off", "Nothing"
    SUGGEST = "suggest", "Suggest to merge the incidents"
    JOIN = "join", "Put new alerts into the upstream incident"


class Rotation(models.TextChoices):
    """What a turn is counted in. Days, weeks and months are local: a 09:00 hand-over stays at 09:00 across DST; hours and
    minutes are real ones."""

    HOURLY = "hourly", "Hours"
    DAILY = "daily", "Days"
    WEEKLY = "weekly", "Weeks"
    MONTHLY = "monthly", "Months"
    CUSTOM = "custom", "Minutes"


class OnHolidays(models.TextChoices):
    """What public holidays are to a layer."""

    SAME = "same", "Like any other day"
    OFF = "off", "Off on holidays"
    ON = "on", "On for the whole holiday"


class SwapStatus(models.TextChoices):
    ASKED = "asked", "Asked"
    ACCEPTED = "accepted", "Accepted"
    DECLINED = "declined", "Declined"
    WITHDRAWN = "withdrawn", "Withdrawn"
    EXPIRED = "expired", "Expired"
