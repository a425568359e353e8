"""Filters of the list of incidents that people keep."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from openalert.base import BaseModel
from teams.models import Team

if TYPE_CHECKING:
    from teams.models import User


class SavedFilterQuerySet(models.QuerySet["SavedFilter"]):
    def visible_to(self, user: "User") -> "SavedFilterQuerySet":
        """The person's own, and those that others share with their teams."""
        return self.filter(Q(user=user) | Q(team__in=Team.objects.visible_to(user)))


class SavedFilter(BaseModel):
    """A filter by name: the query string of the list's address. Shared with a team, or only its owner's."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_filters")
    team = models.ForeignKey(
        Team, on_delete=models.CASCADE, null=True, blank=True, related_name="saved_filters"
    )
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)

    objects = SavedFilterQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint("user", Lower("name"), name="saved_filter_once_by_name")]

    def __str__(self) -> str:
        return self.name
