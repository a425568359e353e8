"""`manage.py tail` against a web process: it prints what happens, and what happened while the process was away."""

import os
import queue
import signal
import subprocess
import sys
import threading

import pytest

from incidents import lifecycle
from incidents.tests.factories import IncidentFactory
from incidents.timeline import SYSTEM
from openalert.tests.stack import ROOT, Stack
from teams.tests.factories import PASSWORD, TeamFactory, UserFactory

pytestmark = pytest.mark.timeout(180)


class Tail:
    """The command in a process of its own."""

    def __init__(self, stack, *arguments, **variables):
        self.child = subprocess.Popen(
            [sys.executable, "manage.py", "tail", "--url", stack.url, *arguments],
            cwd=ROOT,
            env={**stack.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))

    def next(self, within=30):
        """The next line, without its time."""
        return self.lines.get(timeout=within)[10:]

    def end(self, number=signal.SIGINT):
        self.child.send_signal(number)
        return self.child.wait(15)


@pytest.fixture
def stack(transactional_db):
    running = Stack()
    try:
        running.start_web()
        yield running
    finally:
        running.stop()


@pytest.fixture
def ana(db):
    return UserFactory(name="Ana")


@pytest.fixture
def incident(ana):
    return IncidentFactory(service__team=TeamFactory(responders=[ana]), title="Disk full", severity="high")


def test_what_happens_is_printed_once_and_what_was_missed_too(stack, ana, incident):
    tail = Tail(stack, f"incident:{incident.pk}", "--email", ana.email, OPENALERT_PASSWORD=PASSWORD)
    rooms = f"user:{ana.pk}, team:{incident.service.team_id}, incident:{incident.pk}"
    assert tail.next() == f"connected: {rooms}"
    lifecycle.acknowledge(incident_id=incident.pk, actor=SYSTEM)
    about = f"#{incident.number} Disk full (high,"
    assert tail.next() == f"incident.acknowledged   {about} acknowledged)"

    stack.processes[0].kill()
    assert tail.next() == "the connection was lost; trying again"
    lifecycle.resolve(incident_id=incident.pk, actor=SYSTEM)
    stack.start_web()
    line = tail.next(60)
    while line == "the connection was lost; trying again":
        line = tail.next(60)
    assert line == f"incident.resolved       {about} resolved)"
    assert tail.next() == f"connected: {rooms}"
    lifecycle.add_note(incident_id=incident.pk, text="It was the logs", actor=SYSTEM)
    assert tail.next() == f"incident.updated        {about} resolved)"
    assert tail.end() == 130


def test_who_may_not_sign_in_is_told(stack, ana):
    tail = Tail(stack, "--email", ana.email, OPENALERT_PASSWORD="wrong")
    assert tail.child.wait(30) == 1
    other = Tail(stack, OPENALERT_TOKEN="nonsense")
    assert other.child.wait(30) == 1
    for said in (tail, other):
        line = said.lines.get(timeout=5)
        while "The server does not let you in" not in line:  # what the server said comes before
            line = said.lines.get(timeout=5)


def test_it_has_to_be_said_who_one_is(stack):
    environment = {name: value for name, value in os.environ.items() if name != "OPENALERT_TOKEN"}
    stack.environment = {**environment, **stack.environment}
    tail = Tail(stack)
    assert tail.child.wait(30) == 1
    assert "Say who you are" in tail.lines.get(timeout=5)
