"""How long the main calls of the REST API take: `make bench-api`.

One web process as production runs it, on a PostgreSQL and a Valkey of its own in a temporary folder, filled by
`manage.py seed_big`. Some clients with connections that stay open ask for each call in turn; prints its
50th, 95th and 99th percentile in milliseconds, at the client. Everything stays on 127.0.0.1.
"""

import argparse
import itertools
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from incidents.enums import Severity  # noqa: E402
from openalert.embedded.places import Places  # noqa: E402
from openalert.embedded.servers import EmbeddedServers  # noqa: E402

PORT = 8573
MANAGER, PASSWORD = "carla@demo.openalert.example", "openalert-demo"  # openalert.demo
WARM = 5
Call = Callable[[httpx.Client], httpx.Response]


@dataclass
class Api:
    """What is asked for, with rows that are there."""

    site: str
    key: str
    access: str = ""
    open_incidents: Iterator[str] = field(default_factory=lambda: iter(()))
    acknowledged: Iterator[str] = field(default_factory=lambda: iter(()))
    run: str = field(default_factory=lambda: secrets.token_hex(4))

    def client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.site}/api/v1", headers={"Authorization": f"Bearer {self.access}"}, timeout=30
        )

    def sign_in(self) -> None:
        with httpx.Client(base_url=f"{self.site}/api/v1") as client:
            said = client.post("/auth/token", json={"email": MANAGER, "password": PASSWORD})
            said.raise_for_status()
            self.access = said.json()["access"]

    def calls(self, times: int) -> dict[str, Call]:
        with self.client() as client:

            def ids(path: str, **wanted: Any) -> list[str]:
                said = client.get(path, params=wanted)
                said.raise_for_status()
                return [row["id"] for row in said.json()["results"]]

            numbers = itertools.count()
            service = ids("/services")[0]
            incidents = itertools.cycle(ids("/incidents"))
            integration = ids("/integrations")[0]
            for number in range(times):  # to be acknowledged and resolved: each once
                said = client.post(
                    "/incidents",
                    json={"title": f"{self.run} {number}", "service": service, "severity": Severity.LOW},
                )
                said.raise_for_status()
            made: list[str] = []
            page: str | None = f"/incidents?search={self.run}&page_size=100"
            while page:
                said = client.get(page)
                said.raise_for_status()
                made += [row["id"] for row in said.json()["results"]]
                page = said.json()["next"]
        self.open_incidents, self.acknowledged = iter(made), iter(list(made))

        def post_alert(client: httpx.Client) -> httpx.Response:
            alert = {"external_id": f"{self.run}-{next(numbers)}", "title": "An alert", "severity": "low"}
            return client.post("/alerts", json=alert, headers={"Authorization": f"Bearer {self.key}"})

        return {
            "GET /incidents": lambda client: client.get("/incidents"),
            "GET /incidents?status=open&severity=critical": lambda client: client.get(
                "/incidents", params={"status": "open", "severity": "critical"}
            ),
            "GET /incidents?search=": lambda client: client.get("/incidents", params={"search": "replica"}),
            "GET /incidents/{id}": lambda client: client.get(f"/incidents/{next(incidents)}"),
            "GET /incidents/{id}/timeline": lambda client: client.get(
                f"/incidents/{next(incidents)}/timeline"
            ),
            "GET /alerts?incident=": lambda client: client.get(
                "/alerts", params={"incident": next(incidents)}
            ),
            "GET /alerts?integration=": lambda client: client.get(
                "/alerts", params={"integration": integration}
            ),
            "GET /services": lambda client: client.get("/services"),
            "GET /on-call": lambda client: client.get("/on-call"),
            "GET /me": lambda client: client.get("/me"),
            "POST /incidents/{id}/acknowledge": lambda client: client.post(
                f"/incidents/{next(self.open_incidents)}/acknowledge"
            ),
            "POST /incidents/{id}/resolve": lambda client: client.post(
                f"/incidents/{next(self.acknowledged)}/resolve"
            ),
            "POST /alerts (intake)": post_alert,
        }


def measure(api: Api, call: Call, times: int, clients: int) -> tuple[list[float], float]:
    """Seconds that each took, and how many were answered in a second."""
    spent: list[float] = []
    left = itertools.islice(itertools.count(), times)
    lock = threading.Lock()
    failures: list[BaseException] = []

    def ask() -> None:
        with api.client() as client:
            while True:
                with lock:
                    if next(left, None) is None or failures:
                        return
                started = time.perf_counter()
                try:
                    said = call(client)
                    if said.status_code not in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                        raise RuntimeError(f"{said.request.url}: {said.status_code} {said.text[:300]}")
                except BaseException as failure:
                    failures.append(failure)
                    return
                spent.append(time.perf_counter() - started)

    began = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return spent, times / (time.perf_counter() - began)


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "uvicorn", "openalert.asgi:application", "--port", str(PORT)]
    command += ["--host", "127.0.0.1", "--loop", "uvloop", "--http", "openalert.http_protocol:Protocol"]
    command += ["--lifespan", "on", "--no-access-log", "--log-level", "warning"]
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", PORT), 1).close()
                    break
                except OSError:
                    if child.poll() is not None or time.monotonic() > deadline:
                        log.seek(0)
                        sys.exit(f"the server did not start:\n{log.read().decode(errors='replace')}")
                    time.sleep(0.1)
            yield
        finally:
            child.terminate()
            child.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--incidents", type=int, default=20_000, help="with ten alerts each")
    parser.add_argument("--times", type=int, default=200, help="of each call")
    parser.add_argument("--clients", type=int, default=4, help="at the same time")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="openalert-bench-") as folder,
        EmbeddedServers(Places(Path(folder).resolve())),
    ):
        environment = {
            **os.environ,
            "OPENALERT_DATA_DIR": folder,
            "DEBUG": "no",
            "PORT": str(PORT),
            "API_REQUESTS_PER_MINUTE": "1000000",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
        }

        def manage(*command: str) -> None:
            subprocess.run(
                [sys.executable, "manage.py", *command],
                cwd=ROOT,
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
            )

        key = secrets.token_hex(16)
        manage("migrate", "--verbosity", "0")
        manage("seed_big", "--incidents", str(given.incidents))
        manage(
            "shell",
            "--verbosity",
            "0",
            "-c",
            "from alerts.models import Integration; i = Integration.objects.filter(source='openalert').first(); "
            f"i.set_key('{key}'); i.save()",
        )
        with serving(environment):
            api = Api(f"http://127.0.0.1:{PORT}", key)
            api.sign_in()
            calls = api.calls(given.times + WARM)
            print(
                f"{given.incidents:,} incidents, {given.clients} clients at once, {given.times} of each call\n"
            )
            print("| call | p50 ms | p95 ms | p99 ms | calls/s |\n|---|---:|---:|---:|---:|")
            for name, call in calls.items():
                measure(api, call, WARM, 1)
                spent, rate = measure(api, call, given.times, given.clients)
                cuts = statistics.quantiles(spent, n=100, method="inclusive")
                figures = " | ".join(f"{1000 * cuts[place - 1]:.0f}" for place in (50, 95, 99))
                print(f"| {name} | {figures} | {rate:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
