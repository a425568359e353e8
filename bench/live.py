"""Live rooms beside Socket.IO with its Redis adapter, in turns: `make bench-live`.

1,000 clients in 50 rooms, 200 events a second, two web processes each, one Valkey for both. OpenAlert's events are
committed to PostgreSQL (fsync on), told from there in one order, and can be caught up on; Socket.IO's are handed to
its adapter by a process of its own and forgotten. Either writer has sent twenty to a room that nobody is in before it
is measured. For every run the processes are started, warmed up by some clients that leave again, joined by all, loaded
and ended; what each client received is compared with what was sent.

Latency is from the event's publication (OpenAlert: from the commit's return; and from before the transaction began,
too) until a client has read it. Memory is of the two web processes, with the clients less without, by the thousand,
while nothing is sent: without clients when the warm-up's have left, with them when the load is over. Resident memory
is the median of readings twice a second. Of Node that says little (it keeps what it once had, or gives back more than
clients took, by tens of MiB), so beside it stands what its heap and buffers hold once all garbage is collected, which
leaves out what the process keeps free or takes outside of them. Neither side compresses, and each room's clients are
on both processes.

`--servers` puts OpenAlert behind the servers that it could be served by instead (BENCH_ARGS=--servers).

Needs Node 20 and npm (on Debian: apt-get install nodejs npm). Everything stays on 127.0.0.1. The clients run on the
same machine and take of its time, which is printed too: believe the ratios.
"""

import argparse
import importlib.util
import json
import math
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil
import psycopg

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from openalert.embedded.places import Places  # noqa: E402
from openalert.embedded.servers import EmbeddedServers  # noqa: E402

PORTS = (8573, 8574)
WARM_CLIENTS = 100
SETTLE_SECONDS = 3
ARRIVES_WITHIN = 3
READINGS = 7
PAD = "High latency on api-7, zone b: 95th percentile above 2.4 s for 10 minutes"
PREPARE = """
import json
from datetime import timedelta
from rest_framework_simplejwt.tokens import AccessToken
from teams.models import Membership, Team, User
teams = [Team.objects.create(name=f"Team {n}") for n in range(%(rooms)d)]
users = User.objects.bulk_create(
    User(email=f"u{n}@example.org", name=f"Person {n}", password="!") for n in range(%(clients)d))
Membership.objects.bulk_create(
    Membership(team=teams[n %% len(teams)], user=user) for n, user in enumerate(users))
def token(user):
    made = AccessToken.for_user(user)
    made.set_exp(lifetime=timedelta(days=1))
    return str(made)
print("MADE " + json.dumps([
    {"room": str(teams[n %% len(teams)].pk), "token": token(user)} for n, user in enumerate(users)]))
"""
UVICORN = ["-m", "uvicorn", "openalert.asgi:application", "--host", "127.0.0.1", "--loop", "uvloop"]
UVICORN += ["--lifespan", "off", "--no-access-log", "--log-level", "warning"]
UVICORN += ["--http", "openalert.http_protocol:Protocol", "--ws-max-size", "65536"]
UVICORN += ["--ws-per-message-deflate", "false"]
SERVERS = {
    "uvicorn": [*UVICORN, "--ws", "openalert.websocket_protocol:Protocol", "--port"],  # as `manage.py up`
    "uvicorn-sansio": [*UVICORN, "--ws", "websockets-sansio", "--port"],
    "uvicorn-websockets": [*UVICORN, "--ws", "websockets", "--port"],
    "daphne": ["-m", "daphne", "openalert.asgi:application", "-b", "127.0.0.1", "-v", "0", "-p"],
    "granian": [
        *("-m", "granian", "openalert.asgi:application", "--interface", "asgi", "--host", "127.0.0.1"),
        *("--log-level", "warning", "--loop", "uvloop", "--port"),
    ],
}


@dataclass(frozen=True)
class Target:
    name: str
    web: list[str]
    writer: list[str]
    folder: Path
    environment: dict[str, str]
    protocol: str
    path: str


