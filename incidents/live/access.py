"""Who is at the other end of a live connection, and what they may hear. In threads: it asks the database."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from sys import intern
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import TokenError

from incidents.models import Incident
from openalert import sql
from teams import api_tokens, scopes
from teams.api.authentication import AccessTokenAuthentication
from teams.exceptions import InvalidToken
from teams.models import Service, Team, User

PERSON = """
SELECT u.id::text, u.name, u.email, s.sees_all, s.credentials, t.teams, hashtextextended(
    jsonb_build_array(u.name, u.email, s.sees_all, s.credentials, t.teams)::text, 0) AS stamp
FROM teams_user u CROSS JOIN LATERAL (
    SELECT u.is_superuser OR u.is_auditor AS sees_all, u.password || '.' || u.sign_outs AS credentials
) AS s CROSS JOIN LATERAL (
    SELECT ARRAY(
        SELECT m.team_id::text FROM teams_membership m WHERE m.user_id = u.id AND NOT s.sees_all
        UNION ALL
        SELECT k.team_id::text FROM teams_apitoken k
        WHERE k.user_id = u.id AND k.team_id IS NOT NULL AND NOT s.sees_all
        UNION ALL
        SELECT id::text FROM teams_team WHERE s.sees_all
        ORDER BY 1
    ) AS teams
) AS t
WHERE u.is_active
"""
PEOPLE = f"{PERSON} AND u.id = ANY(%s::uuid[])"
# OFFSET 0: person by person, whatever the planner believes about the table's size.
CHANGED = f"""
SELECT k.id::text FROM unnest(%s::uuid[], %s::bigint[]) AS k(id, stamp)
LEFT JOIN LATERAL ({PERSON} AND u.id = k.id OFFSET 0) AS p ON true
WHERE p.stamp IS DISTINCT FROM k.stamp
"""  # noqa: S608 - words of our own
# Another text after any change of the rows that PERSON reads: whoever writes a row gives it another xmin. Tokens are
# written whenever they are used, so of those it is what they say.
STAMP = """
SELECT ROW(
    (SELECT sum(hashtextextended(ctid::text || xmin::text, 0)) FROM teams_user),
    (SELECT sum(hashtextextended(ctid::text || xmin::text, 0)) FROM teams_membership),
    (SELECT sum(hashtextextended(ctid::text || xmin::text, 0)) FROM teams_team),
    (SELECT sum(hashtextextended(user_id::text || team_id::text, 0)) FROM teams_apitoken WHERE team_id IS NOT NULL)
)::text
"""
ENDED = """
SELECT k.key FROM unnest(%s::text[]) AS k(key)
WHERE NOT EXISTS (SELECT FROM django_session s WHERE s.session_key = k.key AND s.expire_date > %s)
AND NOT EXISTS (
    SELECT FROM teams_apitoken t
    WHERE t.id = CASE WHEN k.key LIKE 'token:%%' THEN substr(k.key, 7)::uuid END
    AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > %s)
)
"""
MOVED = """
SELECT 'incident:' || k.id, s.team_id::text FROM unnest(%s::uuid[], %s::uuid[]) AS k(id, team)
LEFT JOIN incidents_incident i ON i.id = k.id LEFT JOIN teams_service s ON s.id = i.service_id
WHERE s.team_id IS DISTINCT FROM k.team
UNION ALL
SELECT 'service:' || k.id, s.team_id::text FROM unnest(%s::uuid[], %s::uuid[]) AS k(id, team)
LEFT JOIN teams_service s ON s.id = k.id
WHERE s.team_id IS DISTINCT FROM k.team
"""


@dataclass(slots=True, eq=False)
class Person:
    """Somebody with open connections, as of the last review."""

    id: str
    name: str
    initials: str
    sees_all: bool  # administrators and auditors
    password: (
        int  # a hash of it and of how often they signed out everywhere: a change ends sessions and tokens
    )
    teams: frozenset[str]
    stamp: int  # a hash of all of that, as the database makes it

    def may_hear(self, team: str) -> bool:
        return self.sees_all or team in self.teams


@dataclass(frozen=True)
class Admitted:
    person: Person
    session: str = ""  # or `token:` and the id of an API token
    expires_at: float = 0.0  # Unix time; 0 for what has no end that is known, like a session


@dataclass(frozen=True)
class Review:
    """What has changed for those who are connected."""

    changed: frozenset[str] = frozenset()  # people's ids
    people: dict[str, Person] = field(default_factory=dict)  # of the changed, those who may still sign in
    ended: frozenset[str] = frozenset()  # sessions
    teams: dict[str, str | None] = field(default_factory=dict)  # of rooms; None when what it is about is gone

    def __bool__(self) -> bool:
        return bool(self.changed or self.ended or self.teams)


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
    return _admitted(user.pk, session=key) if user.is_authenticated else None


def admit_by_token(token: str) -> Admitted | None:
    """By an access token or an API token that may read incidents.

    None for one that is not ours, has ended or been revoked, or whose person may not sign in.
    """
    if api_tokens.looks_like_one(token):
        try:
            known = api_tokens.authenticate(token)
        except InvalidToken:
            return None
        if not scopes.allow(known.scopes, "incidents", scopes.Level.READ):
            return None
        ends_at = known.expires_at.timestamp() if known.expires_at else 0.0
        return _admitted(known.user_id, session=f"token:{known.pk}", expires_at=ends_at)
    authentication = AccessTokenAuthentication()
    try:
        valid = authentication.get_validated_token(token.encode())
        user = authentication.get_user(valid)
    except (AuthenticationFailed, TokenError):
        return None
    return _admitted(user.pk, expires_at=float(valid["exp"]))


def _admitted(pk: UUID, *, session: str = "", expires_at: float = 0.0) -> Admitted | None:
    person = _people([str(pk)]).get(str(pk))
    return Admitted(person, session, expires_at) if person else None


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


def stamp() -> str:
    """Of who people are and the teams they belong to, all of them: the same text as before if nothing has changed."""
    [(found,)] = sql.fetch(STAMP, [])
    return str(found)


def review(people: Iterable[Person], sessions: Iterable[str], teams: dict[str, str]) -> Review:
    """What is not any more as it was, by a query for each of the three; most often nothing, and then that is all.

    `teams` are those of the rooms of incidents and services.
    """
    changed, ended, moved = frozenset[str](), frozenset[str](), dict[str, str | None]()
    if stamps := {(person.id, person.stamp) for person in people}:
        parameters = [sql.as_array(id for id, _ in stamps), sql.as_array(str(stamp) for _, stamp in stamps)]
        changed = frozenset(row[0] for row in sql.fetch(CHANGED, parameters))
    if keys := list(sessions):
        now = timezone.now()
        ended = frozenset(row[0] for row in sql.fetch(ENDED, [keys, now, now]))
    if teams:
        kinds: dict[str, list[tuple[str, str]]] = {"incident": [], "service": []}
        for room, team in teams.items():
            kind, _, identifier = room.partition(":")
            kinds[kind].append((identifier, team))
        columns = [
            sql.as_array(pair[place] for pair in pairs) for pairs in kinds.values() for place in (0, 1)
        ]
        moved = dict(sql.fetch(MOVED, columns))
    return Review(changed, _people(changed) if changed else {}, ended, moved)


def _people(ids: Iterable[str]) -> dict[str, Person]:
    """Those who may sign in."""
    found = {}
    for pk, name, email, sees_all, password, teams, stamp in sql.fetch(PEOPLE, [sql.as_array(ids)]):
        user = User(name=name, email=email)
        found[pk] = Person(
            pk, str(user), user.initials, sees_all, hash(password), frozenset(map(intern, teams)), stamp
        )
    return found


def _canonical(identifier: str) -> UUID | None:
    """A room is named by its id as we write it, and by nothing else."""
    try:
        known = UUID(identifier)
    except ValueError:
        return None
    return known if str(known) == identifier else None
