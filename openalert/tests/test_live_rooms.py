"""Live rooms over real sockets and two web processes: nothing is lost, repeated or reordered, whatever dies."""

import contextlib
import json
import random
import socket
import threading
import time

import pytest
from django.db import connections, transaction
from rest_framework_simplejwt.tokens import AccessToken
from websockets.sync.client import connect

from incidents import lifecycle, rooms, timeline
from incidents.bulk import IncidentRow
from incidents.enums import Kind
from incidents.models import Incident
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert import sql
from openalert.tests.live_client import LiveClient
from openalert.tests.stack import Stack, eventually, free_port
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.timeout(240)


class Pair:
    """Two web processes on the test's database and Valkey, and nothing else."""

    def __init__(self):
        self.stack = Stack()
        self.ports = [self.stack.port, free_port()]
        self.processes = [self.stack.start_web(port) for port in self.ports]

    def kill(self, number):
        self.processes[number].kill()

    def restart(self, number):
        self.processes[number] = self.stack.start_web(self.ports[number])


@pytest.fixture
def webs(transactional_db):
    pair = Pair()
    try:
        yield pair
    finally:
        pair.stack.stop()


@pytest.fixture
def ana(db):
    return UserFactory(name="Ana")


@pytest.fixture
def incident(ana):
    return IncidentFactory(service__team=TeamFactory(responders=[ana]))


def room_of(incident):
    return f"incident:{incident.pk}"


def team_room(incident):
    return f"team:{incident.service.team_id}"


def note(incident, text):
    return lifecycle.add_note(incident_id=incident.pk, text=text, actor=SYSTEM)


def test_both_processes_tell_the_same_and_whoever_returns_gets_what_they_missed(webs, ana, incident, valkey):
    room = room_of(incident)
    here, there = (LiveClient(ana, port, room) for port in webs.ports)
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    for client in (here, there):
        client.wait_for(lambda m: m.get("kind") == "incident.acknowledged" and m["room"] == room, within=3)

    here.leave()
    for number in range(5):
        note(incident, f"while away {number}")
    valkey.flushall()  # nothing of it is kept there
    for client in valkey.client_list(_type="pubsub"):
        valkey.client_kill_filter(_id=client["id"])
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    there.wait_for(lambda m: m.get("kind") == "incident.resolved" and m["room"] == room)
    before = len(here.told)
    here.join(webs.ports[1])
    missed = here.told[before:]
    assert [m["type"] for m in missed] == ["event"] * 12 + ["welcome"]
    note(incident, "after")
    entries = list(incident.timeline.values_list("pk", flat=True))
    for known in (room, team_room(incident)):
        for client in (here, there):
            eventually(lambda: len(client.events(known)) >= len(entries), within=5)  # noqa: B023
        assert [entry for _, _, entry in here.events(known)] == entries
        assert here.events(known) == there.events(known)
    here.leave()
    there.leave()


def test_a_wake_up_that_is_lost_costs_a_second(webs, ana, incident):
    """The writer dies between its commit and telling anybody."""
    client = LiveClient(ana, webs.ports[0], room_of(incident))
    with transaction.atomic():
        timeline.TimelineEntry.objects.bulk_create([timeline.entry(incident, Kind.NOTE, text="last words")])
    client.wait_for(lambda m: m.get("kind") == "incident.updated", within=3)
    client.leave()


class Traveller(threading.Thread):
    """Connects to one process or the other, stays for a while, and returns with its cursors."""

    def __init__(self, user, webs, room, seed):
        super().__init__(daemon=True)
        self.client = LiveClient(user, webs.ports[seed % 2], room)
        self.webs, self.random, self.is_over = webs, random.Random(seed), threading.Event()
        self.journeys = 0

    def run(self):
        while not self.is_over.is_set():
            self.is_over.wait(self.random.uniform(0.1, 1.0))
            if self.random.random() < 0.5:
                self.client.leave()
            elif self.client.thread.is_alive():
                continue
            self.join_somewhere()

    def join_somewhere(self):
        while True:
            try:
                self.client.join(self.random.choice(self.webs.ports))
            except (OSError, EOFError, AssertionError, TimeoutError, Exception):
                time.sleep(0.1)
            else:
                self.journeys += 1
                return


def test_nothing_is_lost_repeated_or_reordered_while_processes_are_killed(webs, ana, incident, valkey):
    room = team_room(incident)
    incidents = [incident, *(IncidentFactory(service=incident.service) for _ in range(3))]
    witness_since = sql.fetch("SELECT coalesce(max(id), 0) FROM incidents_liveevent", [])[0][0]
    travellers = [Traveller(ana, webs, room, seed) for seed in range(4)]
    is_over = threading.Event()

    def write(seed):
        chooser = random.Random(seed)
        number = 0
        while not is_over.is_set():
            number += 1
            with contextlib.suppress(InterruptedError), transaction.atomic():
                note(chooser.choice(incidents), f"{seed}-{number}")
                time.sleep(chooser.random() * 0.02)
                if chooser.random() < 0.1:
                    raise InterruptedError
        connections.close_all()

    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(3)]
    for thread in [*travellers, *writers]:
        thread.start()
    chooser = random.Random(6)
    for round_ in range(6):
        time.sleep(chooser.uniform(0.5, 1.5))
        number = round_ % 2
        webs.kill(number)
        if round_ == 3:
            valkey.flushall()
        webs.restart(number)
    is_over.set()
    for thread in writers:
        thread.join(20)
    for traveller in travellers:
        traveller.is_over.set()
        traveller.join(40)
        if not traveller.client.thread.is_alive():
            traveller.join_somewhere()
    last = note(incident, "the end").pk
    for traveller in travellers:
        traveller.client.wait_for(
            lambda m: m["type"] == "event" and m["room"] == room and m["data"].get("entry") == last
        )
    order = sql.fetch(
        "SELECT position, entry_id FROM incidents_liveevent WHERE id > %s ORDER BY position", [witness_since]
    )
    for traveller in travellers:
        told = [(int(cursor.rpartition("-")[2]), entry) for cursor, _, entry in traveller.client.events(room)]
        assert told == order
        assert not [m for m in traveller.client.told if m["type"] == "reset"]
    for known in incidents:
        entries = set(known.timeline.values_list("pk", flat=True))
        mine = [entry for _, entry in order if entry in entries]
        assert mine == sorted(entries)
    assert sum(traveller.journeys for traveller in travellers) > 8
    assert len(order) > 100


