"""The last payloads that an integration received, for the people who set it up.

They live in the cache server: it may lose them at any time, and then the next ones take their place.
Credentials are left out before anything is written: of the headers only those in HEADERS are kept, and in the
body the integration key and the values of what is named like a credential are replaced.
"""

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from queue import SimpleQueue
from typing import Any
from uuid import UUID

import msgspec
import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

MOST_SAMPLES = 10
MAX_BODY_BYTES = 64 * 1024
KEPT_FOR = timedelta(days=7)
SECONDS_BETWEEN = 1.0

# What helps to read a payload, and is never a credential.
HEADERS = frozenset(
    {
        "content-type",
        "user-agent",
        "ce-id",
        "ce-source",
        "ce-specversion",
        "ce-subject",
        "ce-time",
        "ce-type",
        "sentry-hook-resource",
        "x-amz-sns-message-type",
        "x-github-event",
        "x-gitlab-event",
    }
)
MAX_HEADER = 1_000

MOST_REMEMBERED = 10_000
MOST_WAITING = 50
# However many integrations send at once, keeping samples takes next to nothing of a process's time.
SECONDS_BETWEEN_WRITES = 0.02
TIMEOUT_SECONDS = 1.0
# A body is cut after its credentials are gone: half of one at the end would not be recognised.
OVERHANG_BYTES = 4 * 1024

HIDDEN = "…".encode()
CREDENTIAL = (
    rb"(?:(?:routing|service|integration|api|app|application|access|private|auth|genie|secret)[_-]?key"
    rb"|(?:api|auth|access|refresh|id|bearer)?[_-]?token|(?:client|signing|webhook)[_-]?secret"
    rb"|pass(?:word|wd|phrase)|authorization|cookie)"
)
IN_JSON = re.compile(rb'("' + CREDENTIAL + rb'"\s*+:\s*+")(?:[^"\\]++|\\.)*+', re.IGNORECASE | re.DOTALL)
IN_JSON_IN_JSON = re.compile(rb'(\\"' + CREDENTIAL + rb'\\"\s*+:\s*+\\")[^"\\]*+', re.IGNORECASE)
IN_FORM = re.compile(rb"((?:^|[?&;])" + CREDENTIAL + rb"=)[^&\s\"'<>\\]*+", re.IGNORECASE | re.MULTILINE)
# An integration's mail address: its key, and an @. The end of a key may be shown.
IN_MAIL = re.compile(rb"\b[0-9a-f]{28}(?=[0-9a-f]{4}(?:@|%40))", re.IGNORECASE)


class Sample(msgspec.Struct, frozen=True, gc=False):
    """A payload as it came in, its credentials replaced by “…”, and no more of it than MAX_BODY_BYTES.

    `headers` have lower-case names. `refusal` says why it, or a part of it, was refused, "" when all was
    taken.
    """

    at: datetime
    body: bytes
    headers: dict[str, str]
    refusal: str = ""

    @property
    def is_cut(self) -> bool:
        return len(self.body) >= MAX_BODY_BYTES


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Sample).decode


def recent(integration_id: UUID | str) -> list[Sample]:
    """The integration's last payloads, the newest first, at most MOST_SAMPLES; none when the server is away."""
    try:
        found = _client(settings.REDIS_URL).lrange(_key(integration_id), 0, MOST_SAMPLES - 1)
    except redis.RedisError as error:
        logger.warning("samples cannot be read: %r", error)
        return []
    return [sample for one in found if (sample := _read(one))]


def forget(integration_id: UUID | str) -> None:
    """Drop what is kept of an integration. When the server is away, it expires by itself."""
    try:
        _client(settings.REDIS_URL).delete(_key(integration_id))
    except redis.RedisError as error:
        logger.warning("samples cannot be dropped: %r", error)


class Keeper:
    """Keeps samples in the background: at most one a second of each integration, the first that comes.

    One for each process, `keeper`; it may be used from any thread and any event loop.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: OrderedDict[str, float] = OrderedDict()
        self._waiting: SimpleQueue[tuple[str, bytes, Mapping[str, str], str, str, datetime] | None] = (
            SimpleQueue()
        )
        self._writer: threading.Thread | None = None
        self._starting = threading.Lock()
        self._is_away = False

    def keep(
        self,
        integration_id: str,
        body: bytes,
        headers: Mapping[str, str],
        refusal: str = "",
        *,
        key: str = "",
    ) -> None:
        """Keep a payload, perhaps. Returns at once and raises nothing; what cannot be written is forgotten.

        `headers` have lower-case names and are not changed any more. `key` is the integration's: it is
        replaced wherever it stands.
        """
        now = self._clock()
        if now < self._next.get(integration_id, 0.0):
            return
        self._next.pop(integration_id, None)
        self._next[integration_id] = now + SECONDS_BETWEEN
        if len(self._next) > MOST_REMEMBERED:
            self._next.popitem(last=False)
        if self._waiting.qsize() >= MOST_WAITING:
            return
        body = body[: MAX_BODY_BYTES + OVERHANG_BYTES]
        self._waiting.put((integration_id, body, headers, refusal, key, datetime.now(UTC)))
        if self._writer is None or not self._writer.is_alive():
            self._start()

    def close(self) -> None:
        """Write what waits, and end the thread; it starts again by itself."""
        with self._starting:
            writer, self._writer = self._writer, None
            if writer is not None and writer.is_alive():
                self._waiting.put(None)
                writer.join(MOST_WAITING * (SECONDS_BETWEEN_WRITES + TIMEOUT_SECONDS))

    def _start(self) -> None:
        with self._starting:
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._write_all, name="samples", daemon=True)
                self._writer.start()

    def _write_all(self) -> None:
        while (entry := self._waiting.get()) is not None:
            try:
                self._write(*entry)
            except Exception as error:
                # Once, not for every payload; the thread goes on whatever it was.
                if not self._is_away:
                    logger.warning("samples cannot be kept: %r", error)
                self._is_away = True
            else:
                self._is_away = False
            time.sleep(SECONDS_BETWEEN_WRITES)

    @staticmethod
    def _write(
        integration_id: str, body: bytes, headers: Mapping[str, str], refusal: str, key: str, at: datetime
    ) -> None:
        sample = Sample(
            at,
            without_credentials(body, key)[:MAX_BODY_BYTES],
            {name: _hidden(headers[name][:MAX_HEADER], key) for name in sorted(HEADERS & headers.keys())},
            refusal,
        )
        name = _key(integration_id)
        with _client(settings.REDIS_URL).pipeline() as pipeline:
            pipeline.lpush(name, _encode(sample))
            pipeline.ltrim(name, 0, MOST_SAMPLES - 1)
            pipeline.expire(name, KEPT_FOR)
            pipeline.execute()


# Of this process; its thread starts with the first payload.
keeper = Keeper()


def without_credentials(body: bytes, key: str = "") -> bytes:
    """The body with “…” for the key and for the values of what is named like a credential, in JSON and in forms."""
    if key:
        body = body.replace(key.encode(), HIDDEN)
    for pattern in (IN_JSON, IN_JSON_IN_JSON, IN_FORM):
        body = pattern.sub(rb"\1" + HIDDEN, body)
    return IN_MAIL.sub(HIDDEN, body)


def _hidden(value: str, key: str) -> str:
    return value.replace(key, HIDDEN.decode()) if key else value


def _key(integration_id: UUID | str) -> str:
    return f"openalert:samples:{integration_id}"


def _read(stored: Any) -> Sample | None:
    try:
        return _decode(stored)
    except msgspec.MsgspecError:  # another version of ours wrote it
        return None


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),  # the connection may be an old one
    )
