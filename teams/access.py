"""Who may do what. Seeing is decided by the QuerySets' `visible_to`, which all ask `Team.objects.visible_to`; doing, here.

Roles of the installation, and tokens that act for a team, are in `standing`.
"""

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from openalert.exceptions import PermissionMissing

from .enums import Role
from .models import Membership, Team, User
from .standing import grant_of, is_admin


def has_role(user: User | AnonymousUser, team: Team, *roles: Role) -> bool:
    """Whether `user` has one of `roles` in `team`; administrators have all, inactive people none."""
    if not user.is_authenticated or not user.is_active:
        return False
    if grant := grant_of(user):
        return grant.team_id == team.pk and grant.role in roles
    return is_admin(user) or Membership.objects.filter(user=user, team=team, role__in=roles).exists()


def can_respond(user: User | AnonymousUser, team: Team) -> bool:
    """May act on the team's incidents."""
    return has_role(user, team, Role.MANAGER, Role.RESPONDER)


def teams_to_respond_for(user: User | AnonymousUser) -> QuerySet[Team]:
    """The teams on whose incidents `user` may act."""
    return _teams_as(user, Role.MANAGER, Role.RESPONDER)


def teams_to_manage(user: User | AnonymousUser) -> QuerySet[Team]:
    """The teams that `user` may change."""
    return _teams_as(user, Role.MANAGER)


def _teams_as(user: User | AnonymousUser, *roles: Role) -> QuerySet[Team]:
    if not user.is_authenticated or not user.is_active:
        return Team.objects.none()
    if grant := grant_of(user):
        return Team.objects.filter(pk=grant.team_id) if grant.role in roles else Team.objects.none()
    if is_admin(user):
        return Team.objects.all()
    return Team.objects.filter(memberships__user=user, memberships__role__in=roles)


def can_manage(user: User | AnonymousUser, team: Team) -> bool:
    """May change what the team owns: services, schedules, integrations, policies, members."""
    return has_role(user, team, Role.MANAGER)


def require_respond(user: User | AnonymousUser, team: Team) -> None:
    """Raises PermissionMissing unless `user` may act on the team's incidents."""
    if not can_respond(user, team):
        raise PermissionMissing(f"Only responders and managers of {team} may do this.")


def require_manage(user: User | AnonymousUser, team: Team) -> None:
    """Raises PermissionMissing unless `user` may change what the team owns."""
    if not can_manage(user, team):
        raise PermissionMissing(f"Only managers of {team} may do this.")


def may_administer(user: User | AnonymousUser) -> bool:
    """May create and remove teams, and change what belongs to no team."""
    return is_admin(user)


def require_administer(user: User | AnonymousUser) -> None:
    """Raises PermissionMissing unless `user` is an administrator of the installation."""
    if not may_administer(user):
        raise PermissionMissing("Only administrators may do this.")
