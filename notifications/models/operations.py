"""What those who run the installation look after: how providers fare, and who is told of it."""

from datetime import datetime

from django.db import models
from django.utils import timezone

from openalert.base import BaseModel
from teams.models import Team


class ProviderAccount(BaseModel):
    """How a transport's account at its provider fares. Written only by notifications.accounts.

    It stands in PostgreSQL: a flushed Redis must not make us hammer a provider that asked for a pause.
    """

    name = models.CharField(max_length=32, unique=True)
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="The provider asked for a pause (Retry-After)."
    )
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    open_until = models.DateTimeField(
        null=True, blank=True, help_text="The circuit breaker is open: then one message is tried."
    )
    openings = models.PositiveIntegerField(default=0, help_text="Of the circuit breaker, in a row.")
    last_error = models.TextField(blank=True)
    last_failed_at = models.DateTimeField(null=True, blank=True)
    operations_told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def closed_until(self) -> datetime | None:
        """When something may be handed to it again; None when it may be now."""
        ends = [end for end in (self.paused_until, self.open_until) if end and end > timezone.now()]
        return max(ends, default=None)


class OperationsTeam(BaseModel):
    """A team that looks after the installation: its responders are told of dead letters and see all of them."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return str(self.team)