@dataclass
class Run:
    delivered: float  # a second
    latencies: list[float]  # ms, from the publication
    whole: list[float]  # ms, from before it
    undelivered: int
    repeated: int
    mebibytes: float  # per 1,000 clients, resident
    held_mebibytes: float  # of Node's heap and buffers
    cores: float
    behind_cores: float  # of Valkey and PostgreSQL
    client_cores: float
    lost: int


class Bench:
    def __init__(
        self, servers: EmbeddedServers, clients: list[dict[str, str]], rate: float, seconds: float
    ) -> None:
        self.clients, self.rate, self.seconds = clients, rate, seconds
        self.behind = [psutil.Process(child.process.pid) for child in servers.children]
        self.rooms = list(dict.fromkeys(client["room"] for client in clients))

    def run(self, target: Target) -> Run:
        with ExitStack() as stack:
            web = [
                stack.enter_context(
                    running(
                        [*target.web, str(port)], target, PORT=str(port), log_name=f"{target.name}-{port}"
                    )
                )
                for port in PORTS
            ]
            for port in PORTS:
                wait_for_port(port)
            with self.load(target, self.clients[:WARM_CLIENTS]) as warm:
                warm.close()
            time.sleep(SETTLE_SECONDS)
            held_without, without = live_memory(target), resting_memory(web)
            with self.load(target, self.clients) as load:
                time.sleep(SETTLE_SECONDS)
                measured = (web, self.behind, [psutil.Process(load.child.pid)])
                used, began = [sum(map(cpu, processes)) for processes in measured], time.monotonic()
                times = self.write(target)
                elapsed = time.monotonic() - began
                cores = [
                    (sum(map(cpu, processes)) - before) / elapsed
                    for processes, before in zip(measured, used, strict=True)
                ]
                time.sleep(ARRIVES_WITHIN)
                held, grown = live_memory(target) - held_without, resting_memory(web) - without
                result = load.close()
        return self.judge(times, result, grown, held, cores)

    @contextmanager
    def load(self, target: Target, clients: list[dict[str, str]]) -> Iterator["Load"]:
        wanted = [
            {
                **client,
                "url": f"ws://127.0.0.1:{PORTS[number // len(self.rooms) % len(PORTS)]}{target.path}",
            }
            for number, client in enumerate(clients)
        ]
        load = Load(target.protocol, wanted)
        try:
            yield load
        finally:
            load.kill()

    def write(self, target: Target) -> dict[int, tuple[float, float]]:
        """Publish evenly; returns each event's times: before, and when it was published."""
        child = subprocess.Popen(
            target.writer,
            cwd=target.folder,
            env={**os.environ, **target.environment, "EMIT": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin and child.stdout
        said: list[str] = []
        reading = threading.Thread(target=lambda: said.extend(child.stdout))
        reading.start()
        time.sleep(3)  # it has to start
        began = time.monotonic()
        for number in range(round(self.rate * self.seconds)):
            wait = began + number / self.rate - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            event = {"n": number, "number": 42, "title": PAD, "severity": "high", "status": "open"}
            child.stdin.write(
                json.dumps({"room": self.rooms[number % len(self.rooms)], "event": event}) + "\n"
            )
            child.stdin.flush()
        child.stdin.close()
        reading.join()
        child.wait(30)
        rows = [line.split() for line in said]
        return {int(number): (float(begun), float(done)) for number, begun, done in rows}

    def judge(
        self,
        times: dict[int, tuple[float, float]],
        result: dict,
        grown: float,
        held: float,
        cores: list[float],
    ) -> Run:
        in_room = Counter(client["room"] for client in self.clients)
        expected = {number: in_room[self.rooms[number % len(self.rooms)]] for number in times}
        arrived = Counter(number for number, _ in result["received"])
        done = [(at - times[number][1]) * 1000 for number, at in result["received"] if number in times]
        whole = [(at - times[number][0]) * 1000 for number, at in result["received"] if number in times]
        return Run(
            delivered=len(done) / self.seconds,
            latencies=done,
            whole=whole,
            undelivered=sum(max(0, n - arrived[number]) for number, n in expected.items())
            + (round(self.rate * self.seconds) - len(times)),
            repeated=sum(max(0, arrived[number] - n) for number, n in expected.items()),
            mebibytes=grown / 2**20 / len(self.clients) * 1000,
            held_mebibytes=held / 2**20 / len(self.clients) * 1000,
            cores=cores[0],
            behind_cores=cores[1],
            client_cores=cores[2],
            lost=result["lost"],
        )


class Load:
    """The clients' process."""

    def __init__(self, protocol: str, clients: list[dict[str, str]]) -> None:
        self.result = Path(tempfile.mkstemp(prefix="openalert-live-")[1])
        self.child = subprocess.Popen(
            [sys.executable, str(HERE / "live_load.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.child.stdin and self.child.stdout
        wanted = {"protocol": protocol, "clients": clients, "result": str(self.result)}
        self.child.stdin.write(json.dumps(wanted) + "\n")
        self.child.stdin.flush()
        if self.child.stdout.readline().strip() != "ready":
            sys.exit("the clients could not join")

    def close(self) -> dict:
        """Let them leave; what they received."""
        assert self.child.stdin
        self.child.stdin.close()
        self.child.wait(60)
        return json.loads(self.result.read_text())

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()
        self.result.unlink(missing_ok=True)


def live_memory(target: Target) -> float:
    """What Node's heaps and buffers hold without garbage, in bytes; not a number for others."""
    if target.protocol != "engine.io":
        return math.nan
    total = 0.0
    for port in PORTS:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/memory", timeout=30) as answer:
            total += float(answer.read())
    return total


def resting_memory(processes: list[psutil.Process]) -> float:
    """The median of some readings, in bytes."""
    members = [member for process in processes for member in family(process)]
    readings = []
    for _ in range(READINGS):
        readings.append(sum(member.memory_info().rss for member in members))
        time.sleep(0.5)
    return statistics.median(readings)


@contextmanager
def running(
    command: list[str], target: Target, *, log_name: str, **variables: str
) -> Iterator[psutil.Process]:
    with tempfile.NamedTemporaryFile(mode="w+", prefix=f"{log_name}-") as log:
        child = subprocess.Popen(
            command,
            cwd=target.folder,
            env={**os.environ, **target.environment, **variables},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield psutil.Process(child.pid)
            if faults := [line for line in Path(log.name).read_text().splitlines() if "ERROR" in line]:
                print(f"{log_name}: {len(faults)} errors, the first: {faults[0]}", file=sys.stderr)
        finally:
            os.killpg(child.pid, signal.SIGTERM)
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def cpu(process: psutil.Process) -> float:
    """Seconds of processor time of a process and its children, those that have ended too."""
    return sum(sum(member.cpu_times()[:4]) for member in family(process))


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(1)
            return
    sys.exit("a web process did not start")


def prepare(
    environment: dict[str, str], database: dict[str, str], clients: int, rooms: int
) -> list[dict[str, str]]:
    """The tables, people and teams; a room and a token for each client."""
    manage, everything = [sys.executable, "manage.py"], {**os.environ, **environment}
    subprocess.run([*manage, "migrate", "--verbosity", "0"], cwd=ROOT, env=everything, check=True)
    said = subprocess.run(
        [*manage, "shell", "--verbosity", "0", "-c", PREPARE % {"clients": clients, "rooms": rooms}],
        cwd=ROOT,
        env=everything,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    # A server that has run for a while uses the files of its log again and knows its tables; a new one stops for each
    # file to be made, and guesses.
    with psycopg.connect(
        host=database["HOST"], user=database["USER"], dbname=database["NAME"], autocommit=True
    ) as open_database:
        for _ in range(4):
            open_database.execute("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()")
        open_database.execute("CHECKPOINT")
        open_database.execute("ANALYZE")
    [made] = [line for line in said.splitlines() if line.startswith("MADE ")]
    return json.loads(made.removeprefix("MADE "))


def targets(names: list[str], servers: EmbeddedServers, environment: dict[str, str]) -> list[Target]:
    if "socketio" in names and not (HERE / "socketio" / "node_modules").exists():
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=HERE / "socketio", check=True
        )
    if "granian" in names and importlib.util.find_spec("granian") is None:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "-r", str(HERE / "requirements.txt")], check=True)
    redis = servers.places.redis_url.removeprefix("unix://").partition("?")[0]
    node = {"REDIS_SOCKET": redis, "NODE_ENV": "production"}
    made = {
        name: Target(
            f"OpenAlert, {name}",
            [sys.executable, *command],
            [sys.executable, str(HERE / "live_writer.py")],
            ROOT,
            environment,
            "openalert.v1",
            "/ws/live/",
        )
        for name, command in SERVERS.items()
    }
    made["socketio"] = Target(
        "Socket.IO",
        ["node", "--expose-gc", "server.mjs"],
        ["node", "server.mjs"],
        HERE / "socketio",
        node,
        "engine.io",
        "/socket.io/?EIO=4&transport=websocket",
    )
    return [made[name] for name in names]


def quantile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def report(runs: dict[str, list[Run]], file: TextIO = sys.stdout) -> None:
    """A table of medians; undelivered, repeated and lost are sums."""
    print(
        "| target | delivered/s | p50 ms | p99 ms | max ms | p99 ms with the commit "
        "| MiB per 1,000 clients: resident / in use by Node | cores: web / Valkey, PostgreSQL / clients "
        "| undelivered | repeated | connections lost |",
        file=file,
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|", file=file)
    for name, of_target in runs.items():

        def median(value, of_target: list[Run] = of_target) -> float:
            return statistics.median(map(value, of_target))

        print(
            f"| {name} | {median(lambda run: run.delivered):,.0f} "
            f"| {median(lambda run: quantile(run.latencies, 0.5)):.1f} "
            f"| {median(lambda run: quantile(run.latencies, 0.99)):.1f} "
            f"| {median(lambda run: max(run.latencies)):.1f} "
            f"| {median(lambda run: quantile(run.whole, 0.99)):.1f} "
            f"| {median(lambda run: run.mebibytes):.1f} / {median(lambda run: run.held_mebibytes):.1f} "
            f"| {median(lambda run: run.cores):.2f} / {median(lambda run: run.behind_cores):.2f} "
            f"/ {median(lambda run: run.client_cores):.2f} "
            f"| {sum(run.undelivered for run in of_target)} | {sum(run.repeated for run in of_target)} "
            f"| {sum(run.lost for run in of_target)} |",
            file=file,
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=6, help="of each measured run")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rooms", type=int, default=50)
    parser.add_argument("--rate", type=float, default=200, help="events a second")
    parser.add_argument(
        "--targets", nargs="+", default=["socketio", "uvicorn"], choices=[*SERVERS, "socketio"]
    )
    parser.add_argument(
        "--servers",
        action="store_true",
        help="OpenAlert behind uvicorn as in production and with its own WebSockets, granian and Daphne",
    )
    given = parser.parse_args()
    if given.servers:
        given.targets = ["uvicorn", "uvicorn-sansio", "granian", "daphne"]
    with (
        tempfile.TemporaryDirectory(prefix="openalert-bench-") as folder,
        EmbeddedServers(Places(Path(folder).resolve())) as servers,
    ):
        environment = {
            "OPENALERT_DATA_DIR": folder,
            "DEBUG": "no",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
        }
        clients = prepare(environment, servers.places.database, given.clients, given.rooms)
        bench = Bench(servers, clients, given.rate, given.seconds)
        runs: dict[str, list[Run]] = defaultdict(list)
        for _ in range(given.rounds):
            for target in targets(given.targets, servers, environment):
                runs[target.name].append(bench.run(target))
                report({target.name: runs[target.name][-1:]}, file=sys.stderr)
        report(runs)


if __name__ == "__main__":
    main()
