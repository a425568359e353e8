"""The metrics of the whole installation, read when they are asked for: any web process answers with the same.

Totals of what happened come from openalert.figures, the state of things from PostgreSQL and Redis. So one target is
scraped, the site's address; several webs must not be, or sums would count everything several times.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import redis
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from openalert import figures
from openalert.figures import SEPARATOR, Counter, Histogram

from . import checks, queues, vitals
from .vitals import Vitals


class Collector:
    """prometheus-client asks it for everything, each time."""

    def describe(self) -> Iterable[Metric]:
        return []  # or it would collect everything once to know the names

    def collect(self) -> Iterator[Metric]:
        found, seen = checks.look(lambda line: vitals.read(line, whole=True))
        yield _gauge(
            "openalert_check_ok",
            "Whether a check of /readyz is passed.",
            {(check.name,): float(check.is_ok) for check in found},
            labels=["check"],
        )
        yield from of_redis()
        if seen is not None:
            yield from of_vitals(seen)


registry = CollectorRegistry(auto_describe=False)
registry.register(Collector())  # type: ignore[arg-type]


def _gauge(
    name: str, help: str, values: Mapping[tuple[str, ...], float], *, labels: Iterable[str] = ()
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help, labels=list(labels))
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family


def of_vitals(seen: Vitals) -> Iterator[Metric]:
    """What PostgreSQL knows."""
    ages = {"tick": seen.tick_age, "beat": seen.beat_age}
    yield _gauge(
        "openalert_pulse_age_seconds",
        "Since the tick was last carried out, and beat last heard of.",
        {(name,): age for name, age in ages.items() if age is not None},
        labels=["pulse"],
    )
    yield _gauge("openalert_escalations_due", "Steps that are due.", {(): seen.escalations_due})
    yield _gauge(
        "openalert_escalations_oldest_due_seconds",
        "How long the oldest due step waits; 0 when none is due.",
        {(): max(seen.escalation_age or 0.0, 0.0)},
    )
    yield _gauge(
        "openalert_outbox_notifications",
        "Notifications that are not finished.",
        {(channel,): total for channel, total, _ in seen.outbox_by_channel},
        labels=["channel"],
    )
    yield _gauge(
        "openalert_outbox_due_notifications",
        "Of those, the ones that are due.",
        {(channel,): due for channel, _, due in seen.outbox_by_channel},
        labels=["channel"],
    )
    yield _gauge(
        "openalert_outbox_oldest_due_seconds",
        "How long the oldest due notification waits; 0 when none is due.",
        {(): max(seen.outbox_age or 0.0, 0.0)},
    )
    yield _gauge(
        "openalert_dead_letters",
        "Notifications that failed for good and wait for somebody.",
        {(): seen.dead_letters},
    )
    yield _gauge(
        "openalert_provider_closed",
        "1 while nothing is handed to the provider: paused, or failing too often.",
        {(provider.name,): float(provider.is_paused or provider.is_open) for provider in seen.providers},
        labels=["provider"],
    )
    yield _gauge(
        "openalert_incidents",
        "Unresolved incidents.",
        {(severity, status): count for severity, status, count in seen.unresolved},
        labels=["severity", "status"],
    )


def of_redis() -> Iterator[Metric]:
    """What is counted there; while it is away, only what this process has not handed over."""
    waiting: list[queues.Queue] = []
    processes: list[figures.ProcessReport] = []
    try:
        totals = figures.totals()
        waiting, processes = queues.queues(), figures.processes()
    except redis.RedisError:
        totals = figures.own()
    yield from (_counter(counter, totals) for counter in figures.COUNTERS)
    yield from (_histogram(histogram, totals) for histogram in figures.HISTOGRAMS)
    yield _gauge(
        "openalert_queue_jobs",
        "Wake-ups that wait in the broker.",
        {(queue.name,): queue.waiting for queue in waiting},
        labels=["queue"],
    )
    yield _gauge(
        "openalert_queue_oldest_seconds",
        "The age of the oldest of them; 0 when none waits.",
        {(queue.name,): queue.oldest_seconds or 0.0 for queue in waiting},
        labels=["queue"],
    )
    kinds: dict[tuple[str, ...], float] = {}
    gauges: dict[str, dict[tuple[str, ...], float]] = {}
    for process in processes:
        kinds[(process.kind,)] = kinds.get((process.kind,), 0) + 1
        for name, value in process.gauges.items():
            gauges.setdefault(name, {})[process.kind, f"{process.host}:{process.pid}"] = value
    yield _gauge("openalert_processes", "Processes that report.", kinds, labels=["kind"])
    for name, values in sorted(gauges.items()):
        yield _gauge(
            f"openalert_process_{name}", "Of each process, as it says.", values, labels=["kind", "process"]
        )


def _counter(counter: Counter, totals: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(counter.name, counter.help, labels=list(counter.labels))
    for labels, rest in _fields(counter, totals).items():
        family.add_metric(list(labels), rest[""])
    if not counter.labels and not family.samples:
        family.add_metric([], 0.0)
    return family


def _histogram(histogram: Histogram, totals: Mapping[str, float]) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.help, labels=list(histogram.labels))
    found: dict[tuple[str, ...], dict[str, float]] = _fields(histogram, totals)
    if not histogram.labels:
        found.setdefault((), {})
    for labels, parts in found.items():
        buckets, total = [], 0.0
        for number, bound in enumerate((*map(str, histogram.bounds), "+Inf")):
            total += parts.get(str(number), 0.0)
            buckets.append((bound, total))
        family.add_metric(list(labels), buckets=buckets, sum_value=parts.get("sum", 0.0))
    return family


def _fields(metric: Any, totals: Mapping[str, float]) -> dict[tuple[str, ...], dict[str, float]]:
    """A metric's totals by its labels' values, and within those by what stands behind them (“” for a counter)."""
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for field, value in totals.items():
        name, *rest = field.split(SEPARATOR)
        extra = 1 if isinstance(metric, Histogram) else 0
        if name != metric.name or len(rest) != len(metric.labels) + extra:
            continue
        labels = tuple(rest[: len(metric.labels)])
        found.setdefault(labels, {})[rest[-1] if extra else ""] = value
    return found
