"""Carrying out a run's due step. In memory: what follows is written by the engine, or only shown by a preview.

Everything that decides who is paged and when is here and in what it asks: escalations.targets, escalations.waits.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from alerts.models import MaintenanceWindow
from incidents import timeline
from incidents.enums import Kind, Urgency
from incidents.models import TimelineEntry
from notifications.outbox import PageRequest
from teams.models import User

from .enums import RunStatus
from .models import EscalationRun
from .targets import Targets
from .waits import Wait, Waits

# Whoever is paged last has so long to answer before the policy starts over or ends, even where no step waits.
SHORTEST_PAUSE = timedelta(minutes=1)


@dataclass(frozen=True)
class Reached:
    """A step that was carried out, and whom it reached: perhaps nobody. `loop` and `step` count from 0."""

    at: datetime
    loop: int
    step: int
    people: list[User]
    targets: list[str]


@dataclass
class Outcome:
    """What the steps of some runs ask to be written."""

    pages: list[PageRequest] = field(default_factory=list)
    entries: list[TimelineEntry] = field(default_factory=list)
    reached: list[Reached] = field(default_factory=list)
    ended: list[EscalationRun] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        for name in ("pages", "entries", "reached", "ended", "waits"):
            getattr(self, name).extend(getattr(other, name))


@dataclass(frozen=True)
class Surroundings:
    """What steps depend on, loaded for some runs (incident, service and team loaded) in a fixed number of queries."""

    targets: Targets
    waits: Waits

    @classmethod
    def of(cls, runs: Iterable[EscalationRun], *, at: datetime, is_writing: bool = False) -> Self:
        """`is_writing`: turns of round robins are taken, and what runs wait for is kept from changing."""
        runs = list(runs)
        return cls(
            Targets((run.snapshot for run in runs), is_taking=is_writing),
            Waits([run.incident for run in runs], at=at, is_locking=is_writing),
        )


def carry_out(run: EscalationRun, around: Surroundings, *, now: datetime) -> Outcome:
    """Change the run, whose step is due, to what it is after it. Steps that reach nobody are passed over at once."""
    outcome = Outcome()
    if not run.is_by_hand and (wait := around.waits.of(run.incident, at=now)):
        _put_off(run, wait, now, outcome)
        return outcome
    run.waits_for, run.waits_until = "", None
    steps = run.snapshot["steps"]
    has_paged = False
    while True:
        if run.step >= len(steps):
            if has_paged:
                run.due_at = now + SHORTEST_PAUSE
                return outcome
            # Count the loop even when it paged nobody, or it never ends.
            if run.loop >= run.snapshot["repeat"] or not steps:
                _end(run, now, outcome)
                return outcome
            run.loop, run.step = run.loop + 1, 0
        step = steps[run.step]
        people = around.targets.people(step, at=now)
        names = [target["name"] for target in step["targets"]]
        reached = Reached(now, run.loop, run.step, people, names)
        outcome.reached.append(reached)
        run.step += 1
        if not people:
            reason = f"step {reached.step + 1} reaches nobody ({', '.join(names) or 'it has no targets'})"
            outcome.entries.append(timeline.entry(run.incident, Kind.NOBODY_TO_PAGE, at=now, reason=reason))
            continue
        _page(run, reached, around.waits.quiet_window(run.incident, at=now), outcome)
        has_paged = True
        if step["delay_seconds"]:
            run.due_at = now + timedelta(seconds=step["delay_seconds"])
            return outcome


def _put_off(run: EscalationRun, wait: Wait, now: datetime, outcome: Outcome) -> None:
    """Told once, however often it is looked at."""
    outcome.waits.append(wait)
    run.due_at = wait.until
    if (run.waits_for, run.waits_until) == (wait.reason, wait.until):
        return
    run.waits_for, run.waits_until = wait.reason, wait.until
    outcome.entries.append(
        timeline.entry(
            run.incident,
            Kind.PAGING_WAITS,
            at=now,
            reason=str(wait.reason),
            words=wait.words,
            until=wait.until.isoformat(),
        )
    )


def _page(run: EscalationRun, reached: Reached, quiet: MaintenanceWindow | None, outcome: Outcome) -> None:
    data: dict[str, Any] = {
        "people": [str(person) for person in reached.people],
        "targets": reached.targets,
        "loop": reached.loop,
        "step": reached.step,
    }
    if quiet:
        data["quiet"] = quiet.title
    outcome.entries.append(timeline.entry(run.incident, Kind.STEP_REACHED, at=reached.at, **data))
    outcome.pages += [
        PageRequest(
            person, run.incident, run.pk, reached.loop, reached.step, urgency=Urgency.LOW if quiet else None
        )
        for person in reached.people
    ]


def _end(run: EscalationRun, now: datetime, outcome: Outcome) -> None:
    run.status, run.due_at = RunStatus.EXHAUSTED, None
    run.ended_at, run.end_reason = now, "exhausted"
    outcome.ended.append(run)
