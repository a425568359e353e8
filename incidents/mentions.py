"""People who are named in a note are told: “@ana”, “@AnaRuiz”, by the name before their email's @, their first name, or all of it."""

import re
from collections.abc import Iterable

from django.utils.text import Truncator

from teams import notices
from teams.models import Team, User

from .models import Incident, TimelineEntry

# Not within a word or an address: “ops@ana.example” mentions nobody.
MENTION = re.compile(r"(?<![\w.@/])@([\w][\w.\-]*[\w]|\w)")
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)
MOST = 20


def mentioned(text: str, team: Team) -> list[User]:
    """The active members of the team that the text names, in the order of naming; a name that fits two of them is nobody's."""
    names = [name.casefold() for name in MENTION.findall(CODE.sub(" ", text))]
    if not names:
        return []
    members = list(team.members.filter(is_active=True))
    found: dict[User, None] = {}
    for name in names:
        # The most exact kind of name that fits anybody.
        for kind in (_address, _whole, _first):
            fitting = [person for person in members if kind(person) == name]
            if fitting:
                if len(fitting) == 1:
                    found[fitting[0]] = None
                break
    return list(found)[:MOST]


def _address(person: User) -> str:
    return person.email.partition("@")[0].casefold()


def _whole(person: User) -> str:
    return "".join(person.name.split()).casefold()


def _first(person: User) -> str:
    return person.name.split()[0].casefold() if person.name else ""


def tell(people: Iterable[User], incident: Incident, entry: TimelineEntry) -> None:
    """Write down that they are to be told, by email and on their open pages; not whoever wrote it."""
    text = Truncator(entry.data["text"]).chars(500)
    notices.give(
        notices.notice(
            person,
            key=f"mention:{entry.pk}",
            subject=f"{entry.actor_name} mentions you: #{incident.number} {incident.title}",
            text=text,
            path=incident.get_absolute_url(),
        )
        for person in people
        if person.pk != entry.actor_id
    )
