"""The fault drill, and whether it would notice."""

import subprocess
import sys
from collections import Counter

import pytest

from bench.drill import chaos, reconcile
from bench.drill.chaos import Event
from bench.drill.evidence import Attempt, Evidence, Handed, Incident, Page, Step
from bench.drill.load import Problem
from bench.drill.scene import Door, Policy, Scene
from openalert.tests.stack import ROOT

DOOR = Door(format="openalert", key="k", policy="levels")
SCENE = Scene(
    password="",
    people={"ana": ["ana@drill"], "bo": ["bo@drill", ""]},
    policies={
        "levels": Policy(
            repeat=0, steps=[{"delay": 5, "people": ["ana"]}, {"delay": 5, "people": ["ana", "bo"]}]
        )
    },
    doors=[DOOR],
)


@pytest.mark.timeout(600)
def test_nothing_is_lost_in_a_minute_of_faults():
    command = [sys.executable, "-m", "bench.drill", "--seconds", "60", "--seed", "2026", "--rate", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=580)
    print(done.stdout, done.stderr[-3000:])  # pytest shows it when the test failed
    assert done.returncode == 0


class Story:
    """An incident that opened at 1000 and what is known of it; by itself all of it is as it should be."""

    def __init__(self, answered=None):
        self.problem = Problem(
            "problem-1", DOOR, "high", "silence", 0, accepted_at=1000.1, answered_at=answered
        )
        self.incident = Incident(
            "i", "problem-1. is broken", "open", "openalert levels", opened=1000.0, answered=answered
        )
        self.steps, self.pages, self.attempts, self.handed, self.events = [], [], [], [], []
        self.alerts = {"problem-1": [("firing", "i")]}

    def carry_out(self, number, at, *addresses):
        self.steps.append(Step("i", 0, number, at))
        for address in addresses:
            channel, name = ("email", address) if address else ("in_app", "bo-app")
            self.page(f"{number}-{name}", number, channel, address, at)

    def page(self, name, number, channel, address, at):
        person = "ana" if address.startswith("ana") else "bo"
        self.pages.append(Page(name, "i", 0, number, person, channel, address, "sent", 1))
        self.attempts.append(Attempt(name, 1, "sent", at + 0.1, at + 0.3))
        if channel == "email":
            self.hand_over(name, at + 0.2, pid=7)

    def hand_over(self, name, at, pid):
        self.handed.append(Handed(name, pid, "somebody", at - 0.05, at))

    def judge(self, left=(0, 0)):
        evidence = Evidence(
            incidents=[self.incident],
            steps={"i": self.steps},
            pages={"i": self.pages},
            attempts=by_page(self.attempts, "page"),
            alerts=self.alerts,
            handed=by_page(self.handed, "id"),
        )
        return reconcile.judge(SCENE, [self.problem], evidence, self.events, left)


def by_page(rows, name):
    return {
        key: [row for row in rows if getattr(row, name) == key] for key in {getattr(r, name) for r in rows}
    }


@pytest.fixture
def story():
    story = Story()
    story.carry_out(0, 1000.5, "ana@drill")
    story.carry_out(1, 1006.0, "ana@drill", "bo@drill", "")
    return story


@pytest.fixture
def answered():
    """Acknowledged at 1003, when the first step had been carried out."""
    story = Story(answered=1003.0)
    story.carry_out(0, 1000.5, "ana@drill")
    return story


def faults(verdict):
    return len(verdict.lost), len(verdict.too_late), len(verdict.unexplained)


def test_good_run_is_good(story, answered):
    verdict = story.judge()
    assert verdict.is_good
    assert verdict.counts == Counter(
        {
            "alerts sent": 1,
            "alerts accepted": 1,
            "incidents": 1,
            "incidents nobody answered": 1,
            "pages": 4,
            "pages handed over": 4,
        }
    )
    # The second step was due 5 s after the first was carried out: at 1005.5.
    assert [round(wait.seconds, 3) for wait in verdict.waits] == [0.7, 0.7, 0.7, 0.8]
    assert answered.judge().is_good


@pytest.mark.parametrize(
    "harm",
    [
        lambda story: story.alerts.clear(),
        lambda story: story.alerts.update({"problem-1": [("firing", None)]}),
        lambda story: story.pages.pop(),  # a row is missing
        lambda story: story.handed.pop(),  # it counts as sent, and was not
        lambda story: story.steps.pop(),
        lambda story: setattr(story.problem, "answered_at", 1007.0),
    ],
)
def test_loss_is_found(story, harm):
    harm(story)
    verdict = story.judge()
    assert verdict.lost


def test_what_still_waits_is_lost(story):
    assert faults(story.judge(left=(0, 1))) == (1, 0, 0)


def test_page_that_died_is_lost_unless_somebody_had_answered(story, answered):
    story.handed.pop()
    story.pages[-2].status = "dead"
    assert faults(story.judge()) == (1, 0, 0)
    answered.handed.pop()
    answered.pages[-1].status = "cancelled"
    verdict = answered.judge()
    assert faults(verdict) == (0, 0, 0)
    assert [wait.seconds for wait in verdict.waits] == [3.0], "it was late until the answer"


def test_page_after_the_answer_is_found(answered):
    answered.attempts[0].started = 1003.0 + reconcile.VISIBLE_SECONDS + 0.01
    assert faults(answered.judge()) == (0, 1, 0)
    answered.handed[0].opened = 1003.0 + reconcile.SETTLING_SECONDS + 0.1
    assert faults(answered.judge()) == (0, 2, 0)


def test_step_after_the_answer_is_found(answered):
    answered.carry_out(1, 1005.6, "ana@drill", "bo@drill", "")
    assert answered.judge().too_late


def test_step_that_an_answer_prevented_in_time_is_not_missed(answered):
    answered.incident.answered = 1005.4
    assert len(answered.judge().waits) == 1
    answered.incident.answered = 1007.5
    [first, second] = answered.judge().waits
    assert (first.due, second.due, second.seconds) == (1000.0, 1005.5, 2.0)


def test_step_before_its_time_is_found(story):
    story.steps[1].at = 1005.0
    assert faults(story.judge()) == (0, 0, 1)


@pytest.mark.parametrize(
    ("event", "is_explained"),
    [
        (Event(1000.7, "kill sender", "sender1", 7), True),
        (Event(1000.7, "kill sender", "sender1", 8), False),  # another sender's death
        (Event(1000.6, "kill sender", "sender1", 7), False),  # before it began
        (Event(1010.0, "kill sender", "sender1", 7), False),  # long after it was written down
        (Event(999.0, "PostgreSQL kill -9", "postgres", 1, until=1001.0), True),
        (Event(990.0, "PostgreSQL kill -9", "postgres", 1, until=995.0), False),
        (Event(999.0, "Valkey away", "valkey", 1, until=1001.0), False),
    ],
)
def test_duplicate_is_explained_by_what_happened_to_its_sender(story, event, is_explained):
    story.hand_over("0-ana@drill", 1016.0, pid=9)
    story.events.append(event)
    verdict = story.judge()
    assert (len(verdict.explained), len(verdict.unexplained)) == ((1, 0) if is_explained else (0, 1))


def test_message_that_nobody_asked_for_is_found(story):
    story.hand_over("another", 1002.0, pid=7)
    assert faults(story.judge()) == (0, 0, 1)


def test_seed_decides_the_faults():
    assert chaos.schedule(1, 90) == chaos.schedule(1, 90) != chaos.schedule(2, 90)
    assert {fault.kind for fault in chaos.schedule(1, 200)} == set(chaos.KINDS)
