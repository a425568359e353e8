"""Reads over several tables."""

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet

from .enums import Role
from .models import Membership, Override, Participant, Schedule, Team, User


def with_rotation(schedules: QuerySet[Schedule]) -> QuerySet[Schedule]:
    """With all that teams.oncall needs, in four queries however many schedules there are."""
    return schedules.select_related("team").prefetch_related(
        "layers",
        Prefetch("layers__participants", Participant.objects.select_related("user")),
        Prefetch("overrides", Override.objects.select_related("user")),
    )


def people_visible_to(user: User | AnonymousUser) -> QuerySet[User]:
    """The asker and everybody who shares a team with them; everybody for a superuser, none for nobody."""
    if not user.is_authenticated:
        return User.objects.none()
    if user.is_superuser:
        return User.objects.all()
    shared = Membership.objects.filter(user=OuterRef("pk"), team__in=Team.objects.visible_to(user))
    return User.objects.filter(Q(pk=user.pk) | Exists(shared))


def responders_of(team: Team) -> QuerySet[User]:
    """Whom the team may put on call: its active responders and managers."""
    roles = (Role.RESPONDER, Role.MANAGER)
    return User.objects.filter(is_active=True, memberships__team=team, memberships__role__in=roles)
