"""How often somebody may ask."""

import logging
import time
from typing import Any

import redis
from django.conf import settings
from django.core.cache import cache
from rest_framework import throttling
from rest_framework.request import Request

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
STRANGERS_SHARE = 2  # an address gets a half of what who is signed in gets


class ScopedRateThrottle(throttling.ScopedRateThrottle):
    """Counts in the cache server. While that is away nobody is held back: people must get in to answer a page."""

    def allow_request(self, request: Request, view: Any) -> bool:
        try:
            return bool(super().allow_request(request, view))
        except redis.RedisError as error:
            logger.warning("requests are not counted: %r", error)
            return True


class CallerThrottle(throttling.BaseThrottle):
    """So many requests in each minute of the clock for an API token, a person, or an address nobody is signed in at.

    Counted in the cache server, as a number: one that is away holds nobody back.
    """

    def allow_request(self, request: Request, view: Any) -> bool:
        now = time.time()
        self.left = WINDOW_SECONDS - now % WINDOW_SECONDS
        if request.auth is not None and hasattr(request.auth, "prefix"):
            caller, limit = f"token:{request.auth.pk}", settings.API_REQUESTS_PER_MINUTE
        elif request.user and request.user.is_authenticated:
            caller, limit = f"user:{request.user.pk}", settings.API_REQUESTS_PER_MINUTE
        else:
            caller = f"address:{self.get_ident(request)}"
            limit = max(1, settings.API_REQUESTS_PER_MINUTE // STRANGERS_SHARE)
        name = f"requests:{caller}:{now // WINDOW_SECONDS:.0f}"
        try:
            cache.add(name, 0, 2 * WINDOW_SECONDS)
            return cache.incr(name) <= limit
        except (redis.RedisError, ValueError) as error:  # a ValueError when it has just been flushed
            logger.warning("requests are not counted: %r", error)
            return True

    def wait(self) -> float:
        """Seconds until it may be tried again; the answer's Retry-After."""
        return self.left
