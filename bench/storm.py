"""An alert storm on a whole installation, `make bench-storm`: what it is like for those who look, and who are paged.

Starts `manage.py up` in a temporary folder, sends so many alerts of so many failures within so many seconds, evenly,
over a few kept connections, in requests of one, ten and fifty alerts. Meanwhile people who are signed in go round the
incidents' pages with all their parts, each at their own pace (those who keep step all wait for each other), and keep
live connections open. At the end the alerts and incidents are counted in the database, and a page's delay is from the
sending of the failure's first alert until the page was handed over.

The load runs on the same machine, and takes of its time. Everything stays on 127.0.0.1.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import psycopg
import websockets

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from openalert.embedded.places import Places  # noqa: E402

PORT = 8572
SITE = f"http://127.0.0.1:{PORT}"
CONNECTIONS = 16
SIZES = [1] * 8 + [10, 50]  # of requests
HOSTS = 200  # of a failure: each is an alert of its own, and repeated
THINK_SECONDS = 2  # on average
STARTS_WITHIN = 120
SETTLES_WITHIN = 30


@dataclass
class Storm:
    key: str
    alerts: int
    failures: int
    seconds: float
    first_sent: dict[int, float] = field(default_factory=dict)  # failure → Unix time
    sent: Counter[int] = field(default_factory=Counter)  # failure → accepted alerts
    refused: Counter[int] = field(default_factory=Counter)  # status → requests
    latencies: list[float] = field(default_factory=list)
    late: float = 0.0  # the most that a request was sent after its turn

    async def blow(self) -> None:
        turns = iter(self.requests())
        began = time.monotonic()
        await asyncio.gather(*(self.connection(turns, began) for _ in range(CONNECTIONS)))

    def requests(self) -> Iterator[tuple[float, list[tuple[int, int]]]]:
        """When after the beginning, and of which failures and hosts."""
        chooser = random.Random(1)
        made = 0
        while made < self.alerts:
            size = min(chooser.choice(SIZES), self.alerts - made)
            yield (
                self.seconds * made / self.alerts,
                [(chooser.randrange(self.failures), chooser.randrange(HOSTS)) for _ in range(size)],
            )
            made += size

    async def connection(self, turns: Iterator[tuple[float, list[tuple[int, int]]]], began: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        for at, alerts in turns:
            wait = began + at - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.late = max(self.late, -wait)
            for failure, _ in alerts:
                self.first_sent.setdefault(failure, time.time())
            sent = time.perf_counter()
            while (status := await self.post(reader, writer, alerts)) != 202:
                self.refused[status] += 1
                await asyncio.sleep(1)
            self.latencies.append(time.perf_counter() - sent)
            self.sent.update(failure for failure, _ in alerts)
        writer.close()

    async def post(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, alerts: list[tuple[int, int]]
    ) -> int:
        body = json.dumps(
            [
                {
                    "external_id": f"failure-{failure}-host-{host}",
                    "title": f"Failure {failure} of the storm",
                    "severity": ("critical", "high")[failure % 2],
                    "metadata": {"tags": {"host": f"host-{host}"}},
                }
                for failure, host in alerts
            ]
        ).encode()
        writer.write(
            b"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s" % (self.key.encode(), len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        return int(head[9:12])


@dataclass
class Visitors:
    """People who go round: list, incident, its parts; with what they had to wait in seconds."""

    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: Counter[str] = field(default_factory=Counter)
    events: int = 0

    async def visit(self, email: str, password: str) -> None:
        async with httpx.AsyncClient(base_url=SITE, timeout=30, follow_redirects=True) as client:
            await sign_in(client, email, password)
            cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            async with websockets.connect(
                f"ws://127.0.0.1:{PORT}/ws/live/", additional_headers={"Cookie": cookies, "Origin": SITE}
            ) as live:
                listening = asyncio.create_task(self.listen(live))
                try:
                    await self.go_round(client)
                finally:
                    listening.cancel()

    async def listen(self, live: websockets.ClientConnection) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for _ in live:
                self.events += 1

    async def go_round(self, client: httpx.AsyncClient) -> None:
        while True:
            text = await self.get(client, "list of incidents", "/incidents/")
            paths = sorted(set(re.findall(r'href="(/incidents/\d+/)"', text)))
            if paths:
                page = await self.get(client, "incident's page", random.choice(paths))
                for part in re.findall(r'hx-get="([^"]+)"[^>]*hx-trigger="load', page):
                    await self.get(client, "a part of it", part, headers={"HX-Request": "true"})
            await asyncio.sleep(random.uniform(0, 2 * THINK_SECONDS))

    async def get(self, client: httpx.AsyncClient, what: str, path: str, **options: object) -> str:
        began = time.perf_counter()
        answer = await client.get(path, **options)
        self.waits[what].append(time.perf_counter() - began)
        if answer.status_code != 200:
            self.faults[f"{answer.status_code} {what}"] += 1
        return answer.text


async def sign_in(client: httpx.AsyncClient, email: str, password: str) -> None:
    form = await client.get("/accounts/login/")
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)[1]
    names = re.findall(r'<input[^>]*name="([^"]+)"', form.text)
    name = "username" if "username" in names else "email"
    answer = await client.post(
        "/accounts/login/",
        data={"csrfmiddlewaretoken": token, name: email, "password": password},
        headers={"Referer": f"{SITE}/accounts/login/"},
    )
    if "sessionid" not in client.cookies:
        sys.exit(f"{email} could not sign in: {answer.status_code}")


@contextlib.contextmanager
def installation(folder: str) -> Iterator[tuple[psutil.Process, str]]:
    """A running OpenAlert with its demo, and what it said at the start."""
    environment = {
        **os.environ,
        "OPENALERT_DATA_DIR": folder,
        "PORT": str(PORT),
        "SITE_URL": SITE,
        "DEBUG": "no",
        "NO_COLOR": "1",
        # Each page by itself, so that its delay can be measured.
        "PROVIDER_LIMIT_PER_MINUTE": "0",
        "BUNDLE_ABOVE_PER_MINUTE": "0",
    }
    # Without DEBUG, as in production, pages name the static files that have been collected.
    collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(collect, cwd=ROOT, env=environment, check=True)
    with tempfile.NamedTemporaryFile(mode="w+", prefix="openalert-storm-") as log:
        child = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            deadline = time.monotonic() + STARTS_WITHIN
            while "ready" not in (said := Path(log.name).read_text(errors="replace")):
                if child.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"OpenAlert did not start:\n{said}")
                time.sleep(0.2)
            yield psutil.Process(child.pid), said
            if faults := [line for line in Path(log.name).read_text().splitlines() if " ERROR " in line]:
                print(f"\n{len(faults)} errors in the log, the first: {faults[0]}")
        finally:
            child.send_signal(signal.SIGINT)
            child.wait(60)


async def run(storm: Storm, visitors: Visitors, people: list[tuple[str, str]]) -> None:
    going_round = [asyncio.create_task(visitors.visit(*person)) for person in people]
    await asyncio.sleep(3)  # they have come
    visitors.waits.clear()
    await storm.blow()
    for task in going_round:
        if task.done():
            task.result()  # raises what ended it
        task.cancel()
    await asyncio.gather(*going_round, return_exceptions=True)


def first_pages(database: psycopg.Connection, storm: Storm) -> dict[int, float]:
    """For each failure the seconds from its first alert's sending until its first page was handed over."""
    rows = database.execute(
        "SELECT substring(i.title from 'Failure (\\d+) ')::int, min(a.finished_at) FROM incidents_incident i "
        "JOIN notifications_notification n ON n.incident_id = i.id "
        "JOIN notifications_deliveryattempt a ON a.notification_id = n.id AND a.status = 'sent' "
        "WHERE i.title LIKE '%%of the storm' AND n.purpose = 'page' GROUP BY 1"
    ).fetchall()
    return {failure: at.timestamp() - storm.first_sent[failure] for failure, at in rows}


