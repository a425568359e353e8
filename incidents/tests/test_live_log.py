"""The log of live events: one order for everybody, without holes, whoever commits late, dies or starts over."""

import json
import random
import threading
import time
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from incidents import lifecycle, rooms, timeline
from incidents.enums import Kind, Severity
from incidents.live import log
from incidents.live.protocol import event_frame
from incidents.models import Incident, LiveEvent
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert import sql
from openalert.websocket_frames import payload_of
from teams.tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


class Reader:
    """Reads as a web process does."""

    def __init__(self):
        [(self.epoch, self.position, *_)] = sql.fetch(log.READ, ["", 0, 1])
        self.seen = []

    def read(self, most=log.BATCH):
        """The events since the last time; None when it has to start over."""
        rows = sql.fetch(log.READ, [self.epoch, self.position, most])
        epoch, _, floor = rows[0][:3]
        if epoch != self.epoch or self.position < floor:
            return None
        events = [log.Event(*row[3:]) for row in rows if row[3] is not None]
        assert [event.position for event in events] == list(
            range(self.position + 1, self.position + 1 + len(events))
        )
        self.position += len(events)
        self.seen += events
        return events


def in_thread(work):
    def run():
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def what(events):
    return [event.kind for event in events]


def test_a_change_that_commits_late_comes_late_and_is_not_skipped():
    incident, other = IncidentFactory(), IncidentFactory()
    reader = Reader()
    written, may_commit = threading.Event(), threading.Event()

    def slow():
        with transaction.atomic():
            timeline.record(incident, Kind.NOTE, text="first written")
            written.set()
            assert may_commit.wait(10)

    thread = in_thread(slow)
    assert written.wait(10)
    lifecycle.acknowledge(incident_id=other.pk, actor=SYSTEM)
    assert what(reader.read()) == [Kind.ACKNOWLEDGED]
    may_commit.set()
    thread.join()
    assert what(reader.read()) == [Kind.NOTE]
    first, second = LiveEvent.objects.order_by("position")
    assert (first.kind, first.id > second.id) == (Kind.ACKNOWLEDGED, True), "ids alone would have skipped it"


def test_an_event_knows_its_rooms_and_the_incident_as_it_is():
    incident = IncidentFactory(title="Disk “full”")
    reader = Reader()
    lifecycle.change_severity(incident_id=incident.pk, severity=Severity.LOW, actor=SYSTEM)
    [event] = reader.read()
    assert event.rooms() == [
        f"incident:{incident.pk}",
        f"service:{incident.service_id}",
        f"team:{incident.service.team_id}",
    ]
    assert LiveEvent.objects.get().data == {
        "incident_id": str(incident.pk),
        "number": incident.number,
        "title": "Disk “full”",
        "severity": "low",
        "status": "open",
        "entry": incident.timeline.get().pk,
        "what": "severity_changed",
    }


def test_what_has_no_timeline_is_told_too():
    user, team, incident = UserFactory(), TeamFactory(), IncidentFactory()
    reader = Reader()
    rooms.publish_to_user(user.pk, "toast", {"title": "Hello"})
    rooms.publish_to_teams([(team.pk, "oncall.changed", {"schedule": "Primary"})])
    rooms.publish_incident(incident, "alert.updated", count=3)
    assert [(event.rooms()[0], event.kind) for event in reader.read()] == [
        (f"user:{user.pk}", "toast"),
        (f"team:{team.pk}", "oncall.changed"),
        (f"incident:{incident.pk}", "alert.updated"),
    ]


def test_entries_are_told_as_what_the_protocol_calls_them():
    incident = IncidentFactory()
    reader = Reader()
    told_as = {
        Kind.OPENED: "incident.opened",
        Kind.ACKNOWLEDGED: "incident.acknowledged",
        Kind.RESOLVED: "incident.resolved",
        Kind.SEVERITY_CHANGED: "incident.updated",
        Kind.ALERT_ADDED: "alert.new",
        Kind.ALERT_REFIRED: "alert.updated",
        Kind.ALERT_RESOLVED: "alert.resolved",
        Kind.PAGE_SENT: "notification.sent",
        Kind.PAGE_FAILED: "notification.failed",
    }
    timeline.record_all(timeline.entry(incident, kind) for kind in told_as)
    room = f"team:{incident.service.team_id}"
    frames = [payload_of(event_frame(reader.epoch, event, room)) for event in reader.read()]
    told = [json.loads(frame) for frame in frames]
    assert [(m["type"], m["room"], m["kind"], m["data"]["what"]) for m in told] == [
        ("event", room, name, str(kind)) for kind, name in told_as.items()
    ]


def test_what_is_rolled_back_is_not_told():
    incident = IncidentFactory()
    reader = Reader()
    with pytest.raises(RuntimeError), transaction.atomic():
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
        raise RuntimeError
    assert reader.read() == []


