"""What an API token may be used for, beside what the one whom it acts as may do.

`read`, `write` and `admin` are for the whole API, each with those before it: reading; answering incidents and other daily
work; changing what is set up. `incidents:read` and `incidents:write` are for one area alone, whatever it is.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple

from .enums import Role

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Level(IntEnum):
    READ = 1
    WRITE = 2
    ADMIN = 3


class Area(NamedTuple):
    writing: Level  # what it takes to write there
    addresses: tuple[str, ...]  # the first words after /api/v1/


AREAS = {
    "incidents": Area(Level.WRITE, ("incidents", "action-items")),
    "alerts": Area(Level.WRITE, ("alerts", "changes")),
    "maintenance": Area(Level.WRITE, ("maintenance-windows", "maintenance-series")),
    "on-call": Area(
        Level.WRITE,
        ("schedule-overrides", "shift-swaps", "hand-over-notes", "calendar-feeds", "coverage", "on-call"),
    ),
    "schedules": Area(Level.ADMIN, ("schedules",)),
    "escalation": Area(Level.ADMIN, ("escalation-policies", "routing-rules", "escalation-runs")),
    "integrations": Area(Level.ADMIN, ("integrations",)),
    "heartbeats": Area(Level.ADMIN, ("heartbeats",)),
    "webhooks": Area(Level.ADMIN, ("webhooks", "webhook-deliveries")),
    "services": Area(Level.ADMIN, ("services", "service-dependencies")),
    "teams": Area(Level.ADMIN, ("teams", "memberships", "users")),
    "notifications": Area(Level.WRITE, ("notifications", "dead-letters")),
    "me": Area(
        Level.WRITE,
        ("me", "contact-methods", "notification-rules", "quiet-hours", "push-subscriptions"),
    ),
}
# No token makes, sees or revokes tokens: what leaked must not be able to stay.
CLOSED = frozenset({"auth", "api-tokens"})
AREA_OF = {address: name for name, area in AREAS.items() for address in area.addresses}
ALL = (
    *(level.name.lower() for level in Level),
    *(f"{name}:{end}" for name in AREAS for end in ("read", "write")),
)


def allow(scopes: Collection[str], area: str, level: Level) -> bool:
    """Whether the scopes are enough for what takes `level` in the area."""
    if any(has.name.lower() in scopes for has in Level if has >= level):
        return True
    return f"{area}:write" in scopes or (level == Level.READ and f"{area}:read" in scopes)


def allow_request(scopes: Collection[str], method: str, path: str) -> bool:
    """Whether the scopes are enough for a request of the REST API. What is in no area is closed to tokens."""
    word = path.removeprefix("/api/v1/").split("/", 1)[0]
    area = AREA_OF.get(word)
    if area is None:
        return False
    return allow(scopes, area, Level.READ if method in SAFE else AREAS[area].writing)


def role_for(scopes: Collection[str]) -> Role:
    """The role in its team that a team's token needs for its scopes, and has at most."""
    writes = [AREAS[scope.removesuffix(":write")].writing for scope in scopes if scope.endswith(":write")]
    highest = max([*writes, *(level for level in Level if level.name.lower() in scopes), Level.READ])
    return {Level.READ: Role.OBSERVER, Level.WRITE: Role.RESPONDER, Level.ADMIN: Role.MANAGER}[highest]
