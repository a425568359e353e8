"""How a team works on incidents: its own settings, else the installation's, else ours."""

from dataclasses import dataclass

from django.db.models import F, Q

from teams.models import Team

from .models import ResponseSettings

LONGEST_ROLE = 60
DEFAULT_ROLES = """\
Commander: decides what is done next and who does it; does not type.
Communications: writes the status updates and answers those who ask.
Scribe: writes down what is seen, tried and decided.
Operations: changes systems, nobody else does."""
DEFAULT_TEMPLATE = """\
# Summary

What happened, in three sentences, for somebody who was not there.

{summary}

# Impact

{severity}, {service}. From {opened} to {resolved} ({duration}). Who noticed, and what could they not do?

# Timeline

{timeline}

# Cause

Why did it happen? Ask why again, until the answer is about the system and not about a person.

# What went well

-

# What went badly

-

# Where we were lucky

-
"""


@dataclass(frozen=True)
class RoleOffered:
    name: str
    duty: str


@dataclass(frozen=True)
class HowToRespond:
    """What holds for a team."""

    roles: tuple[RoleOffered, ...]
    template: str


def settings_for(team: Team) -> HowToRespond:
    """One query."""
    # The team's own first.
    rows = list(
        ResponseSettings.objects.filter(Q(team=team) | Q(team=None)).order_by(F("team").asc(nulls_last=True))
    )
    roles = next((row.roles for row in rows if row.roles.strip()), DEFAULT_ROLES)
    template = next(
        (row.postmortem_template for row in rows if row.postmortem_template.strip()), DEFAULT_TEMPLATE
    )
    return HowToRespond(tuple(read_roles(roles)), template)


def read_roles(text: str) -> list[RoleOffered]:
    """A line for each, “Name: what it does”; names beyond the first of their kind are left out. Raises ValueError on a
    name that is too long."""
    found: dict[str, RoleOffered] = {}
    for line in text.splitlines():
        name, _, duty = (part.strip() for part in line.partition(":"))
        if len(name) > LONGEST_ROLE:
            raise ValueError(f"“{name[:30]}…” is too long for a role: {LONGEST_ROLE} characters at most.")
        if name:
            found.setdefault(name.casefold(), RoleOffered(name, duty))
    return list(found.values())
