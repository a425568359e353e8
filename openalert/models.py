"""What an installation knows of itself, beside what people and alerts are about."""

from django.db import models


class Pulse(models.Model):
    """When something that has to happen again and again last happened. Written by openalert.pulse."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Election(models.Model):
    """Which of several processes does what only one may do. Written by openalert.election, by the database's clock."""

    name = models.CharField(max_length=32, primary_key=True)
    holder = models.CharField(max_length=128)
    until = models.DateTimeField()
    state = models.JSONField(default=dict, db_default={})

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"
