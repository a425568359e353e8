"""Who is acting, and from where: the request's person, the running task, or the command that was typed."""

import getpass
import ipaddress
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from django.http import HttpRequest

USER, NOBODY, SYSTEM, COMMAND = "user", "nobody", "system", "command"
ADMIN = "/admin/"
# The first that the path begins with names the door.
DOORS = {ADMIN: "admin", "/api/": "api", "/v2/": "api", "/hooks/": "callback", "/answer/": "link"}


@dataclass(frozen=True)
class Source:
    """`kind`: user, nobody (not signed in), system, or command (then `name` is the account on the machine).

    `via` is the door: web, api, admin, a task's or command's name.
    """

    kind: str
    id: UUID | None = None
    name: str = ""
    via: str = ""
    address: str | None = None

    @classmethod
    def of_user(cls, user: Any, *, via: str = "", address: str | None = None) -> "Source":
        return cls(USER, user.pk, str(user), via, address)


_request: ContextVar[HttpRequest | None] = ContextVar("audited_request", default=None)
_source: ContextVar[Source | None] = ContextVar("audit_source", default=None)


def current() -> Source:
    """Whoever is acting now."""
    if source := _source.get():
        return source
    request = _request.get()
    if request is None:
        return of_process()
    via = next((door for path, door in DOORS.items() if request.path.startswith(path)), "web")
    user = getattr(request, "user", None)  # REST framework sets it too, once it has looked at the token
    if user is None or not user.is_authenticated:
        return Source(NOBODY, via=via, address=address_of(request))
    return Source.of_user(user, via=via, address=address_of(request))


def address_of(request: HttpRequest) -> str | None:
    """Of whoever is connected; behind proxies that the server was told to trust, what these say. None for a socket."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")))
    except ValueError:
        return None


def of_process() -> Source:
    """Without a request or a task: a command that somebody typed, or a thread of ours."""
    if Path(sys.argv[0]).name != "manage.py" or len(sys.argv) < 2:
        return Source(SYSTEM, name="OpenAlert")
    try:
        account = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in containers
        account = ""
    return Source(COMMAND, name=account, via=sys.argv[1])


@contextmanager
def acting_as(source: Source) -> Iterator[None]:
    """Within, `source` is who acts."""
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def enter_task(name: str) -> None:
    """For a thread that begins a task: whatever ran in it before is over."""
    _source.set(Source(SYSTEM, name="OpenAlert", via=name))


def leave_task() -> None:
    _source.set(None)


@contextmanager
def serving(request: HttpRequest) -> Iterator[None]:
    """Within, it is `request` that acts."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)
