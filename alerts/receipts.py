"""What became of requests, for APIs whose clients ask later: kept for a day, in the cache.

The cache may be flushed at any moment, so a receipt may be missing; nothing but such a question depends on it.
A request may be asked after with the key it was made with, and no other.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import msgspec
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

from .models import Integration

logger = logging.getLogger(__name__)

KEPT_SECONDS = 24 * 60 * 60
MAX_WAITING = 10_000


class Receipt(msgspec.Struct, frozen=True):
    """What was asked for and how it ended. `incident` is a number, `alias` a dedup key."""

    action: str
    status: str
    is_success: bool = True
    alert_id: str = ""
    alias: str = ""
    incident: int | None = None
    at: datetime = msgspec.field(default_factory=timezone.now)


def owner_of(key: str) -> str:
    """Whose receipts those are that are made with an integration key: Integration.key_hash."""
    return Integration.hash_key(key)


def keep(owner: str, request_id: str, receipt: Receipt) -> None:
    """Returns once it is kept, or is lost because Redis is away."""
    _write({_name(owner, request_id): msgspec.json.encode(receipt)})


def keep_soon(owner: str, request_id: str, receipt: Receipt) -> None:
    """Returns at once and never raises: for the event loop. Those that come meanwhile are written together."""
    _writer.add(_name(owner, request_id), msgspec.json.encode(receipt))


def find(owner: str, request_id: str) -> Receipt | None:
    """Raises RedisError."""
    found = cache.get(_name(owner, request_id))
    return msgspec.json.decode(found, type=Receipt) if found else None


def _name(owner: str, request_id: str) -> str:
    return f"receipt:{owner}:{request_id}"


def _write(batch: dict[str, bytes]) -> None:
    try:
        cache.set_many(batch, KEPT_SECONDS)
    except RedisError as error:
        logger.warning("%s receipts of requests could not be kept: %s", len(batch), error)


class _Writer:
    """Writes receipts from a thread of its own; when Redis is away, those that wait are dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, bytes] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="receipts")

    def add(self, name: str, receipt: bytes) -> None:
        with self._lock:
            is_first = not self._waiting
            if len(self._waiting) < MAX_WAITING:
                self._waiting[name] = receipt
        if is_first:
            self._thread.submit(self._write_those_waiting)

    def _write_those_waiting(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, {}
        _write(batch)


_writer = _Writer()