def report(database: psycopg.Connection, storm: Storm, visitors: Visitors, cores: dict[str, float]) -> bool:
    """Print what was seen; whether all is as it should be."""
    counts = dict(
        database.execute(
            "SELECT substring(i.title from 'Failure (\\d+) ')::int, sum(a.count)::bigint FROM incidents_incident i "
            "JOIN alerts_alert a ON a.incident_id = i.id WHERE i.title LIKE '%%of the storm' GROUP BY 1"
        ).fetchall()
    )
    [(incidents,)] = database.execute(
        "SELECT count(*) FROM incidents_incident WHERE title LIKE '%%of the storm'"
    ).fetchall()
    pages = first_pages(database, storm)
    print(f"alerts accepted      {sum(storm.sent.values()):,} in {len(storm.latencies):,} requests")
    print(f"refused, sent again  {dict(storm.refused) or 'none'}; at most {storm.late:.2f} s behind the plan")
    print(f"intake, ms           {spread(storm.latencies)}")
    print(f"incidents            {incidents} of {storm.failures} failures")
    right = counts == dict(storm.sent)
    print(f"alerts in each       {'all counted right' if right else f'WRONG: {counts} for {storm.sent}'}")
    print(f"first pages          {len(pages)}; seconds after the first alert: {spread(pages.values(), 1)}")
    for what, waits in sorted(visitors.waits.items()):
        print(f"{what:<20} ms  {spread(waits)}  ({len(waits)} times)")
    print(
        f"live events received {visitors.events}; answers other than 200: {dict(visitors.faults) or 'none'}"
    )
    print("processor cores      " + ", ".join(f"{name} {used:.2f}" for name, used in cores.items()))
    opened = visitors.waits["incident's page"]
    return (
        right
        and incidents == len(pages) == storm.failures
        and percentile(opened, 0.95) < 0.2
        and max(pages.values()) < 2
        and not visitors.faults
    )


