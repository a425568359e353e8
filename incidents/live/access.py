"""Who is at the other end of a live connection, and what they may hear. In threads: it asks the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError

from incidents.models import Incident
from teams.models import Membership, Service, Team, User


@dataclass(slots=True, weakref_slot=True, eq=False)
class Person:
    """Somebody with open connections, as of the last review."""

    id: str
    name: str
    initials: str
    is_superuser: bool
    password: int  # a hash of what is stored; another password ends sessions and tokens
    teams: frozenset[str]

    def may_hear(self, team: str) -> bool:
        return self.is_superuser or team in self.teams


@dataclass(frozen=True)
class Admitted:
    person: Person
    session: str = ""
    expires_at: float = 0.0  # Unix time; 0 for a session


@dataclass(frozen=True)
class Review:
    """What became of those who are connected. Whoever or whatever is missing is gone."""

    people: dict[str, Person] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    teams: dict[str, str] = field(default_factory=dict)  # of the rooms of incidents and services


def session_in(cookies: str) -> str:
    """The session's key in a Cookie header; "" without one."""
    try:
        morsel = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def admit_by_session(key: str) -> Admitted | None:
    """None when nobody is signed in with it."""
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = get_user(request)
    return Admitted(_people([user.pk])[str(user.pk)], session=key) if user.is_authenticated else None


def admit_by_token(token: str) -> Admitted | None:
    """None for a token that is no access token of ours, has ended, or whose person may not sign in."""
    authentication = JWTAuthentication()
    try:
        valid = authentication.get_validated_token(token.encode())
        user = authentication.get_user(valid)
    except (AuthenticationFailed, TokenError):
        return None
    return Admitted(_people([user.pk])[str(user.pk)], expires_at=float(valid["exp"]))


def teams_of(rooms: Iterable[str]) -> dict[str, str]:
    """The team of each room of a team, a service or an incident that there is; at most three queries."""
    wanted: dict[str, list[UUID]] = {"team": [], "service": [], "incident": []}
    for room in rooms:
        kind, _, identifier = room.partition(":")
        if kind in wanted and (known := _canonical(identifier)):
            wanted[kind].append(known)
    found: dict[str, str] = {}
    if wanted["team"]:
        teams = Team.objects.filter(pk__in=wanted["team"]).values_list("pk", flat=True)
        found |= {f"team:{team}": str(team) for team in teams}
    if wanted["service"]:
        services = Service.objects.filter(pk__in=wanted["service"]).values_list("pk", "team_id")
        found |= {f"service:{service}": str(team) for service, team in services}
    if wanted["incident"]:
        incidents = Incident.objects.filter(pk__in=wanted["incident"]).order_by()
        pairs = incidents.values_list("pk", "service__team_id")
        found |= {f"incident:{incident}": str(team) for incident, team in pairs}
    return found


def review(people: Iterable[str], sessions: Iterable[str], rooms: Iterable[str]) -> Review:
    """How it stands now with so many people, sessions and rooms: a fixed number of queries."""
    live = Session.objects.filter(session_key__in=list(sessions), expire_date__gt=timezone.now())
    return Review(_people(people), set(live.values_list("session_key", flat=True)), teams_of(rooms))


def _people(ids: Iterable[str | UUID]) -> dict[str, Person]:
    """Those who may sign in."""
    users = list(User.objects.filter(pk__in=list(ids), is_active=True))
    teams: dict[UUID, set[str]] = {user.pk: set() for user in users}
    for user_id, team_id in Membership.objects.filter(user__in=users).values_list("user_id", "team_id"):
        teams[user_id].add(str(team_id))
    if any(user.is_superuser for user in users):
        every = {str(pk) for pk in Team.objects.values_list("pk", flat=True)}
        teams |= {user.pk: every for user in users if user.is_superuser}
    return {
        str(user.pk): Person(
            str(user.pk),
            str(user),
            user.initials,
            user.is_superuser,
            hash(user.password),
            frozenset(teams[user.pk]),
        )
        for user in users
    }


def _canonical(identifier: str) -> UUID | None:
    """A room is named by its id as we write it, and by nothing else."""
    try:
        known = UUID(identifier)
    except ValueError:
        return None
    return known if str(known) == identifier else None
