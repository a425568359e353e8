"""The WebSocket's door: who is let in and by what, who is put out again, and who is told what they missed."""

import asyncio
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from incidents import consumers, lifecycle, rooms
from incidents.consumers import NOT_SIGNED_IN, TOKEN_EXPIRED
from incidents.live import access, log
from incidents.live.hub import current_hub
from incidents.models import LiveEvent
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert import sql
from openalert.asgi import application
from teams import api_tokens
from teams.models import ApiToken
from teams.tests.factories import ServiceFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = (b"origin", b"http://localhost")
V1 = "openalert.v1"


@pytest.fixture
def ana():
    return UserFactory(name="Ana")


@pytest.fixture
def incident(ana):
    return IncidentFactory(service__team=TeamFactory(responders=[ana]))


class Socket(WebsocketCommunicator):
    """One connection; `hear` waits for what the server says."""

    def __init__(self, *, client=None, origin=ORIGIN, subprotocols=(V1,)):
        headers = [(b"host", b"localhost"), *([origin] if origin else [])]
        if client:
            cookie = client.cookies.output(header="", sep=";").strip()
            headers.append((b"cookie", cookie.encode()))
        super().__init__(application, "/ws/live/", headers=headers, subprotocols=list(subprotocols))

    async def say(self, **message):
        await self.send_json_to(message)

    async def hear(self, timeout=15):
        return await self.receive_json_from(timeout=timeout)

    async def hear_until(self, kind, timeout=15):
        """Everything up to the first message of that type."""
        heard = [await self.hear(timeout)]
        while heard[-1]["type"] != kind:
            heard.append(await self.hear(timeout))
        return heard

    async def is_closed_with(self, timeout=15):
        return (await self.receive_output(timeout))["code"]


def tell(story, **options):
    """Run `story(socket)` over a connection."""

    async def run():
        socket = Socket(**options)
        assert await socket.connect() == (True, V1)
        try:
            return await story(socket)
        finally:
            await socket.disconnect()

    return asyncio.run(run())


def token_of(user, **lifetime):
    token = AccessToken.for_user(user)
    if lifetime:
        token.set_exp(lifetime=timedelta(**lifetime))
    return str(token)


acknowledge = sync_to_async(lambda incident: lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM))
add_note = sync_to_async(
    lambda incident, text: lifecycle.add_note(incident_id=incident.pk, text=text, actor=SYSTEM)
)


def test_a_program_brings_its_token_in_the_hello(ana, incident):
    async def story(socket):
        await socket.say(type="hello", token=token_of(ana), rooms={f"incident:{incident.pk}": None})
        return await socket.hear()

    welcome = tell(story, origin=None)
    assert (welcome["type"], welcome["version"]) == ("welcome", 1)
    assert welcome["rooms"] == [
        f"user:{ana.pk}",
        f"team:{incident.service.team_id}",
        f"incident:{incident.pk}",
    ]


def test_a_program_brings_its_token_as_a_subprotocol(ana):
    async def story(socket):
        await socket.say(type="hello")
        return (await socket.hear())["rooms"]

    token = f"openalert.token.{token_of(ana)}"
    assert tell(story, origin=None, subprotocols=[V1, token]) == [f"user:{ana.pk}"]


@pytest.mark.parametrize("kind", ["nonsense", "refresh", "expired", "inactive", "stale password"])
def test_a_token_that_is_not_good_is_refused(ana, kind):
    token = token_of(ana)
    if kind == "nonsense":
        token = "a.b.c"
    elif kind == "refresh":
        token = str(RefreshToken.for_user(ana))
    elif kind == "expired":
        token = token_of(ana, seconds=-1)
    elif kind == "inactive":
        ana.is_active = False
        ana.save()
    else:
        ana.set_password("another lamp in the harbour")
        ana.save()

    async def story(socket):
        await socket.say(type="hello", token=token)
        return (await socket.hear())["code"], await socket.is_closed_with()

    assert tell(story, origin=None) == ("not_signed_in", NOT_SIGNED_IN)


