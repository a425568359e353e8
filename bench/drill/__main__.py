"""`make drill`: run the drill some times and print what became of the promise. Exit status 1 if it was broken.

python -m bench.drill --runs 10 --seconds 100 --seed 1
"""

import argparse
import contextlib
import json
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from . import reconcile
from .chaos import Chaos, Event, schedule
from .evidence import gather, unfinished
from .load import Load
from .reconcile import Verdict, Wait
from .stack import SERVERS, Over, Stack

# After the end of the load: the longest policy, a lease, and what a restart takes.
QUIET_WITHIN = 150
SHOWN = 12


@dataclass
class Result:
    seed: int
    verdict: Verdict
    events: list[Event]
    load: Load
    quiet_after: float

    @property
    def is_good(self) -> bool:
        return self.verdict.is_good and not self.load.unexpected


def run(*, seed: int, seconds: float, rate: float, folder: Path) -> Result:
    """One drill, in the main thread, with everything it makes in `folder`."""
    stack = Stack(folder, seed)
    with stack.running():
        chaos = Chaos(stack, schedule(seed, seconds))
        load = Load(stack.scene, stack.ports, seed, seconds, rate, patience=QUIET_WITHIN)
        client = threading.Thread(target=load.run, daemon=True)
        chaos.begin()
        client.start()

        def break_things() -> None:
            chaos.every()
            if chaos.is_over and not client.is_alive():
                raise Over

        stack.supervise(break_things)
        ended, left, looked = time.monotonic(), (1, 1), 0.0

        def wait_for_quiet() -> None:
            nonlocal left, looked
            if time.monotonic() < looked + 1:
                return
            looked = time.monotonic()
            with contextlib.suppress(psycopg.Error), stack.database(connect_timeout=2) as database:
                left = unfinished(database)
            if not any(left) or time.monotonic() > ended + QUIET_WITHIN:
                raise Over

        stack.supervise(wait_for_quiet)
        with stack.database() as database:
            evidence = gather(database, stack.mail_log)
        verdict = reconcile.judge(stack.scene, load.problems, evidence, chaos.events, left)
        told = {"events": list(map(vars, chaos.events)), "waits": list(map(vars, verdict.waits))}
        (folder / "report.json").write_text(json.dumps(told))
        return Result(seed, verdict, chaos.events, load, time.monotonic() - ended)


def calm(waits: Iterable[Wait], events: Iterable[Event]) -> list[Wait]:
    """Those during which PostgreSQL and Valkey were there."""
    windows = [(event.at, event.until or event.at) for event in events if event.target in SERVERS]
    return [wait for wait in waits if not any(a <= wait.until and wait.due <= b for a, b in windows)]


def lateness(waits: Sequence[Wait]) -> str:
    ordered = sorted(wait.seconds for wait in waits)
    if len(ordered) < 2:
        return "    -     -      -"
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return f"{cuts[49]:5.2f} {cuts[98]:5.1f} {ordered[-1]:6.1f}"


HEAD = (
    "   seed  faults  alerts 2xx  lost  incidents  pages due  handed  dropped  too late  duplicates:      explained"
    "  unexplained   late: p50   p99    max   servers up: p50   p99    max"
)


def line(name: str, results: Sequence[Result]) -> str:
    counts: Counter[str] = sum((result.verdict.counts for result in results), Counter())
    waits = [wait for result in results for wait in result.verdict.waits]
    steady = [wait for result in results for wait in calm(result.verdict.waits, result.events)]

    def total(what: str) -> int:
        return sum(len(getattr(result.verdict, what)) for result in results)

    return (
        f"{name:>7} {sum(len(result.events) for result in results):7} {counts['alerts accepted']:11}"
        f" {total('lost'):5} {counts['incidents']:10} {counts['pages']:10} {counts['pages handed over']:7}"
        f" {counts['pages dropped by an answer']:8} {total('too_late'):9}"
        f" {total('explained') + total('unexplained'):11} {total('explained'):14} {total('unexplained'):12}"
        f"       {lateness(waits)}        {lateness(steady)}"
    )


def tell(result: Result) -> None:
    """What there is to say of one run beside its line."""
    kinds = Counter(event.kind for event in result.events)
    print("         " + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())))
    for name in SERVERS:
        times = [event.until - event.at for event in result.events if event.target == name and event.until]
        print(f"         {name} was away {len(times)} times, at most {max(times, default=0):.0f} s")
    load = result.load
    print(
        f"         {load.requests} requests, {load.unanswered} without an answer and {load.refused} answered 5xx were"
        f" sent again; quiet {result.quiet_after:.0f} s after the last"
    )
    for name in ("lost", "too_late", "unexplained", "explained"):
        found = getattr(result.verdict, name)
        for what in found[:SHOWN]:
            print(f"         {name.replace('_', ' ')}: {what}")
        if len(found) > SHOWN:
            print(f"         {name.replace('_', ' ')}: and {len(found) - SHOWN} more")
    for what in load.unexpected[:SHOWN]:
        print(f"         unexpected answer: {what}")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drill", description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=100, help="of alerts and faults in each run")
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next")
    parser.add_argument("--rate", type=float, default=0.8, help="requests with new alerts a second")
    parser.add_argument("--keep", type=Path, help="a folder for the runs' logs")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # end what was started, remove what was made
    results = []
    print(HEAD, flush=True)
    for seed in range(given.seed, given.seed + given.runs):
        with tempfile.TemporaryDirectory(prefix="openalert-drill-") as name:
            folder = Path(name).resolve()
            folder.chmod(0o755)  # PostgreSQL does not run as root, and has to get through
            result = run(seed=seed, seconds=given.seconds, rate=given.rate, folder=folder)
            results.append(result)
            print(line(str(seed), [result]), flush=True)
            tell(result)
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                for log in (*folder.glob("*.*"), *folder.glob("data/*.log")):
                    shutil.copy(log, given.keep / f"{seed}-{log.name}")
    if len(results) > 1:
        print(line("all", results))
    sys.exit(not all(result.is_good for result in results))


if __name__ == "__main__":
    main()
