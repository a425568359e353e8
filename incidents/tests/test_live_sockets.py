"""A connection's queue: in order, bounded, and honest about what was left out."""

import asyncio
import json

import pytest

from incidents.live.protocol import frame
from incidents.live.sockets import COUNTERS_UNTIL, MOST_WAITING, AsgiWire, Socket


class Reader:
    """The other side: takes a frame when it is let."""

    def __init__(self):
        self.heard = []
        self.may_read = asyncio.Event()
        self.left = []
        self.wire = AsgiWire(self.take)
        self.socket = Socket(self.wire, self.left.append)

    async def take(self, message):
        await self.may_read.wait()
        self.heard.append(json.loads(message["text"]) if "text" in message else message)

    async def read_all(self, turns=20):
        self.may_read.set()
        for _ in range(turns):
            await asyncio.sleep(0)

    @property
    def types(self):
        return [message["type"] for message in self.heard]


def run(story):
    async def with_reader():
        return await story(Reader())

    return asyncio.run(with_reader())


def big(number):
    return frame({"type": "event", "n": number, "pad": "x" * 1000})


def test_frames_come_in_order():
    async def story(reader):
        for number in range(5):
            reader.socket.say(type="event", n=number)
        await reader.read_all()
        return [message["n"] for message in reader.heard]

    assert run(story) == [0, 1, 2, 3, 4]


def test_what_was_missed_goes_before_what_comes_meanwhile():
    async def story(reader):
        reader.may_read.set()
        reader.socket.hold()
        reader.socket.say(type="live")
        await asyncio.sleep(0)
        reader.socket.push_first(frame({"type": "missed"}))
        reader.socket.push_first(frame({"type": "welcome"}))
        reader.socket.release()
        reader.socket.say(type="later")
        await reader.read_all()
        return reader.types

    assert run(story) == ["missed", "welcome", "live", "later"]


@pytest.mark.parametrize("is_held", [False, True])
def test_who_does_not_read_is_bounded_taken_out_of_the_rooms_and_told(is_held):
    async def story(reader):
        if is_held:
            reader.socket.hold()
        for number in range(MOST_WAITING // 1000 + 10):
            reader.socket.push(big(number))
            assert reader.socket._waiting <= MOST_WAITING
        assert reader.left == [reader.socket]
        reader.socket.push(big(999))
        if is_held:
            reader.socket.release()
        await reader.read_all()
        assert reader.types in (["event", "resync"], ["resync"])
        reader.socket.say(type="welcome")
        await reader.read_all()
        return reader.types[-1], reader.socket._waiting

    assert run(story) == ("welcome", 0)


def test_what_is_missed_does_not_count_as_waiting():
    """A reader that catches up on much is not sent away for it."""

    async def story(reader):
        assert reader.socket.hold()
        for number in range(MOST_WAITING // 1000 + 10):
            reader.socket.push_first(big(number))
        reader.socket.say(type="live")
        reader.socket.release()
        await reader.read_all(2000)
        return len(reader.heard), reader.types[-1], reader.left

    assert run(story) == (MOST_WAITING // 1000 + 11, "live", [])


def test_who_asks_again_and_again_without_reading_is_bounded():
    async def story(reader):
        for number in range(MOST_WAITING // 1000 + 10):
            reader.socket.push_first(big(number))
        return reader.socket.hold(), len(reader.left), reader.socket._waiting

    assert run(story) == (False, 1, 0)


def test_who_falls_behind_while_catching_up_is_told_after_that():
    """An answer to it begins with the cursors of what came before."""

    async def story(reader):
        reader.may_read.set()
        reader.socket.hold()
        reader.socket.push_first(frame({"type": "missed"}))
        await reader.read_all()
        for number in range(MOST_WAITING // 1000 + 10):
            reader.socket.push(big(number))
        await reader.read_all()
        before = list(reader.types)
        reader.socket.push_first(frame({"type": "welcome"}))
        reader.socket.release()
        await reader.read_all()
        return before, reader.types

    assert run(story) == (["missed"], ["missed", "resync"])


def test_low_counters_are_dropped_under_pressure_and_that_is_said_once_for_a_room():
    async def story(reader):
        for number in range(COUNTERS_UNTIL // 1000 + 1):
            reader.socket.push(big(number))
        counter = frame({"type": "event", "kind": "alert.updated"})
        for _ in range(3):
            reader.socket.push_counter(counter, "team:a", is_droppable=True)
        reader.socket.push_counter(counter, "team:a", is_droppable=False)
        reader.may_read.set()
        while reader.wire._task:
            await asyncio.sleep(0)
        dropped = [message for message in reader.heard if message["type"] == "dropped"]
        counters = [
            message
            for message in reader.heard
            if message.get("kind") == "alert.updated" and message not in dropped
        ]
        reader.socket.push_counter(counter, "team:a", is_droppable=True)
        await reader.read_all()
        return dropped, len(counters), reader.types[-1]

    assert run(story) == ([{"type": "dropped", "room": "team:a", "kind": "alert.updated"}], 1, "event")


def test_a_close_comes_after_what_was_said():
    async def story(reader):
        reader.socket.say(type="error")
        reader.socket.close(4401)
        reader.socket.say(type="event")
        await reader.read_all()
        return reader.heard

    assert run(story) == [{"type": "error"}, {"type": "websocket.close", "code": 4401}]


def test_a_connection_that_breaks_is_left_alone():
    async def story(reader):
        async def fail(message):
            raise OSError

        wire = AsgiWire(fail)
        socket = Socket(wire, lambda socket: None)
        socket.say(type="event")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        socket.say(type="event")
        return wire._task

    assert run(story) is None
