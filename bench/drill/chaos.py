"""What is broken, and when: a schedule that the seed alone decides, carried out while the supervisor mends."""

import contextlib
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import redis

from .stack import COPIES, SERVERS, Stack

PAUSE_SECONDS = (3.0, 8.0)
# A server has time to come back, and to do some work, before it is broken again.
REST_SECONDS = {"postgres": 25.0, "valkey": 12.0}
# kind → (how often, relatively; targets)
KINDS: dict[str, tuple[int, tuple[str, ...]]] = {
    "kill web": (3, ("web",)),
    "kill worker": (4, ("worker",)),
    "kill sender": (5, ("sender",)),
    "kill both workers": (1, ("worker1", "worker2")),
    "kill both senders": (1, ("sender1", "sender2")),
    "kill beat": (2, ("beat",)),
    "PostgreSQL fast restart": (2, ("postgres",)),
    "PostgreSQL immediate restart": (1, ("postgres",)),
    "PostgreSQL kill -9": (2, ("postgres",)),
    "Valkey flush": (3, ("valkey",)),
    "Valkey kill -9": (2, ("valkey",)),
    "Valkey frozen": (1, ("valkey",)),
    "Valkey away": (2, ("valkey",)),
}
LASTS_SECONDS = {"Valkey frozen": (2.0, 8.0), "Valkey away": (8.0, 25.0)}


@dataclass(frozen=True)
class Fault:
    """`after` seconds from the beginning; `seconds` is how long it lasts, if it does not last by itself."""

    after: float
    kind: str
    targets: tuple[str, ...]
    seconds: float = 0.0


def schedule(seed: int, seconds: float) -> list[Fault]:
    """Every kind once, if there is time for it, then what chance wants; the same for the same arguments."""
    chooser = random.Random(f"chaos {seed}")
    first = chooser.sample(list(KINDS), len(KINDS))
    faults: list[Fault] = []
    rests_until = dict.fromkeys(SERVERS, 0.0)
    after = chooser.uniform(*PAUSE_SECONDS)
    while after < seconds:
        possible = [kind for kind in KINDS if rests_until.get(KINDS[kind][1][0], 0.0) <= after]
        kind = next((kind for kind in first if kind in possible), None)
        if kind:
            first.remove(kind)
        else:
            kind = chooser.choices(possible, [KINDS[kind][0] for kind in possible])[0]
        targets = KINDS[kind][1]
        if len(targets) == 1 and targets[0] in ("web", "worker", "sender"):
            targets = (f"{targets[0]}{chooser.randint(1, COPIES)}",)
        lasts = chooser.uniform(*LASTS_SECONDS.get(kind, (0.0, 0.0)))
        faults.append(Fault(after, kind, targets, lasts))
        if targets[0] in SERVERS:
            rests_until[targets[0]] = after + lasts + REST_SECONDS[targets[0]]
        after += chooser.uniform(*PAUSE_SECONDS)
    return faults


@dataclass
class Event:
    """Something that was broken, in Unix seconds; `until` is when it answered again (servers only)."""

    at: float
    kind: str
    target: str
    pid: int
    until: float | None = None


@dataclass
class Chaos:
    stack: Stack
    faults: list[Fault]
    events: list[Event] = field(default_factory=list)
    _began: float = 0.0
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _holds: dict[str, float] = field(default_factory=dict)  # server → not to be started before

    def begin(self) -> None:
        self._began = time.monotonic()
        self._waiting = list(self.faults)

    @property
    def is_over(self) -> bool:
        """Whether all faults have come, and what they broke works again."""
        return not self._waiting and not self._later and all(event.until for event in self._outages())

    def every(self) -> None:
        """To be called all the time: carry out what is due, and see what answers again."""
        now = time.monotonic()
        while self._waiting and self._began + self._waiting[0].after <= now:
            self._carry_out(self._waiting.pop(0))
        for due in [later for later in self._later if later[0] <= now]:
            self._later.remove(due)
            due[1]()
        for name, until in list(self._holds.items()):
            watched = self.stack.watched(name)
            if now >= until:
                del self._holds[name]
            elif watched.start_at is not None:
                watched.start_at = max(watched.start_at, until)
        for name in SERVERS:
            broken = [event for event in self._outages() if event.target == name and event.until is None]
            if broken and self.stack.answers(name):
                for event in broken:
                    event.until = time.time()

    def _outages(self) -> list[Event]:
        return [event for event in self.events if event.target in SERVERS and event.kind != "Valkey flush"]

    def _carry_out(self, fault: Fault) -> None:
        for target in fault.targets:
            watched = self.stack.watched(target)
            if not watched.child.is_running:
                continue  # it is down already
            pid = watched.child.process.pid
            self.events.append(Event(time.time(), fault.kind, target, pid))
            match fault.kind:
                case "PostgreSQL fast restart":
                    os.kill(pid, signal.SIGINT)
                case "PostgreSQL immediate restart":
                    os.kill(pid, signal.SIGQUIT)
                case "Valkey flush":
                    self._flush()
                case "Valkey frozen":
                    os.kill(pid, signal.SIGSTOP)
                    self._later.append((time.monotonic() + fault.seconds, partial(self._thaw, pid)))
                case _:
                    os.killpg(pid, signal.SIGKILL)
                    if fault.seconds:
                        self._holds[target] = time.monotonic() + fault.seconds

    def _flush(self) -> None:
        url = self.stack.places.redis_url
        try:
            with redis.Redis.from_url(url, socket_timeout=1, retry=None) as client:
                client.flushall()
        except redis.RedisError:
            self.events.pop()  # frozen, or just coming back

    @staticmethod
    def _thaw(pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
