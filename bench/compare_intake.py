"""OpenAlert's intake beside the peer's, in turns, on one PostgreSQL with fsync on: `make bench-intake`.

The peer is NestJS on Fastify with Drizzle (bench/peer): one upsert an alert, nothing else. OpenAlert stores the alert,
finds its incident, counts, and answers only when an escalation is armed for whatever is new. For every run the
target's process is started, warmed up, loaded by wrk for some seconds and ended; the alerts that it accepted are
looked up in its table. Prints medians over the rounds, each target's rate against the tuned peer's, and the rate of
a bare upsert without HTTP.

Needs Node 20, npm and wrk (on Debian: apt-get install nodejs npm wrk). Everything stays on 127.0.0.1 and in a
temporary folder. Machines are noisy: believe the ratios. Use a Python as distributions and the official images build
it: one compiled by hand without optimisations takes half as long again for the same work.
"""

import argparse
import json
import os
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from openalert.embedded.places import Places  # noqa: E402
from openalert.embedded.servers import EmbeddedServers  # noqa: E402

PORT = 8571
WARM_SECONDS = 3
BULK_CONNECTIONS = 16
BARE = """
INSERT INTO alerts (integration_id, external_id, title, severity, source, metadata)
SELECT 1, * FROM json_to_recordset(%s::json)
    AS k(external_id text, title text, severity text, source text, metadata jsonb)
ON CONFLICT (integration_id, external_id) DO UPDATE SET severity = excluded.severity,
    metadata = excluded.metadata, last_seen = now(), occurrences = alerts.occurrences + 1
"""


@dataclass(frozen=True)
class Target:
    name: str
    command: list[str]
    folder: Path
    environment: dict[str, str]
    address: str
    bulk_address: str
    database: str
    emptied: str
    counted: str


@dataclass
class Run:
    rate: float
    p50: float
    p99: float
    bad: int
    cores: float
    postgres_cores: float
    mebibytes: float
    is_complete: bool


