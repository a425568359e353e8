"""How intake does when the table has grown: `make bench-growth`.

Two installations, one with an empty table of alerts, one that `manage.py fill_alerts` has filled, are loaded in turns by
the same requests, and the second also while old alerts are being removed. Prints medians over the rounds, and each
rate against that with the empty table. Everything stays on 127.0.0.1 and in temporary folders; ten million alerts
take some 8 GiB of disk.
"""

import argparse
import contextlib
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
from compare_intake import BULK_CONNECTIONS, ROOT, Bench, Run, Target, openalert, prepare_openalert

from openalert.embedded.places import Places
from openalert.embedded.servers import EmbeddedServers

SCENARIOS = {
    "one alert a request, 64 connections": (1, 64),
    "100 alerts a request": (100, BULK_CONNECTIONS),
}
# More than a run's worth: it is ended when the run is over.
REMOVE = "from alerts import retention; retention.remove_old(days=30, most_seconds=600)"


@contextlib.contextmanager
def installation(name: str, key: str) -> Iterator[tuple[Target, psutil.Process]]:
    with (
        tempfile.TemporaryDirectory(prefix="openalert-growth-") as folder,
        EmbeddedServers(Places(Path(folder).resolve())) as servers,
    ):
        environment = {
            "OPENALERT_DATA_DIR": folder,
            "DEBUG": "no",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
        }
        prepare_openalert(environment, key)
        postgres = next(child for child in servers.children if child.program.name == "postgres")
        yield openalert(name, servers, environment), psutil.Process(postgres.process.pid)


def fill(target: Target, alerts: int) -> None:
    environment = {**os.environ, **target.environment}
    subprocess.run(
        [sys.executable, "manage.py", "fill_alerts", str(alerts)], cwd=ROOT, env=environment, check=True
    )
    with psycopg.connect(target.database, autocommit=True) as database:
        database.execute("VACUUM ANALYZE alerts_alert")
        [(size,)] = database.execute(
            "SELECT pg_size_pretty(pg_total_relation_size('alerts_alert'))"
        ).fetchall()
    print(f"the table takes {size} with its indexes", flush=True)


@contextlib.contextmanager
def removing(target: Target) -> Iterator[None]:
    """Old alerts go meanwhile. Says how many went."""
    count = "SELECT count(*) FROM alerts_alert WHERE dedup_key LIKE 'filled-%'"
    child = subprocess.Popen(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", REMOVE],
        cwd=ROOT,
        env={**os.environ, **target.environment},
    )
    try:
        with psycopg.connect(target.database, autocommit=True) as database:
            before = database.execute(count).fetchone()[0]
            yield
            if child.poll() is not None:
                sys.exit("there were no old alerts left to remove")
            print(f"removed meanwhile: {before - database.execute(count).fetchone()[0]:,}", flush=True)
    finally:
        child.terminate()
        child.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alerts", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6, help="of each measured run")
    given = parser.parse_args()
    key = secrets.token_hex(16)
    with installation("empty", key) as (empty, its_postgres), installation("full", key) as (full, postgres):
        fill(full, given.alerts)
        full = replace(full, emptied="SELECT 1")
        runs: dict[tuple[str, str], list[Run]] = {}
        for turn in range(given.rounds):
            for scenario, (batch, connections) in SCENARIOS.items():
                for target, its in ((empty, its_postgres), (full, postgres)):
                    run = Bench(key, its, given.seconds).run(target, batch, connections)
                    runs.setdefault((scenario, target.name), []).append(run)
                with removing(full):
                    run = Bench(key, postgres, given.seconds).run(full, batch, connections)
                runs.setdefault((scenario, "full, old ones being removed"), []).append(run)
            print(f"round {turn + 1} of {given.rounds} at {time.strftime('%X')}", flush=True)
        for scenario in SCENARIOS:
            table(scenario, {name: of for (its, name), of in runs.items() if its == scenario})


def table(scenario: str, runs: dict[str, list[Run]]) -> None:
    print(f"\n## {scenario}\n\n| table | alerts/s | x empty | p50 ms | p99 ms | bad | all there |")
    print("|---|---:|---:|---:|---:|---:|---|")
    base = statistics.median(run.rate for run in runs["empty"])
    for name, of in runs.items():
        rate, p50, p99 = (
            statistics.median(getattr(run, what) for run in of) for what in ("rate", "p50", "p99")
        )
        is_complete = "yes" if all(run.is_complete for run in of) else "NO"
        print(
            f"| {name} | {rate:,.0f} | {rate / base:.2f} | {p50:.1f} | {p99:.1f} "
            f"| {sum(run.bad for run in of)} | {is_complete} |"
        )


if __name__ == "__main__":
    main()
