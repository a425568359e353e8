"""Channels' Redis layer, with messages written and read at once.

It is channels-redis' layer, and what is on the wire is the same. But its client passes each message through a pool,
retries, measurements and a parser of coroutines: more time than everything else on a live event's way took together.
So that client only makes the connections (addresses, TLS, sign-in) and hands them over here.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer, RedisSingleShardConnection
from channels_redis.utils import create_pool
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0


class RedisLayer(RedisPubSubChannelLayer):
    def _get_layer(self) -> RedisPubSubLoopLayer:
        is_new = asyncio.get_running_loop() not in self._layers
        layer = super()._get_layer()
        if is_new:
            layer._shards = [Shard(shard.host, layer) for shard in layer._shards]
        return layer


class Shard(RedisSingleShardConnection):
    """One Redis server: a line to publish on and, once somebody listens, one that hears. Both are made anew when lost."""

    def __init__(self, host: dict[str, Any], channel_layer: RedisPubSubLoopLayer) -> None:
        super().__init__(host, channel_layer)
        self._pool = create_pool({**host, "protocol": 2})
        self._publishing: Line | None = None
        self._hearing: Line | None = None
        self._returning: asyncio.Task[None] | None = None

    async def publish(self, channel: str, message: bytes) -> None:
        try:
            await self._publish(channel, message)
        except ConnectionError:  # the server was gone, and may be back
            await self._publish(channel, message)

    async def subscribe(self, channel: str) -> None:
        async with self._lock:
            if channel not in self._subscribed_to:
                await (await self._hearing_line()).ask(b"SUBSCRIBE", channel.encode())
                self._subscribed_to.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        async with self._lock:
            if channel in self._subscribed_to:
                self._subscribed_to.remove(channel)
                if self._hearing and not self._hearing.is_lost:
                    await self._hearing.ask(b"UNSUBSCRIBE", channel.encode())

    async def flush(self) -> None:
        async with self._lock:
            self._subscribed_to = set()
            if self._returning:
                self._returning.cancel()
            for line in (self._publishing, self._hearing):
                if line:
                    line.close()
            self._publishing = self._hearing = None

    async def _publish(self, channel: str, message: bytes) -> None:
        line = self._publishing
        if line is None or line.is_lost:
            line = await self._publishing_line()
        try:
            await line.ask(b"PUBLISH", channel.encode(), message)
        except asyncio.CancelledError:  # whoever waits has given up: nobody may be at the other end
            line.close()
            raise

    async def _publishing_line(self) -> "Line":
        async with self._lock:  # who waited for it finds the line that somebody else has made
            if self._publishing is None or self._publishing.is_lost:
                self._publishing = await self._connect()
            return self._publishing

    async def _hearing_line(self) -> "Line":
        """With the lock."""
        if self._hearing is None or self._hearing.is_lost:
            line = await self._connect()
            for channel in self._subscribed_to:
                await line.ask(b"SUBSCRIBE", channel.encode())
            self._hearing, line.on_lost = line, self._return
            if line.is_lost:
                raise ConnectionError("Redis has closed the connection")
        return self._hearing

    async def _connect(self) -> "Line":
        connection = self._pool.make_connection()
        await connection.connect()
        return Line(connection, self._hear)

    def _hear(self, channel: bytes, data: bytes) -> None:
        self._receive_message({"channel": channel, "data": data})

    def _return(self) -> None:
        if self._subscribed_to:
            self._returning = asyncio.get_running_loop().create_task(self._hear_again())

    async def _hear_again(self) -> None:
        logger.warning("live messages cannot be heard: Redis has closed the connection")
        while True:
            try:
                async with self._lock:
                    await self._hearing_line()
            except (RedisError, OSError):
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return


class Line(asyncio.Protocol):
    """A connection that Redis' client has made, taken over. Answers come in the order of what was asked."""

    def __init__(self, connection: Any, hear: Callable[[bytes, bytes], None]) -> None:
        self.is_lost = False
        self.on_lost: Callable[[], None] | None = None
        self._hear = hear
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._connection = connection  # it would close what it has made if it were let go of
        self._transport: asyncio.Transport = connection._writer.transport
        self._transport.set_protocol(self)
        if self._transport.is_closing():
            self.connection_lost(None)

    async def ask(self, *words: bytes) -> Any:
        """The server's answer. Raises ConnectionError when the connection is lost, RedisError for a refusal."""
        if self.is_lost:
            raise ConnectionError("the connection to Redis was lost")
        answer = self._loop.create_future()
        self._waiting.append(answer)
        head = b"*%d\r\n" % len(words)
        self._transport.write(head + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        found = await answer
        if isinstance(found, RedisError):
            raise found
        return found

    def close(self) -> None:
        self.is_lost, self.on_lost = True, None
        self._transport.abort()
        self._let_go()

    def data_received(self, data: bytes) -> None:
        data, at = self._rest + data, 0
        while (found := read(data, at)) is not None:
            answer, at = found
            if isinstance(answer, list) and answer[0] == b"message":
                self._hear(answer[1], answer[2])
            elif self._waiting:
                future = self._waiting.popleft()
                if not future.done():  # whoever asked may have stopped waiting
                    future.set_result(answer)
        self._rest = data[at:]

    def connection_lost(self, failure: Exception | None) -> None:
        self.is_lost = True
        self._let_go()
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(ConnectionError("the connection to Redis was lost"))
        if self.on_lost:
            self.on_lost()

    def _let_go(self) -> None:
        """Or Redis' client would say that it was not closed."""
        self._connection._reader = self._connection._writer = None


def read(data: bytes, at: int) -> tuple[Any, int] | None:
    """The answer that begins there and where the next one does; None when it has not come whole.

    https://valkey.io/topics/protocol/: of its second version what is answered to the commands above.
    """
    line_end = data.find(b"\r\n", at)
    if line_end < 0:
        return None
    kind, rest, start = data[at], data[at + 1 : line_end], line_end + 2
    if kind == 0x24:  # $: bytes
        end = start + int(rest)
        return (data[start:end], end + 2) if len(data) >= end + 2 else None
    if kind == 0x2A:  # *: a list
        answers = []
        for _ in range(int(rest)):
            found = read(data, start)
            if found is None:
                return None
            answer, start = found
            answers.append(answer)
        return answers, start
    if kind == 0x3A:  # :: a number
        return int(rest), start
    return RedisError(rest.decode()) if kind == 0x2D else rest, start  # -: a refusal, or +: a word
