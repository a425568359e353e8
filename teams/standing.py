"""What somebody is to the whole installation, and what a team's token acts as. `access` says what follows for teams.

Beside the roles of teams there are two of the installation: administrators (superusers) may do everything, auditors see
everything of all teams and change nothing by that. An auditor who is also a member of a team does there what their
role in it allows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from .enums import Role

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from .models import User


@dataclass(frozen=True)
class Grant:
    """What a team's API token may be at most: a role in that team, and nothing elsewhere."""

    team_id: UUID
    role: Role


def grant_of(user: "User | AnonymousUser") -> Grant | None:
    """None for people."""
    return getattr(user, "grant", None)


def is_admin(user: "User | AnonymousUser") -> bool:
    return bool(user.is_active and user.is_superuser)


def sees_everything(user: "User | AnonymousUser") -> bool:
    """Whether what all teams own is theirs to read. People's own matters are not in it."""
    return bool(user.is_active and (user.is_superuser or getattr(user, "is_auditor", False)))


def may_read_audit(user: "User | AnonymousUser") -> bool:
    """Whether they may read what was done in the whole installation."""
    return sees_everything(user)
