"""Changes: what was done to a service, told by those who did it."""

from typing import TYPE_CHECKING

from django.db import models

from openalert.base import BaseModel
from teams.models import Team

from .integration import Integration

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User

MAX_SUMMARY = 1024
MAX_SOURCE = 255


class ChangeQuerySet(models.QuerySet["Change"]):
    def visible_to(self, user: "User | AnonymousUser") -> "ChangeQuerySet":
        return self.filter(integration__service__team__in=Team.objects.visible_to(user))


class Change(BaseModel):
    """A deployment, a configuration, a migration: no problem by itself, but often where the next one comes from.

    Nobody is paged for it. It is about its integration's service. Written only by alerts.changes.
    """

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="changes", db_index=False
    )
    summary = models.CharField(max_length=MAX_SUMMARY)
    source = models.CharField(max_length=MAX_SOURCE, blank=True)
    at = models.DateTimeField(help_text="When it was made, by whoever sent it.")
    links = models.JSONField(
        default=list, blank=True, help_text="Objects with `href`, an address on the web, and `text`."
    )
    custom_details = models.JSONField(default=dict, blank=True)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["integration", "-at"], name="change_by_integration")]

    def __str__(self) -> str:
        return self.summary
