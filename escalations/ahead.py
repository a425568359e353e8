"""What is going to happen unless somebody answers: the engine's own steps, on a clock that runs ahead, written nowhere."""

import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from .enums import RunStatus
from .models import EscalationRun
from .steps import Reached, Surroundings, carry_out
from .waits import Wait

# Rounds times steps that a policy can have, with room for what it waits for.
MOST_TURNS = 1000


class Foreseen(NamedTuple):
    """At the instant `at` there is something to wait for."""

    at: datetime
    wait: Wait


@dataclass
class Ahead:
    """Steps in order, what has to be waited for, and when the policy ends.

    `ends_at` is None when only a part of the future was asked for.
    """

    steps: list[Reached] = field(default_factory=list)
    waits: list[Foreseen] = field(default_factory=list)
    ends_at: datetime | None = None


def look_ahead(run: EscalationRun, *, most: int) -> Ahead:
    """The next steps of a run, at most so many, by schedules, teams, windows and hours as they are known now.

    The run (incident, service and team loaded) stays as it is.
    """
    ahead = Ahead()
    if run.due_at is None:
        return ahead
    around = Surroundings.of([run], at=run.due_at)
    run = copy.copy(run)
    for _ in range(MOST_TURNS):
        if run.status != RunStatus.RUNNING or run.due_at is None or len(ahead.steps) >= most:
            break
        now = run.due_at
        outcome = carry_out(run, around, now=now)
        ahead.steps += outcome.reached
        ahead.waits += [Foreseen(now, wait) for wait in outcome.waits]
        if outcome.ended:
            ahead.ends_at = now
    del ahead.steps[most:]
    return ahead