def test_a_long_backlog_is_read_in_pieces():
    incident = IncidentFactory()
    reader = Reader()
    timeline.record_all(timeline.entry(incident, Kind.NOTE, text=str(n)) for n in range(25))
    sizes = [len(reader.read(10)) for _ in range(4)]
    assert sizes == [10, 10, 5, 0]
    assert [event.entry_id for event in reader.seen] == sorted(event.entry_id for event in reader.seen)


def test_all_readers_see_one_order_while_many_write():
    """Writers with transactions of all lengths, some rolled back; readers in between: equal, complete, in order."""
    incidents = [IncidentFactory() for _ in range(4)]
    readers = [Reader() for _ in range(3)]
    is_over = threading.Event()
    committed = []

    def write(seed):
        chooser = random.Random(seed)
        for number in range(40):
            incident = chooser.choice(incidents)
            text = f"{seed}-{number}"
            try:
                with transaction.atomic():
                    if chooser.random() < 0.3:  # as pages that were sent: without the incident's lock
                        timeline.record(incident, Kind.PAGE_SENT, user="Ana", channel=text)
                    else:
                        lifecycle.lock([incident.pk])
                        timeline.record(incident, Kind.NOTE, text=text)
                    time.sleep(chooser.random() * 0.01)
                    if chooser.random() < 0.2:
                        raise InterruptedError
            except InterruptedError:
                continue
            committed.append(text)

    def read(reader):
        while not is_over.is_set():
            reader.read(7)

    reading = [in_thread(lambda reader=reader: read(reader)) for reader in readers]
    writing = [in_thread(lambda seed=seed: write(seed)) for seed in range(6)]
    for thread in writing:
        thread.join()
    is_over.set()
    for thread in reading:
        thread.join()
    for reader in readers:
        while reader.read():
            pass
    assert readers[0].seen == readers[1].seen == readers[2].seen
    texts = {
        entry.pk: entry.data.get("text") or entry.data["channel"]
        for incident in incidents
        for entry in incident.timeline.all()
    }
    assert sorted(texts[event.entry_id] for event in readers[0].seen) == sorted(committed)
    for incident in incidents:
        told = [e.entry_id for e in readers[0].seen if e.incident == str(incident.pk) and e.kind == Kind.NOTE]
        assert told == sorted(told), "what the incident's lock keeps apart stays in its order"


def test_a_reader_that_dies_while_it_gives_places_loses_nothing():
    incident = IncidentFactory()
    reader = Reader()
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    placed, is_dead = threading.Event(), threading.Event()

    def die():
        connection.ensure_connection()
        connection.connection.autocommit = False
        sql.fetch(log.READ, [reader.epoch, reader.position, 10])
        placed.set()
        assert is_dead.wait(10)
        connection.connection.pgconn.finish()  # kill -9, as the server sees it

    thread = in_thread(die)
    assert placed.wait(10)
    waiting = []
    other = in_thread(lambda: waiting.extend(reader.read()))
    time.sleep(0.2)
    assert waiting == [], "one at a time"
    is_dead.set()
    thread.join()
    other.join()
    assert what(waiting) == [Kind.ACKNOWLEDGED]


def test_a_crash_of_the_database_begins_a_new_epoch():
    """Recovery empties tables that are not logged: places that were given without waiting for the disk may be lost."""
    incident = IncidentFactory()
    reader = Reader()
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    assert len(reader.read()) == 1
    sql.execute("TRUNCATE incidents_livehead", [])
    LiveEvent.objects.update(position=None)
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    assert reader.read() is None
    after = Reader()
    assert after.epoch != reader.epoch
    lifecycle.add_note(incident_id=incident.pk, text="After the crash", actor=SYSTEM)
    assert what(after.read()) == [Kind.NOTE]


def test_places_are_given_without_waiting_for_the_disk_and_changes_are_not():
    incident = IncidentFactory()
    reader = Reader()
    show = "SHOW synchronous_commit"
    with transaction.atomic():
        sql.execute("SET LOCAL synchronous_commit = on", [])  # tests' servers are not durable
        lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
        assert sql.fetch(show, []) == [("on",)]
    with transaction.atomic():
        sql.execute("SET LOCAL synchronous_commit = on", [])
        assert len(reader.read()) == 1
        assert sql.fetch(show, []) == [("off",)]


def test_old_events_go_and_whoever_needs_them_has_to_start_over():
    incident = IncidentFactory()
    slow, quick = Reader(), Reader()
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    assert len(quick.read()) == 1
    LiveEvent.objects.update(at=Incident.objects.get().opened_at - log.KEPT - timedelta(minutes=1))
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    assert log.prune() == 1
    assert slow.read() is None
    assert what(quick.read()) == [Kind.RESOLVED]
    assert log.prune() == 0


@pytest.mark.parametrize("text", [None, 7, "", "x", "-", "-5", "a-", "a-b", "a-1.0", "a-²", "a-" + "9" * 30])
def test_nonsense_is_no_cursor(text):
    assert log.Cursor.parse(text) is None


def test_cursors_survive_their_way_as_text():
    cursor = log.Cursor("4a.9f", 12)
    assert log.Cursor.parse(str(cursor)) == cursor
