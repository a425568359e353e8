"""Counting what happens, for Prometheus: the same totals whichever web process is asked.

A process counts in its own memory, a dictionary's increment for a whole batch, and a thread of its own adds that to
the totals in Redis every two seconds. A flushed Redis makes the totals begin anew, which Prometheus knows how to read;
while it is away they wait in memory. What a killed process had not handed over, two seconds at most, is not counted.
Beside them stands what each process says of itself: its sockets, its memory.
"""

import logging
import os
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import psutil
import redis

from openalert import shared_redis

logger = logging.getLogger(__name__)

TOTALS_KEY = "openalert:figures"
PROCESSES_KEY = "openalert:processes"
FLUSH_SECONDS = 2.0
# A process that has said nothing for so long is gone.
GONE_SECONDS = 15.0
SEPARATOR = "|"


@dataclass(frozen=True)
class Counter:
    """`name` as Prometheus wants it, with _total at the end."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Histogram:
    """Of seconds; `bounds` are the upper ones of the buckets, and above the last is one more."""

    name: str
    help: str
    bounds: tuple[float, ...]
    labels: tuple[str, ...] = ()


QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATE = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0)

INTAKE_REQUESTS = Counter("openalert_intake_requests_total", "Requests of which all alerts were stored.")
INTAKE_ALERTS = Counter("openalert_intake_alerts_total", "Alerts that were stored, repeats included.")
INTAKE_BATCHES = Counter("openalert_intake_batches_total", "Transactions that intake made.")
INTAKE_REFUSED = Counter(
    "openalert_intake_refused_total", "Requests that intake answered with an error.", ("status",)
)
INTAKE_SECONDS = Histogram(
    "openalert_intake_seconds",
    "From a request's arrival at the committer to its commit. Of a batch that took longest counts for all of it.",
    QUICK,
)
STEPS = Counter("openalert_escalation_steps_total", "Escalation steps that were carried out.")
STEP_LATENESS = Histogram(
    "openalert_escalation_lateness_seconds", "From a step's due time to when it was carried out.", LATE
)
PAGES = Counter(
    "openalert_pages_total",
    "Messages handed to providers, by what became of them: sent, failed, dead.",
    ("provider", "outcome"),
)
PAGE_LATENESS = Histogram(
    "openalert_page_lateness_seconds",
    "From when a notification was to be sent to its provider's answer, of those sent.",
    LATE,
    ("provider",),
)
PROVIDER_ERRORS = Counter(
    "openalert_provider_errors_total",
    "Tries that a provider did not take: temporary, permanent, or later (it asked for a pause).",
    ("provider", "kind"),
)
TASK_FAILURES = Counter("openalert_task_failures_total", "Background tasks that raised an error.", ("task",))
COUNTERS = (
    INTAKE_REQUESTS,
    INTAKE_ALERTS,
    INTAKE_BATCHES,
    INTAKE_REFUSED,
    STEPS,
    PAGES,
    PROVIDER_ERRORS,
    TASK_FAILURES,
)
HISTOGRAMS = (INTAKE_SECONDS, STEP_LATENESS, PAGE_LATENESS)

_pending: dict[str, float] = {}
_lock = threading.Lock()


def count(counter: Counter, *values: str, amount: float = 1) -> None:
    """Add to a counter, with a value for each of its labels."""
    field = SEPARATOR.join((counter.name, *values))
    with _lock:
        _pending[field] = _pending.get(field, 0) + amount
    reporter.ensure_running()


def observe(histogram: Histogram, seconds: float, *values: str, times: int = 1) -> None:
    """Note so many spans of that length."""
    seconds = max(seconds, 0.0)
    prefix = SEPARATOR.join((histogram.name, *values))
    bucket = f"{prefix}{SEPARATOR}{bisect_left(histogram.bounds, seconds)}"
    total = f"{prefix}{SEPARATOR}sum"
    with _lock:
        _pending[bucket] = _pending.get(bucket, 0) + times
        _pending[total] = _pending.get(total, 0) + seconds * times
    reporter.ensure_running()


class ProcessReport(msgspec.Struct):
    """What a process says of itself; `at` in seconds since 1970."""

    kind: str
    host: str
    pid: int
    at: float
    started_at: float
    gauges: dict[str, float]
    queues: list[str] = []


class Reporter:
    """The thread that hands a process's figures over."""

    def __init__(self) -> None:
        self._start_lock = threading.Lock()
        self._pid: int | None = None
        self._gauges: dict[str, Callable[[], float]] = {}
        self._is_broken = False
        self.kind = "other"
        self.queues: list[str] = []
        self.host = socket.gethostname()

    def ensure_running(self) -> None:
        if self._pid == os.getpid():  # a forked worker has no thread yet
            return
        with self._start_lock:
            if self._pid != os.getpid():
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="figures", daemon=True).start()

    def introduce(self, kind: str, queues: Sequence[str] = ()) -> None:
        """Say what this process is (web, worker, beat), and report on it from now on."""
        self.kind, self.queues = kind, sorted(queues)
        self.ensure_running()

    def gauge(self, name: str, read: Callable[[], float]) -> None:
        """Report what `read` answers, under the name, with this process's figures. It must not wait for anything."""
        self._gauges[name] = read

    def _run(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush()

    def flush(self) -> bool:
        """Hand over what was counted; whether Redis took it."""
        global _pending
        with _lock:
            handed, _pending = _pending, {}
        try:
            with shared_redis.client().pipeline(transaction=False) as pipeline:
                for field, amount in handed.items():
                    pipeline.hincrbyfloat(TOTALS_KEY, field, amount)
                report = msgspec.json.encode(self.report()).decode()
                pipeline.hset(PROCESSES_KEY, f"{self.host}:{os.getpid()}", report)
                pipeline.execute()
        except redis.RedisError as error:
            with _lock:
                for field, amount in handed.items():
                    _pending[field] = _pending.get(field, 0) + amount
            if not self._is_broken:  # once, not every two seconds
                logger.warning("figures wait for Redis: %r", error)
            self._is_broken = True
            return False
        self._is_broken = False
        return True

    def report(self) -> ProcessReport:
        process = psutil.Process()
        with process.oneshot():
            times = process.cpu_times()
            gauges = {
                "resident_bytes": float(process.memory_info().rss),
                "cpu_seconds": times.user + times.system,
                "threads": float(process.num_threads()),
            }
            started_at = process.create_time()
        if sys.platform == "linux":
            gauges["open_files"] = float(process.num_fds())
        gauges |= {name: read() for name, read in self._gauges.items()}
        return ProcessReport(self.kind, self.host, os.getpid(), time.time(), started_at, gauges, self.queues)


reporter = Reporter()


def totals() -> Mapping[str, float]:
    """Each field's total of all processes; this one's newest counts are in it. Raises redis.RedisError."""
    reporter.flush()
    found: dict[str, str] = shared_redis.client().hgetall(TOTALS_KEY)  # type: ignore[assignment]
    return {field: float(total) for field, total in found.items()}


def own() -> Mapping[str, float]:
    """What this process has not handed over: all that can be told while Redis is away."""
    with _lock:
        return dict(_pending)


def processes() -> list[ProcessReport]:
    """Those that have reported lately, by kind and host. Raises redis.RedisError."""
    client = shared_redis.client()
    found: list[ProcessReport] = []
    gone: list[str] = []
    reports: dict[str, str] = client.hgetall(PROCESSES_KEY)  # type: ignore[assignment]
    for name, text in reports.items():
        report = msgspec.json.decode(text, type=ProcessReport)
        if time.time() - report.at < GONE_SECONDS:
            found.append(report)
        else:
            gone.append(name)
    if gone:
        client.hdel(PROCESSES_KEY, *gone)
    return sorted(found, key=lambda report: (report.kind, report.host, report.pid))