@dataclass
class Bench:
    key: str
    postgres: psutil.Process
    seconds: int
    runs: dict[tuple[str, str], list[Run]] = field(default_factory=lambda: defaultdict(list))

    def run(self, target: Target, batch: int, connections: int) -> Run:
        with psycopg.connect(target.database, autocommit=True) as database, self.serving(target) as server:
            database.execute(target.emptied)
            self.load(target, batch, connections, WARM_SECONDS)
            database.execute("CHECKPOINT")
            before = cpu(server), cpu(self.postgres)
            name, said = self.load(target, batch, connections, self.seconds)
            after = cpu(server), cpu(self.postgres)
            memory = sum(process.memory_info().rss for process in family(server)) / 2**20
            time.sleep(1)  # what was under way when wrk hung up
            counted = database.execute(target.counted, [f"{name}-%"]).fetchone()[0]
        seconds = said["seconds"]
        accepted = (said["requests"] - said["refused"]) * batch
        return Run(
            accepted / seconds,
            said["p50"],
            said["p99"],
            said["refused"] + said["broken"],
            (after[0] - before[0]) / seconds,
            (after[1] - before[1]) / seconds,
            memory,
            accepted <= counted <= accepted + connections * batch,
        )

    @contextmanager
    def serving(self, target: Target) -> Iterator[psutil.Process]:
        with tempfile.TemporaryFile() as log:
            child = subprocess.Popen(
                target.command,
                cwd=target.folder,
                env={**os.environ, **target.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                wait_for_port(child, log)
                yield psutil.Process(child.pid)
            finally:
                os.killpg(child.pid, signal.SIGTERM)
                try:
                    child.wait(15)
                except subprocess.TimeoutExpired:
                    os.killpg(child.pid, signal.SIGKILL)
                    child.wait()

    def load(
        self, target: Target, batch: int, connections: int, seconds: int
    ) -> tuple[str, dict[str, float]]:
        name = f"run{secrets.token_hex(4)}"
        address = f"http://127.0.0.1:{PORT}{target.address if batch == 1 else target.bulk_address}"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency"]
        said = subprocess.run(
            [*command, "-s", str(HERE / "alert.lua"), address],
            env={**os.environ, "BATCH": str(batch), "KEY": self.key, "RUN": name},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        [line] = [line for line in said.splitlines() if line.startswith("RESULT ")]
        return name, json.loads(line.removeprefix("RESULT "))


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu(process: psutil.Process) -> float:
    """Seconds of processor time of a process and its children, those that have ended too."""
    total = 0.0
    for member in family(process):
        try:
            total += sum(member.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def wait_for_port(child: subprocess.Popen, log) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if child.poll() is not None:
            log.seek(0)
            sys.exit(f"a target ended at once:\n{log.read().decode(errors='replace')}")
        try:
            socket.create_connection(("127.0.0.1", PORT), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(1)
            return
    sys.exit("a target did not start")


def bare_rate(database: str, seconds: float) -> float:
    """Rows a second that PostgreSQL takes from one client by the peer's upsert, a thousand at a time."""
    with psycopg.connect(database) as connection:
        connection.execute("TRUNCATE alerts")
        connection.commit()
        batches = [
            json.dumps(
                [
                    {
                        "external_id": f"bare-{number}",
                        "title": f"High latency on api-{number % 100}",
                        "severity": "high",
                        "source": "prom",
                        "metadata": {"tags": ["a", "b"], "integration": "x"},
                    }
                    for number in range(start, start + 1000)
                ]
            )
            for start in range(0, 400_000, 800)  # a fifth of each repeats the one before
        ]
        started, rows = time.perf_counter(), 0
        for batch in batches:
            connection.execute(BARE, [batch])
            connection.commit()
            rows += 1000
            if time.perf_counter() - started > seconds:
                break
        return rows / (time.perf_counter() - started)


def targets(servers: EmbeddedServers, environment: dict[str, str]) -> dict[str, Target]:
    host, user = servers.places.database["HOST"], servers.places.database["USER"]
    peer_database = f"postgresql://{user}@/peer_bench?host={host}"

    def peer(mode: str) -> Target:
        return Target(
            f"peer, {mode}",
            ["node", "dist/main.js"],
            HERE / "peer",
            {
                "PEER_MODE": mode,
                "PORT": str(PORT),
                "NODE_ENV": "production",
                "DATABASE_URL": f"postgres://{user}@localhost/peer_bench?host={host}",
            },
            "/alerts",
            "/alerts/bulk",
            peer_database,
            "TRUNCATE alerts",
            "SELECT coalesce(sum(occurrences), 0)::bigint FROM alerts WHERE external_id LIKE %s",
        )

    return {
        "typical": peer("typical"),
        "tuned": peer("tuned"),
        "own": openalert("OpenAlert", servers, environment),
        "own2": openalert("OpenAlert, 2 web", servers, environment, processes=2),
    }


def openalert(
    name: str, servers: EmbeddedServers, environment: dict[str, str], *, processes: int = 1
) -> Target:
    uvicorn = [sys.executable, "-m", "uvicorn", "openalert.asgi:application", "--port", str(PORT)]
    uvicorn += ["--host", "127.0.0.1", "--loop", "uvloop", "--lifespan", "off"]
    uvicorn += ["--http", "openalert.http_protocol:Protocol"]
    uvicorn += ["--no-access-log", "--log-level", "warning", "--workers", str(processes)]
    place = servers.places.database
    return Target(
        name,
        uvicorn,
        ROOT,
        environment,
        "/api/v1/alerts",
        "/api/v1/alerts",
        f"postgresql://{place['USER']}@/{place['NAME']}?host={place['HOST']}",
        "TRUNCATE alerts_alert, incidents_incident CASCADE",
        "SELECT coalesce(sum(count), 0)::bigint FROM alerts_alert WHERE dedup_key LIKE %s",
    )


def prepare_peer(servers: EmbeddedServers, key: str) -> None:
    """The peer's table and program."""
    host, user = servers.places.database["HOST"], servers.places.database["USER"]
    with psycopg.connect(f"postgresql://{user}@/postgres?host={host}", autocommit=True) as database:
        database.execute("CREATE DATABASE peer_bench")
    with psycopg.connect(f"postgresql://{user}@/peer_bench?host={host}", autocommit=True) as database:
        database.execute((HERE / "peer" / "schema.sql").read_text())
        database.execute(
            "UPDATE integrations SET key_hash = encode(sha256(convert_to(%s, 'UTF8')), 'hex')", [key]
        )
    if not (HERE / "peer" / "node_modules").exists():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE / "peer", check=True
        )
    subprocess.run(["npm", "run", "--silent", "build"], cwd=HERE / "peer", check=True)


def prepare_openalert(environment: dict[str, str], key: str) -> None:
    """The tables, and an integration of a service that somebody is paged for."""
    manage = [sys.executable, "manage.py"]
    everything = {**os.environ, **environment}
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, env=everything, check=True)
    subprocess.run([*manage, "seed_demo"], cwd=ROOT, env=everything, check=True, stdout=subprocess.DEVNULL)
    give_key = (
        "from alerts.models import Integration; i = Integration.objects.filter(source='openalert').first(); "
        f"i.set_key('{key}'); i.save()"
    )
    subprocess.run(
        [*manage, "shell", "--verbosity", "0", "-c", give_key],
        cwd=ROOT,
        env=everything,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def table(bench: Bench, scenario: str, names: list[str]) -> None:
    print(f"\n## {scenario}\n")
    print(
        "| target | alerts/s | x tuned peer | p50 ms | p99 ms | cores: target / PostgreSQL | MiB | bad | all there |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---|")
    base = statistics.median(run.rate for run in bench.runs[scenario, names[0]])
    for name in names:
        runs = bench.runs[scenario, name]

        def median(attribute: str, runs: list[Run] = runs) -> float:
            return statistics.median(getattr(run, attribute) for run in runs)

        print(
            f"| {name} | {median('rate'):,.0f} | {median('rate') / base:.2f} | {median('p50'):.1f} "
            f"| {median('p99'):.1f} | {median('cores'):.2f} / {median('postgres_cores'):.2f} "
            f"| {median('mebibytes'):.0f} | {sum(run.bad for run in runs)} "
            f"| {'yes' if all(run.is_complete for run in runs) else 'NO'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6, help="of each measured run")
    parser.add_argument("--only", choices=["single", "bulk"])
    given = parser.parse_args()
    key = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="openalert-bench-") as folder,
        EmbeddedServers(Places(Path(folder).resolve())) as servers,
    ):
        environment = {
            "OPENALERT_DATA_DIR": folder,
            "DEBUG": "no",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
        }
        prepare_peer(servers, key)
        prepare_openalert(environment, key)
        by_name = targets(servers, environment)
        postgres = next(child for child in servers.children if child.program.name == "postgres")
        bench = Bench(key, psutil.Process(postgres.process.pid), given.seconds)
        scenarios = []
        if given.only != "bulk":
            everybody = ["tuned", "typical", "own", "own2"]
            scenarios += [(f"one alert a request, {c} connections", 1, c, everybody) for c in (64, 256)]
        if given.only != "single":
            bulk = ["tuned", "own", "own2"]
            scenarios += [(f"{b} alerts a request", b, BULK_CONNECTIONS, bulk) for b in (100, 1000)]
        bare = []
        for _ in range(given.rounds):
            bare.append(bare_rate(by_name["tuned"].database, given.seconds))
            for scenario, batch, connections, names in scenarios:
                for name in names:
                    target = by_name[name]
                    bench.runs[scenario, target.name].append(bench.run(target, batch, connections))
                    print(".", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        for scenario, _, _, names in scenarios:
            table(bench, scenario, [by_name[name].name for name in names])
        node = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
        print(f"\nPython {sys.version}; Node {node}; {os.cpu_count()} cores; {given.rounds} rounds")
        ceiling = statistics.median(bare)
        print(f"\nA bare upsert without HTTP, a thousand rows at a time: {ceiling:,.0f} rows/s")
        for scenario, batch, _, _ in scenarios:
            if batch == 1000:
                own = statistics.median(run.rate for run in bench.runs[scenario, "OpenAlert"])
                print(f"OpenAlert's {scenario}: {own / ceiling:.0%} of it")


if __name__ == "__main__":
    main()
