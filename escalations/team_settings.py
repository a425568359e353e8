"""What a team has decided about paging is written here."""

from django.db import transaction
from django.utils import timezone

from teams.models import Team

from . import changes
from .models import PagingSettings


def of_team(team: Team) -> PagingSettings:
    """The team's row; one that is not saved, in which nothing is decided, when it has none."""
    found = PagingSettings.objects.filter(team=team).select_related("team", "default_policy").first()
    return found or PagingSettings(team=team)


@transaction.atomic
def write(settings: PagingSettings) -> PagingSettings:
    """Save a team's settings, validated before. What waits for working hours goes on if it has not to any longer."""
    # Whoever carries out steps just now keeps the row as it is until then.
    PagingSettings.objects.select_for_update(no_key=True).filter(team=settings.team_id).first()
    settings.save()
    changes.look_again(team_ids=[settings.team_id], now=timezone.now())
    return settings