def test_who_is_looking_is_known_everywhere_and_forgotten_after_a_crash(webs, ana, incident):
    room, bo = room_of(incident), UserFactory(name="Bo Chen")
    incident.service.team.memberships.create(user=bo)
    here, there = LiveClient(ana, webs.ports[0], room), LiveClient(bo, webs.ports[1], room)
    there.say(type="presence", room=room, here=True)

    def names(people):
        return lambda m: m.get("kind") == "presence" and [p["name"] for p in m["data"]["people"]] == people

    here.wait_for(names(["Bo Chen"]), within=3)
    here.say(type="presence", room=room, here=True)
    there.wait_for(names(["Ana", "Bo Chen"]), within=3)
    since = len(here.told)
    webs.kill(1)
    here.wait_for(names(["Ana"]), within=30, since=since)
    here.leave()


def test_who_does_not_read_is_told_to_begin_anew_and_misses_nothing(webs, ana, incident):
    """Nor does anybody else in the rooms: what one does not take is not kept from the others."""
    Incident.objects.filter(pk=incident.pk).update(title="Disk " + "x" * 190)
    room, bo = room_of(incident), UserFactory(name="Bo")
    incident.service.team.memberships.create(user=bo)
    reader = LiveClient(ana, webs.ports[0], room)

    def lookers():
        told = [m for m in reader.told if m.get("kind") == "presence"]
        return [person["name"] for person in told[-1]["data"]["people"]] if told else []

    with socket.socket() as small:
        small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the kernel must not read in its place
        small.connect(("127.0.0.1", webs.ports[0]))
        address = f"ws://127.0.0.1:{webs.ports[0]}/ws/live/"
        with connect(address, sock=small, subprotocols=["openalert.v1"], max_queue=1) as lazy:
            hello = {"type": "hello", "token": str(AccessToken.for_user(bo)), "rooms": {room: None}}
            lazy.send(json.dumps(hello))
            told = [json.loads(lazy.recv(10))]
            assert told[-1]["type"] == "welcome"
            lazy.send(json.dumps({"type": "presence", "room": room, "here": True}))
            eventually(lambda: lookers() == ["Bo"], within=5)
            for _ in range(
                60
            ):  # until it was taken out of its rooms; the server's kernel takes megabytes before
                with transaction.atomic():
                    timeline.record_all(timeline.entry(incident, Kind.NOTE, text="x") for _ in range(200))
                with contextlib.suppress(AssertionError):
                    eventually(lambda: lookers() == [], within=0.5)
                    break
            last = note(incident, "the end").pk
            reader.wait_for(lambda m: m.get("room") == room and m.get("data", {}).get("entry") == last)
            while told[-1]["type"] != "resync":
                told.append(json.loads(lazy.recv(10)))
            cursor = next(m["cursor"] for m in reversed(told) if m.get("room") == room)
            lazy.send(json.dumps(hello | {"rooms": {room: cursor}}))
            while told[-1]["type"] != "welcome":
                told.append(json.loads(lazy.recv(10)))
            assert not [m for m in told if m["type"] == "reset"]
    entries = list(incident.timeline.values_list("pk", flat=True))
    heard = [m["data"]["entry"] for m in told if m.get("room") == room and "entry" in m.get("data", {})]
    assert heard == entries
    for known in (room, team_room(incident)):
        assert [entry for _, _, entry in reader.events(known)] == entries
    reader.leave()


def test_a_storm_on_one_incident_reaches_a_page_as_a_few_updates(webs, ana, incident):
    room = room_of(incident)
    client = LiveClient(ana, webs.ports[0], room)
    row = IncidentRow(
        *map(str, (incident.pk,)),
        incident.number,
        incident.title,
        "open",
        "low",
        str(incident.service_id),
        str(incident.service.team_id),
        0,
        False,
    )
    began = time.monotonic()
    for _ in range(6000):
        rooms.tell_alerts([row])
        time.sleep(0.0003)
    took = time.monotonic() - began
    client.wait_for(lambda m: m.get("kind") == "alert.updated" and m["room"] == room)
    time.sleep(2)
    updates = [m for m in client.told if m.get("kind") == "alert.updated" and m["room"] == room]
    assert 1 <= len(updates) <= 3 * (took + 2)
    assert updates[-1]["data"]["number"] == incident.number
    client.leave()
