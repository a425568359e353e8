"""Reads over several tables."""

from django.db.models import Prefetch, QuerySet

from .models import Override, Participant, Schedule


def with_rotation(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """With all that teams.oncall needs, in four queries however many schedules there are."""
    return schedules.select_related("team").prefetch_related(
        "layers",
        Prefetch("layers__participants", Participant.objects.select_related("user")),
        Prefetch("overrides", Override.objects.select_related("user")),
    )
