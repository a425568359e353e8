"""The WebSocket: what a page is told, and what it is not."""

import asyncio
from unittest.mock import ANY

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.db import transaction

from incidents import lifecycle, merging, rooms
from incidents.consumers import NOT_SIGNED_IN
from incidents.tests.factories import IncidentFactory
from incidents.timeline import Actor
from openalert.asgi import application
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = (b"origin", b"http://localhost")


@pytest.fixture
def ana():
    return UserFactory(name="Ana")


@pytest.fixture
def incident(ana):
    return IncidentFactory(service__team=TeamFactory(responders=[ana]))


class Socket(WebsocketCommunicator):
    """Patient: the machine may have other things to do."""

    async def receive_json_from(self, timeout=10):
        return await super().receive_json_from(timeout)


def connection(client, *, origin=ORIGIN):
    cookie = client.cookies.output(header="", sep=";").strip()
    headers = [origin, (b"host", b"localhost"), (b"cookie", cookie.encode())]
    return Socket(application, "/ws/live/", headers=headers)


def talk(client, user, story):
    """Run `story(socket)` over a connection of the user's, after its welcome."""
    client.force_login(user)

    async def run():
        socket = connection(client)
        assert (await socket.connect())[0]
        try:
            return await story(socket, await socket.receive_json_from())
        finally:
            await socket.disconnect()

    return asyncio.run(run())


async def ask(socket, **message):
    await socket.send_json_to(message)
    return await socket.receive_json_from()


def test_page_is_told_what_happens_in_its_teams(client, ana, incident):
    async def story(socket, welcome):
        assert welcome == {
            "type": "welcome",
            "version": 1,
            "rooms": [f"user:{ana.pk}", f"team:{incident.service.team_id}"],
            "cursor": ANY,
        }
        act = sync_to_async(lifecycle.acknowledge)
        await act(incident_id=incident.pk, actor=Actor.person(ana, via="web"))
        return await socket.receive_json_from()

    event = talk(client, ana, story)
    assert (event["room"], event["kind"]) == (f"team:{incident.service.team_id}", "incident.acknowledged")
    assert (event["data"]["number"], event["data"]["status"]) == (incident.number, "acknowledged")


def test_both_incidents_pages_are_told_of_a_merge(client, ana, incident):
    target = IncidentFactory(service=incident.service)

    async def story(socket, welcome):
        await sync_to_async(merging.merge)(
            source_ids=[incident.pk], target_id=target.pk, actor=Actor.person(ana, via="web")
        )
        return [await socket.receive_json_from() for _ in range(2)]

    events = talk(client, ana, story)
    assert [(event["kind"], event["data"]["number"], event["data"]["status"]) for event in events] == [
        ("incident.merged", incident.number, "resolved"),
        ("incident.updated", target.number, "open"),
    ]


def test_subscribing_to_an_incident(client, ana, incident):
    async def story(socket, welcome):
        room = f"incident:{incident.pk}"
        told = [
            await ask(socket, type="subscribe", room=room),
            await ask(socket, type="subscribe", room=f"service:{incident.service_id}"),
            await ask(socket, type="unsubscribe", room=room),
            await ask(socket, type="ping"),
        ]
        return [t["type"] for t in told]

    assert talk(client, ana, story) == ["subscribed", "subscribed", "unsubscribed", "pong"]


def test_nobody_enters_the_rooms_of_others(client, incident):
    async def story(socket, welcome):
        assert len(welcome["rooms"]) == 1
        told = []
        for room in (
            f"incident:{incident.pk}",
            f"service:{incident.service_id}",
            f"team:{incident.service.team_id}",
            f"user:{incident.pk}",
            f"incident:{str(incident.pk).upper()}",
            "incident:",
            "incident:x",
            "weather:x",
        ):
            told.append((await ask(socket, type="subscribe", room=room))["code"])
        await sync_to_async(lifecycle.resolve)(
            incident_id=incident.pk, actor=Actor.person(outsider, via="web")
        )
        await sync_to_async(rooms.publisher.flush)()
        assert await socket.receive_nothing()
        return told

    outsider = UserFactory()
    assert talk(client, outsider, story) == ["no_such_room"] * 8


def test_nonsense_gets_an_error_and_the_connection_lives_on(client, ana):
    async def story(socket, welcome):
        for nonsense in (
            "{",
            "[1]",
            "[" * 4000,
            "x" * 5000,
            '{"type": "dance"}',
            '{"type": "subscribe", "room": 5}',
        ):
            await socket.send_to(text_data=nonsense)
            assert (await socket.receive_json_from())["code"] == "bad_message"
        await socket.send_to(bytes_data=b"\0")
        assert (await socket.receive_json_from())["code"] == "bad_message"
        return (await ask(socket, type="ping"))["type"]

    assert talk(client, ana, story) == "pong"


def test_without_a_session_it_is_closed(client):
    async def run():
        socket = connection(client)
        await socket.connect()
        assert (await socket.receive_json_from())["code"] == "not_signed_in"
        return await socket.receive_output()

    assert asyncio.run(run()) == {"type": "websocket.close", "code": NOT_SIGNED_IN}


def test_foreign_origin_is_refused(client, ana, settings):
    client.force_login(ana)

    async def run():
        socket = connection(client, origin=(b"origin", b"https://evil.example"))
        return (await socket.connect())[0]

    assert asyncio.run(run()) is False


def test_what_is_rolled_back_is_not_told(client, ana, incident):
    def fail():
        with pytest.raises(RuntimeError), transaction.atomic():
            lifecycle.acknowledge(incident_id=incident.pk, actor=Actor.person(ana, via="web"))
            raise RuntimeError

    async def story(socket, welcome):
        await sync_to_async(fail)()
        await sync_to_async(rooms.publisher.flush)()
        return await socket.receive_nothing()

    assert talk(client, ana, story)


def test_redis_that_is_away_is_in_nobodys_way(settings, caplog):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "openalert.channel_layer.RedisLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1"]},
        }
    }
    publisher = rooms.Publisher()
    publisher.send(["team:x"], "incident.opened", {})
    publisher.flush()
    assert "was lost" in caplog.text