def spread(values: object, scale: float = 1000) -> str:
    ordered = [value * scale for value in values]
    digits = 0 if scale > 1 else 2
    return ", ".join(
        f"{name} {percentile(ordered, share):.{digits}f}"
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
    )


def percentile(values: list[float], share: float) -> float:
    if len(values) < 2 or share >= 1:
        return max(values, default=float("nan"))
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def processor_seconds(process: psutil.Process) -> dict[str, float]:
    """Of each of its programs, by what they are."""
    used: dict[str, float] = defaultdict(float)
    for member in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            command = " ".join(member.cmdline())
            names = ("uvicorn", "beat", "delivery", "worker", "postgres", "valkey")
            name = next((name for name in names if name in command), "others")
            used[name] += sum(member.cpu_times()[:2])
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--alerts", type=int, default=100_000)
    parser.add_argument("--failures", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--visitors", type=int, default=4)
    given = parser.parse_args()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", PORT))
    with (
        tempfile.TemporaryDirectory(prefix="openalert-storm-") as folder,
        installation(folder) as (process, said),
    ):
        key = re.search(r"Bearer ([0-9a-f]{32})", said)[1]
        people = re.findall(r"(\S+@\S+) / (\S+)", said)
        storm = Storm(key, given.alerts, given.failures, given.seconds)
        visitors = Visitors()
        before, began = processor_seconds(process), time.monotonic()
        asyncio.run(run(storm, visitors, [people[n % len(people)] for n in range(given.visitors)]))
        elapsed, after = time.monotonic() - began, processor_seconds(process)
        cores = {name: (after[name] - before.get(name, 0)) / elapsed for name in after}
        place = Places(Path(folder).resolve()).database
        with psycopg.connect(
            host=place["HOST"], user=place["USER"], dbname=place["NAME"], autocommit=True
        ) as database:
            deadline = time.monotonic() + SETTLES_WITHIN
            while len(first_pages(database, storm)) < given.failures and time.monotonic() < deadline:
                time.sleep(0.5)
            is_good = report(database, storm, visitors, cores)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
