"""Who may be given something to do about an incident."""

from django.db.models import QuerySet

from teams.access import can_respond
from teams.models import Team, User

from .exceptions import NotInTeam


def people_of(team: Team) -> QuerySet[User]:
    """The active members of the team, by name."""
    return team.members.filter(is_active=True).order_by("name", "pk")


def require_member(person: User | None, team: Team, *, field: str) -> None:
    """Raises NotInTeam for somebody who would not see the team's incidents; nobody at all is fine."""
    if person and not can_respond(person, team) and not people_of(team).filter(pk=person.pk).exists():
        raise NotInTeam(person=str(person), team=team.name, field=field)
