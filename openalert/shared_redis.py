"""A client for what is convenient to have in Redis: figures, failed tasks. It never waits for long."""

from functools import cache

import redis
from django.conf import settings

TIMEOUT_SECONDS = 1.0


def client() -> redis.Redis:
    """For the calling process; raises redis.RedisError in use while Redis is away."""
    return _client(settings.REDIS_URL)


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, decode_responses=True
    )