def test_a_cookie_counts_only_with_an_origin_of_ours(client, ana):
    """Browsers always name it; whoever leaves it out is none, and has no business with cookies."""
    client.force_login(ana)

    async def story(socket):
        await socket.say(type="hello")
        return (await socket.hear())["type"]

    assert tell(story, client=client, origin=None) == "error"
    assert tell(story, client=client) == "welcome"


def test_nothing_is_said_to_who_does_not_say_hello(client, ana, incident, monkeypatch):
    monkeypatch.setattr(consumers, "HELLO_WITHIN_SECONDS", 0.3)
    client.force_login(ana)

    async def story(socket):
        await acknowledge(incident)
        return (await socket.hear())["code"], await socket.is_closed_with()

    assert tell(story, client=client) == ("not_signed_in", NOT_SIGNED_IN)

    async def other(socket):
        await socket.say(type="subscribe", room=f"team:{incident.service.team_id}")
        return (await socket.hear())["code"]

    assert tell(other, client=client) == "not_signed_in"


def test_a_token_that_ends_is_warned_of_and_then_closes(ana):
    async def story(socket):
        await socket.say(type="hello", token=token_of(ana, seconds=2))
        heard = [message["type"] for message in await socket.hear_until("error")]
        return heard, await socket.is_closed_with()

    assert tell(story, origin=None) == (["welcome", "token_expires", "error"], TOKEN_EXPIRED)


def test_a_token_is_renewed_over_the_same_connection(ana, incident):
    async def story(socket):
        await socket.say(type="hello", token=token_of(ana, seconds=2))
        await socket.hear_until("token_expires")
        await socket.say(type="authenticate", token=token_of(UserFactory.build(pk=incident.pk)))
        refused = await socket.hear()
        await socket.say(type="authenticate", token=token_of(ana, minutes=5))
        renewed = await socket.hear()
        await asyncio.sleep(2.2)
        await acknowledge(incident)
        return refused["code"], renewed["type"], renewed["expires_in"] > 250, (await socket.hear())["kind"]

    assert tell(story, origin=None) == ("bad_token", "authenticated", True, "incident.acknowledged")


def test_who_is_removed_from_a_team_hears_nothing_any_more(client, ana, incident):
    client.force_login(ana)
    team, room = f"team:{incident.service.team_id}", f"incident:{incident.pk}"
    own = IncidentFactory(service__team=TeamFactory(responders=[ana]))

    async def story(socket):
        await socket.say(type="hello", rooms={room: None})
        await socket.hear()
        await sync_to_async(incident.service.team.memberships.all().delete)()
        gone = [await socket.hear(timeout=5), await socket.hear(timeout=5)]
        await acknowledge(incident)
        await acknowledge(own)
        return gone, await socket.hear()

    gone, event = tell(story, client=client)
    assert sorted((m["type"], m["room"], m["reason"]) for m in gone) == [
        ("unsubscribed", room, "no_access"),
        ("unsubscribed", team, "no_access"),
    ]
    assert event["data"]["number"] == own.number


def test_who_joins_a_team_hears_of_it(client, ana):
    client.force_login(ana)
    other = IncidentFactory()
    team = other.service.team

    async def story(socket):
        await socket.say(type="hello")
        await socket.hear()
        await sync_to_async(team.memberships.create)(user=ana)
        joined = await socket.hear()
        await acknowledge(other)
        return joined["room"], (await socket.hear())["room"]

    assert tell(story, client=client) == (f"team:{team.pk}", f"team:{team.pk}")


def test_a_service_that_goes_to_another_team_takes_its_rooms_along(client, ana, incident):
    client.force_login(ana)
    rooms = {f"incident:{incident.pk}": None, f"service:{incident.service_id}": None}

    def move():
        incident.service.team = TeamFactory()
        incident.service.save()

    async def story(socket):
        await socket.say(type="hello", rooms=rooms)
        await socket.hear()
        await sync_to_async(move)()
        return {(await socket.hear())["room"] for _ in rooms}

    assert tell(story, client=client) == set(rooms)


