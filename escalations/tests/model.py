"""A small reference of the engine, for property tests: what ought to happen, in memory, without a database.

A policy is unrolled into the places that a run goes through; the engine walks through loops and steps. Everything
happens when somebody asks for it, as with the engine: `tick`, `resume` and `wake` may come late, doubled or in any order.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

OPEN, ACKNOWLEDGED, SNOOZED, RESOLVED = "open", "acknowledged", "snoozed", "resolved"
MINUTE = timedelta(minutes=1)
PENDING, SENT, CANCELLED = "pending", "sent", "cancelled"
RANKS = {"critical": 0, "high": 1, "medium": 2, "low": 3}


@dataclass(frozen=True)
class Level:
    """People who are paged together, or one of them in turn."""

    people: tuple[str, ...]
    delay: timedelta
    in_turn: bool = False


@dataclass(frozen=True)
class Policy:
    name: str
    levels: tuple[Level, ...]
    repeat: int
    timeout: timedelta | None


@dataclass
class Run:
    policy: Policy
    rank: int
    due: datetime | None
    place: int = 0
    by_hand: bool = False
    waits: bool = False
    resumes: datetime | None = None
    also: dict[int, tuple[str, ...]] = field(default_factory=dict)  # level → people who acknowledged there

    @property
    def places(self) -> list[tuple[int, int]]:
        """(loop, level) in the order in which they are carried out."""
        levels = range(len(self.policy.levels))
        return [(loop, level) for loop in range(self.policy.repeat + 1) for level in levels]


@dataclass
class Case:
    """An incident with its escalation and its pages: (who, loop, level, run) → state."""

    severity: str
    status: str = OPEN
    acknowledged_by: str = ""
    until: datetime | None = None
    runs: list[Run] = field(default_factory=list)
    pages: dict[tuple[str, int, int, int], str] = field(default_factory=dict)

    @property
    def run(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    @property
    def is_running(self) -> bool:
        return bool(self.runs) and self.runs[-1].due is not None

    def seen(self) -> Counter[tuple[str, int, int, str]]:
        """Who was to be paged at which loop and level, and what became of it."""
        return Counter((who, loop, level, state) for (who, loop, level, _), state in self.pages.items())


class Model:
    def __init__(self, usual: Policy, critical: Policy) -> None:
        self.usual, self.critical = usual, critical
        self.cases: list[Case] = []
        self.windows: list[tuple[datetime, datetime]] = []
        self.turns: dict[tuple[str, int], int] = {}

    def policy_of(self, case: Case) -> Policy:
        return self.critical if case.severity == "critical" else self.usual

    # What people do

    def fire(self, severity: str, now: datetime) -> None:
        case = Case(severity)
        self.cases.append(case)
        self._begin(case, now)

    def acknowledge(self, case: Case, who: str, now: datetime) -> None:
        if case.status == ACKNOWLEDGED:
            return
        self._silence(case)
        case.status, case.acknowledged_by = ACKNOWLEDGED, who
        if case.run and case.run.policy.timeout:
            case.run.resumes = now + case.run.policy.timeout

    def unacknowledge(self, case: Case, now: datetime) -> None:
        if case.status != OPEN:
            self._open(case, now)

    def snooze(self, case: Case, until: datetime) -> None:
        self._silence(case)
        case.status, case.until = SNOOZED, until

    def resolve(self, case: Case) -> None:
        if case.status != RESOLVED:
            self._silence(case)
            case.status = RESOLVED

    def reopen(self, case: Case, now: datetime) -> None:
        self._open(case, now)

    def escalate(self, case: Case, now: datetime) -> None:
        answered, before = case.status != OPEN, case.run
        if answered:
            self._open(case, now)
        elif not case.is_running:
            self._begin(case, now)
        run = case.run
        if answered and before:
            at = before.places[before.place - 1][1] + 1 if before.place else 0
            if at < len(run.policy.levels):
                run.place = at
        run.due, run.by_hand = now, True

    def reassign(self, case: Case, policy: Policy, now: datetime) -> None:
        self._silence(case)
        case.status, case.until = OPEN, None
        case.runs.append(Run(policy, RANKS[case.severity], now, by_hand=True))

    def set_severity(self, case: Case, severity: str, now: datetime) -> None:
        if case.severity == severity:
            return
        case.severity = severity
        run, rank = case.run, RANKS[severity]
        is_worse = rank < run.rank and not run.by_hand
        if case.status == OPEN and is_worse and self.policy_of(case).name != run.policy.name:
            run.due = None  # what it has paged stays
            self._begin(case, now)
        elif case.is_running:
            run.rank = rank
            if run.waits:
                run.due = now

    def change_windows(self, windows: list[tuple[datetime, datetime]], now: datetime) -> None:
        self.windows = windows
        for case in self.cases:
            if case.is_running and case.run.waits:
                case.run.due = min(case.run.due, now)

    # What workers do

    def tick(self, now: datetime, order: list[int]) -> None:
        """`order`: the cases whose runs are due, in the order in which they were carried out."""
        for place in order:
            self._carry_out(self.cases[place], now)

    def due(self, now: datetime) -> set[int]:
        return {n for n, case in enumerate(self.cases) if case.is_running and case.run.due <= now}

    def resume(self, now: datetime) -> None:
        for case in self.cases:
            run = case.run
            if case.status == ACKNOWLEDGED and run and run.resumes and run.resumes <= now:
                run.resumes = None
                place = max(run.place - 1, 0)
                level = run.places[place][1] if run.places else 0
                also = dict(run.also)
                people = run.policy.levels[level].people if run.policy.levels else ()
                in_turn = bool(run.policy.levels) and run.policy.levels[level].in_turn
                if case.acknowledged_by and (in_turn or case.acknowledged_by not in people):
                    extra = also.get(level, ())
                    if case.acknowledged_by not in extra:
                        also[level] = (*extra, case.acknowledged_by)
                case.status, case.acknowledged_by = OPEN, ""
                case.runs.append(replace(run, place=place, due=now, rank=RANKS[case.severity], also=also))

    def wake(self, now: datetime) -> None:
        for case in self.cases:
            if case.status == SNOOZED and case.until <= now:
                self._open(case, now)

    def deliver(self) -> None:
        for case in self.cases:
            for page, state in case.pages.items():
                if state == PENDING:
                    case.pages[page] = SENT if case.status == OPEN else CANCELLED

    # How it goes

    def _begin(self, case: Case, now: datetime) -> None:
        case.runs.append(Run(self.policy_of(case), RANKS[case.severity], now))

    def _open(self, case: Case, now: datetime) -> None:
        self._silence(case, drop=False)
        case.status, case.acknowledged_by, case.until = OPEN, "", None
        self._begin(case, now)

    def _silence(self, case: Case, *, drop: bool = True) -> None:
        if case.run:
            case.run.due = case.run.resumes = None
        if drop:
            case.pages = {
                page: CANCELLED if state == PENDING else state for page, state in case.pages.items()
            }

    def _window_end(self, now: datetime) -> datetime | None:
        at, end = now, None
        while True:
            ends = [ends for begins, ends in self.windows if begins <= at < ends]
            if not ends:
                return end
            at = end = ends[0]

    def _carry_out(self, case: Case, now: datetime) -> None:
        run = case.run
        run.waits = False
        if not run.by_hand and (end := self._window_end(now)):
            run.due, run.waits = end, True
            return
        paged_in_loop: int | None = None
        while True:
            places = run.places
            if run.place >= len(places):
                run.due = now + MINUTE if paged_in_loop is not None else None
                return
            loop, level = places[run.place]
            if paged_in_loop not in (None, loop):
                run.due = now + MINUTE
                return
            run.place += 1
            people = self._people(run, level)
            for who in people:
                case.pages[who, loop, level, len(case.runs)] = PENDING
            if people:
                paged_in_loop = loop
                if delay := run.policy.levels[level].delay:
                    run.due = now + delay
                    return

    def _people(self, run: Run, number: int) -> tuple[str, ...]:
        level, also = run.policy.levels[number], run.also.get(number, ())
        if not level.in_turn or not level.people:
            return (*level.people, *also)
        turn = self.turns.get((run.policy.name, number), -1) + 1
        self.turns[run.policy.name, number] = turn % len(level.people)
        return tuple(dict.fromkeys((level.people[turn % len(level.people)], *also)))
