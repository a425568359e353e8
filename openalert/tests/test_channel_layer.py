import asyncio

import pytest
import redis
from django.conf import settings
from redis.exceptions import RedisError

from openalert.channel_layer import RedisLayer, read


def layer():
    return RedisLayer(hosts=[settings.REDIS_URL], prefix="test-layer")


async def listening():
    found = layer()
    channel = await found.new_channel()
    await found.group_add("group", channel)
    return found, channel


def story(steps):
    return asyncio.run(asyncio.wait_for(steps(), 30))


def lose_connections():
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        for kind in ("pubsub", "normal"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind)


def test_a_group_hears_in_order_what_others_send_at_once():
    async def steps():
        (one, first), (two, second) = await listening(), await listening()
        sender = layer()
        sent = [
            {"type": "told", "number": number, "text": "ü\r\n" * 3000 * (number % 2)} for number in range(50)
        ]
        await asyncio.gather(*(sender.group_send("group", message) for message in sent))
        return sent, [await one.receive(first) for _ in sent], [await two.receive(second) for _ in sent]

    sent, one, two = story(steps)
    assert one == two == sent


def test_who_left_the_group_hears_nothing_more():
    async def steps():
        found, channel = await listening()
        await found.group_discard("group", channel)
        await found.group_send("group", {"type": "group"})
        await found.send(channel, {"type": "own"})
        return await found.receive(channel)

    assert story(steps) == {"type": "own"}


def test_lost_connections_come_back_by_themselves():
    async def steps():
        found, channel = await listening()
        sender = layer()
        await sender.group_send("group", {"type": "before"})
        heard = [await found.receive(channel)]
        lose_connections()
        hearing = asyncio.create_task(found.receive(channel))
        while not hearing.done():  # what is sent before it hears again is lost
            await sender.group_send("group", {"type": "after"})
            await asyncio.wait([hearing], timeout=0.1)
        return [*heard, hearing.result()]

    assert story(steps) == [{"type": "before"}, {"type": "after"}]


def test_a_server_that_is_away_is_an_error_to_who_sends():
    async def steps():
        away = RedisLayer(hosts=["redis://127.0.0.1:1"], prefix="test-layer")
        with pytest.raises((RedisError, OSError)):
            await away.group_send("group", {"type": "told"})

    story(steps)


def test_a_server_that_falls_silent_gets_another_connection():
    silent = []

    async def serve(reader, writer):
        """The first connection has no answer to what is published, the next one has."""
        is_silent = not silent
        silent.append(writer)
        while line := await reader.readline():
            if line.startswith(b"*"):
                words = []
                for _ in range(int(line[1:])):
                    await reader.readline()
                    words.append((await reader.readline()).strip())
                if words[0] == b"PUBLISH":
                    if not is_silent:
                        writer.write(b":1\r\n")
                else:
                    writer.write(b"+OK\r\n")

    async def steps():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sender = RedisLayer(hosts=[f"redis://127.0.0.1:{port}"], prefix="test-layer")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sender.group_send("group", {"type": "told"}), 0.3)
        await sender.group_send("group", {"type": "told"})
        server.close()
        for writer in silent:
            writer.close()
        return len(silent)

    assert story(steps) == 2


def test_answers_are_read_whole_or_not_at_all():
    answers = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$4\r\n\r\n\r\n\r\n:2\r\n+OK\r\n"
    message = [b"message", b"c", b"\r\n\r\n"]
    end = answers.index(b":2")
    for cut in range(end):
        assert read(answers[:cut], 0) is None
    assert read(answers, 0) == (message, end)
    assert read(answers, end) == (2, end + 4)
    assert read(answers, end + 4) == (b"OK", len(answers))
    refused, _ = read(b"-NOAUTH Authentication required.\r\n", 0)
    assert isinstance(refused, RedisError)
    assert str(refused) == "NOAUTH Authentication required."