def test_what_is_removed_takes_its_rooms_along(client, ana, incident):
    client.force_login(ana)
    room = f"incident:{incident.pk}"

    async def story(socket):
        await socket.say(type="hello", rooms={room: None})
        await socket.hear()
        await sync_to_async(incident.delete)()
        return [m for m in await socket.hear_until("unsubscribed") if m["type"] != "event"]

    assert tell(story, client=client) == [{"type": "unsubscribed", "room": room, "reason": "no_access"}]


def test_nothing_is_said_and_nothing_looked_up_twice_while_nothing_changes(client, ana, incident):
    """The review of thousands that are connected is a few queries that find nothing."""
    client.force_login(ana)
    admitted = access.admit_by_session(client.cookies["sessionid"].value)
    team = str(incident.service.team_id)
    rooms = {f"incident:{incident.pk}": team, f"service:{incident.service_id}": team}

    def reviewed():
        return access.review([admitted.person], {admitted.session}, rooms)

    assert not reviewed()
    with CaptureQueriesContext(connection) as queries:
        access.review([admitted.person] * 3, {admitted.session}, rooms)
    assert len(queries) == 3
    type(ana).objects.update(name="Ana Ruiz", last_login=None)
    found = reviewed()
    assert (found.changed, found.people[str(ana.pk)].name) == ({str(ana.pk)}, "Ana Ruiz")
    assert (found.ended, found.teams) == (frozenset(), {})


def test_the_stamp_is_another_after_whatever_concerns_who_may_hear_what(ana, incident):
    team, other, manager = TeamFactory(), TeamFactory(), UserFactory()
    team.memberships.create(user=manager, role="manager")
    known, _ = api_tokens.create_token(by=manager, name="wall", team=team, scopes=["incidents:read"])
    stamps = [access.stamp()]
    type(incident).objects.update(title="Disk fuller")
    ApiToken.objects.update(last_used_at=timezone.now())
    assert access.stamp() == stamps[0]
    for change in (
        lambda: team.memberships.create(user=ana),
        lambda: team.memberships.filter(user=ana).update(team=other),
        lambda: ana.memberships.all().delete(),
        lambda: ApiToken.objects.filter(pk=known.pk).update(team=other),
        lambda: type(ana).objects.filter(pk=ana.pk).update(is_active=False),
        TeamFactory,
    ):
        change()
        stamps.append(access.stamp())
    assert len(set(stamps)) == len(stamps)
    assert access.stamp() == stamps[-1]


def test_who_loses_a_team_while_they_are_let_in_is_put_out_of_it(client, ana, incident, monkeypatch):
    """They were looked up before, and came to the others after those were reviewed."""
    client.force_login(ana)
    admit = access.admit_by_session

    async def story(socket):
        await socket.say(type="hello")
        await socket.hear()
        hub = current_hub()

        def admit_late(key):
            admitted = admit(key)
            ana.memberships.all().delete()
            hub._reviewed = access.stamp()
            return admitted

        monkeypatch.setattr(access, "admit_by_session", admit_late)
        async with asyncio.timeout(15):
            while hub._is_somebody_new or not hub._reviewed:
                await asyncio.sleep(0.01)
        late = Socket(client=client)
        await late.connect()
        await late.say(type="hello")
        heard = await late.hear_until("unsubscribed")
        await late.disconnect()
        return [message["room"] for message in heard if message["type"] == "unsubscribed"]

    assert tell(story, client=client) == [f"team:{incident.service.team_id}"]


@pytest.mark.parametrize("how", ["signs out", "is switched off", "gets a new password"])
def test_who_is_signed_out_is_put_out(client, ana, how):
    client.force_login(ana)

    def put_out():
        if how == "signs out":
            Session.objects.all().delete()
        elif how == "is switched off":
            type(ana).objects.update(is_active=False)
        else:
            ana.set_password("another lamp in the harbour")
            ana.save()

    async def story(socket):
        await socket.say(type="hello")
        await socket.hear()
        await sync_to_async(put_out)()
        return (await socket.hear())["code"], await socket.is_closed_with()

    assert tell(story, client=client) == ("not_signed_in", NOT_SIGNED_IN)


