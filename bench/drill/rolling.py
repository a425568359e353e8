"""`make rolling`: an installation is brought to a new version, process by process, while it takes alerts and pages people.

Two of each program stand behind what a balancer does: clients send to the web processes whose /readyz says that they
are ready, in turn, over connections that stay open. Each process is asked to end by SIGTERM, and another takes its
place, before it is the next one's turn. Prints requests that failed (no answer, or 5xx: none is sent again before it is
counted), and the drill's reckoning of alerts and pages, in which nothing explains a page that came twice. Exit status 1
if anything failed, or was lost.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg

from . import reconcile
from .__main__ import QUIET_WITHIN, lateness
from .evidence import gather, unfinished
from .load import Load, Problem
from .stack import COPIES, Over, Stack

LOOK_SECONDS = 0.2
# Between two programs, with everything there.
REST_SECONDS = 1.0
BACK_WITHIN = 60.0
ORDER = [f"{name}{copy}" for name in ("web", "worker", "sender") for copy in range(1, COPIES + 1)] + ["beat"]


class Balancer:
    """Keeps a list of the ports whose /readyz is answered 200, for those who send by it."""

    def __init__(self, ports: list[int]) -> None:
        self.all = list(ports)
        self.ready = list(ports)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ending.set()
        self._thread.join()

    def is_ready(self, port: int) -> bool:
        return port in self.ready

    def _run(self) -> None:
        with httpx.Client(timeout=2) as client:
            while not self._ending.wait(LOOK_SECONDS):
                ready = [port for port in self.all if self._answers(client, port)]
                self.ready[:] = ready or self.ready

    @staticmethod
    def _answers(client: httpx.Client, port: int) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return client.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        return False


@dataclass
class Senders:
    """Monitoring systems that send an alert again and again, each over connections that stay open."""

    load: Load
    ports: list[int]
    count: int
    pause: float
    requests: int = 0
    failures: list[str] = field(default_factory=list)

    def run(self, ending: threading.Event) -> None:
        asyncio.run(self._run(ending))

    async def _run(self, ending: threading.Event) -> None:
        door = next(door for door in self.load.scene["doors"] if door["format"] == "openalert")
        async with asyncio.TaskGroup() as group:
            for number in range(self.count):
                problem = Problem(f"sender-{number}", door, "low", "silence", 0)
                self.load.problems.append(problem)
                group.create_task(self._send(problem, ending))

    async def _send(self, problem: Problem, ending: threading.Event) -> None:
        body = {"external_id": problem.key, "title": f"{problem.key}. is broken", "severity": "low"}
        headers = {"Authorization": f"Bearer {problem.door['key']}"}
        problem.sent_at = time.time()
        async with httpx.AsyncClient(timeout=20) as client:
            turn = 0
            while not ending.is_set():
                port = self.ports[turn % len(self.ports)]
                turn += 1
                self.requests += 1
                try:
                    answer = await client.post(
                        f"http://127.0.0.1:{port}/api/v1/alerts", json=body, headers=headers
                    )
                    if answer.is_success:
                        problem.accepted_at = problem.accepted_at or time.time()
                    else:
                        self.failures.append(f"{port}: {answer.status_code} {answer.text[:200]}")
                except httpx.HTTPError as error:
                    self.failures.append(f"{port}: {error!r}")
                await asyncio.sleep(self.pause)


class Rollout:
    """Asks one program after the other to end, and waits until another is in its place."""

    def __init__(self, stack: Stack, balancer: Balancer, rounds: int) -> None:
        self._stack, self._balancer = stack, balancer
        self._left = ORDER * rounds
        self._current: str | None = None
        self._pid = 0
        self._asked_at = self._rests_until = 0.0
        self.took: dict[str, list[float]] = {}  # seconds from SIGTERM to the process' end
        self._has_ended = False

    @property
    def is_over(self) -> bool:
        return not self._left and self._current is None

    def every(self) -> None:
        """To be called all the time."""
        now = time.monotonic()
        if self._current is None:
            if self._left and now >= self._rests_until:
                self._begin(self._left.pop(0))
            return
        watched = self._stack.watched(self._current)
        if not self._has_ended and (watched.child.process.pid != self._pid or not watched.child.is_running):
            self._has_ended = True
            self.took.setdefault(self._current.rstrip("12"), []).append(now - self._asked_at)
        if self._has_ended and watched.child.process.pid != self._pid and self._is_back():
            self._current, self._rests_until = None, now + REST_SECONDS
        elif now > self._asked_at + BACK_WITHIN:
            sys.exit(f"{self._current} did not come back:\n{self._stack.log.read_text()[-3000:]}")

    def _begin(self, name: str) -> None:
        self._current, self._has_ended = name, False
        child = self._stack.watched(name).child
        self._pid, self._asked_at = child.process.pid, time.monotonic()
        child.process.send_signal(signal.SIGTERM)

    def _is_back(self) -> bool:
        name = self._current or ""
        if name.startswith("web"):
            return self._balancer.is_ready(self._stack.ports[int(name[-1]) - 1])
        return name == "beat" or self._stack.workers_wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="rolling", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=2, help="how often each process is replaced")
    parser.add_argument("--rate", type=float, default=1.0, help="requests with new alerts a second")
    parser.add_argument("--senders", type=int, default=8, help="that repeat an alert all the time")
    parser.add_argument("--pause", type=float, default=0.05, help="of each sender, in seconds")
    parser.add_argument("--drain", type=int, default=3, help="DRAIN_SECONDS of the web processes")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="openalert-rolling-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # PostgreSQL does not run as root, and has to get through
        is_good = run(folder, given)
    sys.exit(not is_good)


def run(folder: Path, given: argparse.Namespace) -> bool:
    stack = Stack(folder, given.seed)
    stack.environment["DRAIN_SECONDS"] = str(given.drain)
    with stack.running():
        balancer = Balancer(stack.ports)
        rollout = Rollout(stack, balancer, given.rounds)
        # It is over when the last process is in its place.
        load = Load(stack.scene, balancer.ready, given.seed, seconds=10**6, rate=given.rate, patience=0)
        senders = Senders(load, balancer.ready, given.senders, given.pause)
        ending = threading.Event()
        balancer.start()
        threads = [
            threading.Thread(target=work, daemon=True) for work in (load.run, lambda: senders.run(ending))
        ]
        for thread in threads:
            thread.start()

        def every() -> None:
            rollout.every()
            if rollout.is_over:
                load.seconds = 0
                ending.set()
                if not any(thread.is_alive() for thread in threads):
                    raise Over

        began = time.monotonic()
        stack.supervise(every)
        seconds = time.monotonic() - began
        balancer.end()
        left, looked = (1, 1), 0.0
        deadline = time.monotonic() + QUIET_WITHIN

        def wait_for_quiet() -> None:
            nonlocal left, looked
            if time.monotonic() < looked + 1:
                return
            looked = time.monotonic()
            with contextlib.suppress(psycopg.Error), stack.database() as database:
                left = unfinished(database)
            if not any(left) or looked > deadline:
                raise Over

        stack.supervise(wait_for_quiet)
        with stack.database() as database:
            evidence = gather(database, stack.mail_log)
    verdict = reconcile.judge(stack.scene, load.problems, evidence, [], left)
    return tell(seconds, rollout, load, senders, verdict)


def tell(seconds: float, rollout: Rollout, load: Load, senders: Senders, verdict: reconcile.Verdict) -> bool:
    failed = load.unanswered + load.refused
    print(f"{sum(map(len, rollout.took.values()))} processes were replaced in {seconds:.0f} s")
    print("| program | times | seconds from SIGTERM to its end: most |\n|---|---:|---:|")
    for name, took in rollout.took.items():
        print(f"| {name} | {len(took)} | {max(took):.1f} |")
    print("\n| | requests | failed |\n|---|---:|---:|")
    print(f"| intake, repeated alerts | {senders.requests:,} | {len(senders.failures)} |")
    print(f"| intake of new alerts, and people's answers | {load.requests:,} | {failed} |")
    counts = verdict.counts
    print(
        "\n| alerts accepted | pages | handed over | dropped by an answer | lost | too late | twice | late p50 p99 max |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---|")
    print(
        f"| {counts['alerts accepted']} | {counts['pages']} | {counts['pages handed over']} "
        f"| {counts['pages dropped by an answer']} | {len(verdict.lost)} | {len(verdict.too_late)} "
        f"| {len(verdict.unexplained)} | {lateness(verdict.waits)} |"
    )
    for what in [
        *senders.failures,
        *load.failures,
        *load.unexpected,
        *verdict.lost,
        *verdict.too_late,
        *verdict.unexplained,
    ][:20]:
        print(f"  {what}")
    return verdict.is_good and not (failed or senders.failures or load.unexpected)


if __name__ == "__main__":
    main()
