"""How many messages a provider account is handed in a minute, all workers together.

Redis keeps a window of the last minute for each account, exact to the message. When it has none (a new account, a
flush), the window is filled from the attempts in PostgreSQL; when Redis is away, those are counted instead. What was
counted by a clock that was ahead, and has been put right since, is forgotten. The last
fifth of a limit is kept for critical pages, so that a flood of others does not make them wait.
"""

import logging
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import redis
from django.conf import settings
from django.db.models import Min

from .models import DeliveryAttempt

logger = logging.getLogger(__name__)

WINDOW = timedelta(minutes=1)
NO_LIMIT = 0
# A page in the app is handed to nobody outside.
UNLIMITED_ACCOUNTS = ("in_app",)
REDIS_TIMEOUT_SECONDS = 0.5
REDIS_PAUSE_SECONDS = 2.0
UNKNOWN = -1

# Answers how many milliseconds to wait (0: none, and the message is counted), or UNKNOWN without a window to look at.
# KEYS: the window. ARGV: now and the span in ms, the limit, the message ("": only look), whether what follows fills
# an unknown window (instants and messages).
SCRIPT = """
local now, span, limit, message = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if redis.call('EXISTS', KEYS[1]) == 0 then
  if ARGV[5] == '0' then return -1 end
  for i = 6, #ARGV, 2 do redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - span)
redis.call('ZREMRANGEBYSCORE', KEYS[1], now + span, '+inf')
local used = redis.call('ZCARD', KEYS[1])
if used >= limit then
  local leaves = redis.call('ZRANGE', KEYS[1], used - limit, used - limit, 'WITHSCORES')
  return math.max(1, math.ceil(tonumber(leaves[2]) + span - now))
end
if message ~= '' then
  redis.call('ZADD', KEYS[1], now, message)
  redis.call('PEXPIRE', KEYS[1], span)
end
return 0
"""

_away_until = 0.0


def limit_of(account: str) -> int:
    """Messages a minute; NO_LIMIT for as many as there are."""
    if account in UNLIMITED_ACCOUNTS:
        return NO_LIMIT
    of_transport = settings.PROVIDER_LIMITS.get(account.partition("-")[0], settings.PROVIDER_LIMIT_PER_MINUTE)
    return settings.PROVIDER_LIMITS.get(account, of_transport)


def room_for(account: str, *, is_critical: bool) -> int:
    """How much of the limit such a message may use up."""
    limit = limit_of(account)
    return limit if is_critical or limit == NO_LIMIT else max(1, limit * 4 // 5)


def look(account: str, *, is_critical: bool, now: datetime) -> timedelta | None:
    """How long a message would have to wait at present; counts nothing."""
    return _ask(account, "", is_critical=is_critical, now=now)


def take(account: str, request_id: UUID, *, is_critical: bool, now: datetime) -> timedelta | None:
    """Count a message that is about to be handed over, or say how long it has to wait. Repeating it counts once.

    Two workers at once cannot both get the last place. Not inside a transaction: it asks Redis.
    """
    return _ask(account, str(request_id), is_critical=is_critical, now=now)


def _ask(account: str, message: str, *, is_critical: bool, now: datetime) -> timedelta | None:
    global _away_until
    room = room_for(account, is_critical=is_critical)
    if room == NO_LIMIT:
        return None
    if time.monotonic() >= _away_until:
        try:
            return _ask_redis(account, message, room, now)
        except redis.RedisError as error:
            _away_until = time.monotonic() + REDIS_PAUSE_SECONDS
            logger.warning("the limit of %s is counted in PostgreSQL: %r", account, error)
    return _ask_postgres(account, message, room, now)


def _ask_redis(account: str, message: str, room: int, now: datetime) -> timedelta | None:
    key = f"openalert:limit:{account}"
    span = round(WINDOW.total_seconds() * 1000)
    values: list[Any] = [_milliseconds(now), span, room, message]
    script = _script(settings.REDIS_URL)
    wait = int(script(keys=[key], args=[*values, 0]))
    if wait == UNKNOWN:
        if not message:
            return None  # it will be asked again, with the message
        filling = [part for name, at in _recent(account, message, now) for part in (_milliseconds(at), name)]
        wait = int(script(keys=[key], args=[*values, 1, *filling]))
    return timedelta(milliseconds=wait) if wait else None


def _ask_postgres(account: str, message: str, room: int, now: datetime) -> timedelta | None:
    recent = _recent(account, message, now)
    return recent[-room][1] + WINDOW - now if len(recent) >= room else None


def _recent(account: str, without: str, now: datetime) -> list[tuple[str, datetime]]:
    """The other messages of the last minute and when they were handed over, oldest first."""
    attempts = DeliveryAttempt.objects.filter(
        account=account, started_at__gt=now - WINDOW, started_at__lt=now + WINDOW, request_id__isnull=False
    )
    rows = attempts.order_by().values_list("request_id").annotate(at=Min("started_at"))
    return sorted(((str(name), at) for name, at in rows if str(name) != without), key=lambda row: row[1])


def _milliseconds(at: datetime) -> int:
    return round((at - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1))


@cache
def _script(url: str) -> Any:
    client = redis.Redis.from_url(
        url, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS
    )
    return client.register_script(SCRIPT)