@pytest.mark.parametrize("of_team", [False, True])
def test_an_api_token_hears_until_it_is_revoked(ana, incident, of_team):
    team = incident.service.team
    team.memberships.update(role="manager")
    made = {"by": ana, "name": "wall", "team": team if of_team else None}
    token, text = api_tokens.create_token(**made, scopes=["incidents:read"])
    _, deaf = api_tokens.create_token(**made, scopes=["services:read"])
    wanted = {f"incident:{incident.pk}": None}

    async def refused(socket):
        await socket.say(type="hello", token=deaf, rooms=wanted)
        return (await socket.hear())["code"], await socket.is_closed_with()

    assert tell(refused, origin=None) == ("not_signed_in", NOT_SIGNED_IN)

    async def story(socket):
        await socket.say(type="hello", token=text, rooms=wanted)
        rooms = (await socket.hear())["rooms"]
        assert rooms == [f"user:{token.user_id}", f"team:{team.pk}", f"incident:{incident.pk}"]
        await sync_to_async(api_tokens.revoke_token)(token.pk, by=ana)
        return (await socket.hear())["code"], await socket.is_closed_with()

    assert tell(story, origin=None) == ("not_signed_in", NOT_SIGNED_IN)


def test_what_was_missed_comes_before_the_welcome(client, ana, incident):
    client.force_login(ana)
    room = f"incident:{incident.pk}"

    async def first(socket):
        await socket.say(type="hello", rooms={room: None})
        return (await socket.hear())["cursor"]

    cursor = tell(first, client=client)
    for text in ("one", "two"):
        lifecycle.add_note(incident_id=incident.pk, text=text, actor=SYSTEM)
    rooms.publish_to_user(ana.pk, "toast", {"title": "While away"})

    async def second(socket):
        await socket.say(type="hello", rooms={room: cursor}, cursor=cursor)
        return await socket.hear_until("welcome")

    team = f"team:{incident.service.team_id}"
    heard = tell(second, client=client)
    assert [m["room"] for m in heard[:-1]] == [room, team, room, team, f"user:{ana.pk}"]
    assert heard[-1]["cursor"] == heard[-2]["cursor"]

    async def third(socket):
        await socket.say(type="hello")
        await socket.hear()
        await socket.say(type="subscribe", room=room, cursor=cursor)
        return [m["type"] for m in await socket.hear_until("subscribed")]

    assert tell(third, client=client) == ["event", "event", "subscribed"]


@pytest.mark.parametrize("reason", ["unknown", "too_old", "too_much"])
def test_what_cannot_be_told_any_more_is_said(client, ana, incident, monkeypatch, reason):
    client.force_login(ana)
    room = f"incident:{incident.pk}"

    async def first(socket):
        await socket.say(type="hello", rooms={room: None})
        return (await socket.hear())["cursor"]

    cursor = tell(first, client=client)
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    if reason == "unknown":
        sql.execute("UPDATE incidents_livehead SET epoch = 'another'", [])
    elif reason == "too_old":
        LiveEvent.objects.update(at=incident.opened_at - 2 * log.KEPT)
        log.prune()
    else:
        monkeypatch.setattr(consumers, "MOST_MISSED", 1)

    async def second(socket):
        await socket.say(type="hello", rooms={room: cursor})
        reset, welcome = await socket.hear(), await socket.hear()
        return reset["room"], reset["reason"], reset["cursor"] == welcome["cursor"]

    assert tell(second, client=client) == (room, reason, True)


@pytest.mark.parametrize("cursor", ["x", 5, "x-1", ["a"], "never.was-99"])
def test_a_cursor_that_is_none_is_answered_with_a_reset(client, ana, incident, cursor):
    client.force_login(ana)

    async def story(socket):
        await socket.say(type="hello")
        await socket.hear()
        await socket.say(type="subscribe", room=f"incident:{incident.pk}", cursor=cursor)
        return [(m["type"], m.get("reason")) for m in await socket.hear_until("subscribed")]

    assert tell(story, client=client) == [("reset", "unknown"), ("subscribed", None)]


