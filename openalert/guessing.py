"""Who guesses at secrets is held back: after so many failures in a minute, an address is answered 429.

That is against one who tries many. Many who try one account are teams.identity.lock_out's matter.

What succeeds is never counted: many people behind one address may sign in and answer pages as fast as they can. Counts
are kept in the cache server; while that is away nobody is held back, as people must get in to answer a page.
"""

import ipaddress
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import redis
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from openalert.acting import address_of
from openalert.error_shape import error_response, wants_json

logger = logging.getLogger(__name__)

SPAN_SECONDS = 60


@dataclass(frozen=True)
class Door:
    """Addresses that a secret opens: `failed` are the statuses of a wrong one, `most` how many a minute may have."""

    path: str
    failed: tuple[int, ...]
    most: int = 30
    methods: tuple[str, ...] = ("GET", "POST")


DOORS = (
    # A form with its errors is a failure. Whose account is tried is teams.identity.lock_out's matter.
    Door("/accounts/login/", (200, 403, 422), methods=("POST",)),
    Door("/accounts/reset/", (302,), most=10, methods=("POST",)),  # each is mail to somebody
    Door("/set-up/", (422,), methods=("POST",)),
    Door("/answer/", (403, 410)),
    Door("/calendar/", (404,)),
    Door("/hooks/", (401, 403)),
    Door("/metrics", (401, 404)),
)


class GuessingMiddleware:
    """Before sessions: who is held back costs one question to the cache server."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        door = door_of(request)
        if door is None:
            return self.get_response(request)
        if wait := held_back(door, request):
            return refusal(request, wait)
        response = self.get_response(request)
        note(door, request, response.status_code)
        return response


def door_of(request: HttpRequest) -> Door | None:
    if not settings.KNOWS_ADDRESSES:  # one guesser would hold back everybody
        return None
    return next(
        (door for door in DOORS if request.path.startswith(door.path) and request.method in door.methods),
        None,
    )


def held_back(door: Door, request: HttpRequest) -> int:
    """For how many seconds the address must wait; 0 when it need not."""
    try:
        failures = cache.get(_key(door, request), 0)
    except redis.RedisError as failure:
        logger.warning("failures are not counted: %r", failure)
        return 0
    return math.ceil(SPAN_SECONDS - time.time() % SPAN_SECONDS) if failures >= door.most else 0


def note(door: Door, request: HttpRequest, status: int) -> None:
    if status not in door.failed:
        return
    warn_of_stranger(request)
    key = _key(door, request)
    try:
        cache.add(key, 0, SPAN_SECONDS * 2)
        cache.incr(key)
    except (redis.RedisError, ValueError) as failure:  # ValueError: it ran out in between
        logger.warning("a failure was not counted: %r", failure)


def warn_of_stranger(request: HttpRequest) -> None:
    """A proxy that was not named in FORWARDED_ALLOW_IPS is taken for everybody behind it: whoever runs it should know."""
    address, given = address_of(request), request.headers.get("X-Forwarded-For", "")
    if address and given and address not in given:
        logger.warning(
            "X-Forwarded-For is not believed of %s: if that is a proxy of yours, name it in FORWARDED_ALLOW_IPS",
            address,
        )


def origin_of(request: HttpRequest) -> str | None:
    """Whom attempts are counted for: the address, of IPv6 its /64, as whoever has one has all of that."""
    address = address_of(request)
    return origin_of_address(address) if address else None


def origin_of_address(address: str) -> str:
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or ipaddress.IPv6Network((int(found), 64), strict=False).network_address
    return str(found)


def _key(door: Door, request: HttpRequest) -> str:
    return f"guesses:{door.path}:{origin_of(request)}:{int(time.time() // SPAN_SECONDS)}"


def refusal(request: HttpRequest, wait: int) -> HttpResponse:
    status = HTTPStatus.TOO_MANY_REQUESTS
    if wants_json(request) or not request.accepts("text/html"):
        response: HttpResponse = error_response(
            status, "throttled", f"Too many failures. Try again in {wait} s."
        )
    else:
        response = render(request, "429.html", {"wait": wait}, status=status)
    response["Retry-After"] = str(wait)
    return response