def test_open_pages_are_told_when_the_log_was_lost(client, ana, incident):
    """As after a crash of PostgreSQL."""
    client.force_login(ana)

    @transaction.atomic
    def crash():
        sql.execute("TRUNCATE incidents_livehead", [])
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)

    async def story(socket):
        await socket.say(type="hello")
        before = await socket.hear()
        await sync_to_async(crash)()
        resets = [await socket.hear() for _ in before["rooms"]]
        await add_note(incident, "afterwards")
        event = await socket.hear()
        return before, resets, event

    before, resets, event = tell(story, client=client)
    assert {(m["type"], m["room"], m["reason"]) for m in resets} == {
        ("reset", room, "lost") for room in before["rooms"]
    }
    epoch = resets[0]["cursor"].rpartition("-")[0]
    assert epoch != before["cursor"].rpartition("-")[0]
    assert (event["data"]["what"], event["cursor"].rpartition("-")[0]) == ("note", epoch)


def test_rows_that_were_removed_by_hand_are_no_silent_gap(client, ana, incident):
    client.force_login(ana)

    def remove():
        with transaction.atomic():
            lifecycle.add_note(incident_id=incident.pk, text="removed", actor=SYSTEM)
            lifecycle.add_note(incident_id=incident.pk, text="kept", actor=SYSTEM)
            sql.fetch("SELECT incidents_live_place(10)", [])
            LiveEvent.objects.order_by("position").first().delete()

    async def story(socket):
        await socket.say(type="hello")
        await socket.hear()
        await sync_to_async(remove)()
        return (await socket.hear())["reason"]

    assert tell(story, client=client) == "lost"


def test_presence_is_for_incidents_one_is_in(client, ana, incident):
    client.force_login(ana)
    room = f"incident:{incident.pk}"

    async def story(socket):
        await socket.say(type="hello", rooms={room: None})
        await socket.hear()
        for other in (f"team:{incident.service.team_id}", f"incident:{ana.pk}"):
            await socket.say(type="presence", room=other, here=True)
            assert (await socket.hear())["code"] == "no_such_room"
        await socket.say(type="presence", room=room, here="yes")
        assert (await socket.hear())["code"] == "bad_message"
        await socket.say(type="presence", room=room, here=True)
        seen = await socket.hear()
        await socket.say(type="presence", room=room, here=False)
        return seen["data"]["people"], (await socket.hear())["data"]["people"]

    me = {"id": str(ana.pk), "name": "Ana", "initials": "A"}
    assert tell(story, client=client) == ([me], [])


@pytest.mark.parametrize(
    "hello",
    [
        {"rooms": []},
        {"rooms": {f"team:{n}": None for n in range(201)}},
        {"token": 5},
        {"token": {}},
    ],
)
def test_a_hello_that_is_none_gets_an_error(client, ana, hello):
    client.force_login(ana)

    async def story(socket):
        await socket.say(type="hello", **hello)
        refused = await socket.hear()
        await socket.say(type="hello")
        return refused["code"], (await socket.hear())["type"]

    assert tell(story, client=client) == ("bad_message", "welcome")


def test_a_second_hello_begins_anew(client, ana, incident):
    client.force_login(ana)
    room = f"incident:{incident.pk}"

    async def story(socket):
        await socket.say(type="hello", rooms={room: None, "incident:nonsense": None})
        heard = await socket.hear_until("welcome")
        await socket.say(type="hello")
        again = await socket.hear_until("welcome")
        return [m["type"] for m in heard], room in heard[-1]["rooms"], room in again[-1]["rooms"]

    assert tell(story, client=client) == (["error", "welcome"], True, False)


def test_a_superuser_hears_every_team(client, incident):
    root = UserFactory(is_superuser=True)
    client.force_login(root)
    ServiceFactory()

    async def story(socket):
        await socket.say(type="hello", rooms={f"incident:{incident.pk}": None})
        return len((await socket.hear())["rooms"])

    assert tell(story, client=client) == 4
