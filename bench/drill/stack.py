"""The installation that is drilled, in a temporary folder: two of each program, as `manage.py up` starts one."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import redis

from openalert.embedded.places import Places
from openalert.embedded.postgres import wait_for_postgres
from openalert.embedded.process import Program
from openalert.embedded.servers import EmbeddedServers
from openalert.supervisor import Supervisor, Terminal, Watched

from .scene import Scene

ROOT = Path(__file__).resolve().parent.parent.parent
COPIES = 2
STARTS_WITHIN = 90
SERVERS = ("postgres", "valkey")
QUIET = "ignore:::celery.fixups.django,ignore:::celery.platforms"


class Over(Exception):
    """The supervisor's loop has run long enough."""


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Stack:
    """To be used in the main thread: the children's death is tied to it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.places = Places(folder / "data")
        self.ports = [free_port() for _ in range(COPIES)]
        self.mail_port = free_port()
        self.mail_log = folder / "provider.jsonl"
        self.mail_log.touch()
        self.log = folder / "output.log"
        self.environment = {
            "PATH": os.defpath,
            "OPENALERT_DATA_DIR": str(self.places.data),
            "PORT": str(self.ports[0]),
            "DEBUG": "no",
            "EMAIL_URL": f"smtp://127.0.0.1:{self.mail_port}",
            # Each page is reckoned with by itself and at once.
            "PROVIDER_LIMIT_PER_MINUTE": "0",
            "BUNDLE_ABOVE_PER_MINUTE": "0",
            "DATABASE_POOL_SIZE": "10",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": QUIET,
        }
        self.servers = EmbeddedServers(self.places)
        self.scene: Scene

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Everything started and answering; all of it ended at the end."""
        with self.log.open("a") as output:
            programs = self.programs()
            self.supervisor = Supervisor(Terminal([*SERVERS, *programs], output))
            try:
                self.servers.start()
                self._note_commit_times()
                self._manage("django", "migrate", "--verbosity", "0")
                self.scene = json.loads(self._manage("bench.drill.scene"))
                for child in self.servers.children:
                    self.supervisor.watch(child)
                for name, command in programs.items():
                    self.supervisor.start(
                        Program(
                            name=name,
                            command=(sys.executable, "-m", *command),
                            folder=ROOT,
                            environment=self.environment,
                        )
                    )
                self._until_ready()
                yield
            finally:
                self.supervisor.stop()
                self.servers.stop()

    def programs(self) -> dict[str, list[str]]:
        """As in openalert.management.commands.up, which is not imported as it reads the settings."""
        celery = ["celery", "-A", "openalert", "--quiet"]
        worker = [*celery, "worker", "--pool", "threads", "--without-gossip", "--without-mingle"]
        worker += ["--loglevel", "warning"]
        programs = {
            "provider": ["bench.drill.provider", str(self.mail_port), str(self.mail_log), str(self.seed)]
        }
        for n, port in enumerate(self.ports, 1):
            programs[f"web{n}"] = ["uvicorn", "openalert.asgi:application", "--host", "127.0.0.1"]
            programs[f"web{n}"] += [
                "--port",
                str(port),
                "--loop",
                "uvloop",
                "--http",
                "openalert.http_protocol:Protocol",
            ]
            programs[f"web{n}"] += ["--ws", "openalert.websocket_protocol:Protocol", "--lifespan", "on"]
            programs[f"web{n}"] += ["--no-access-log", "--log-level", "warning"]
            programs[f"worker{n}"] = [*worker, "-Q", "openalert", "-c", "2", "-n", f"worker{n}@%h"]
            programs[f"sender{n}"] = [*worker, "-Q", "delivery", "-c", "8", "-n", f"sender{n}@%h"]
        programs["beat"] = [*celery, "beat", "--loglevel", "warning", "--pidfile", ""]
        return programs

    def watched(self, name: str) -> Watched:
        return next(watched for watched in self.supervisor.watched if watched.name == name)

    def supervise(self, every: Callable[[], None]) -> None:
        """Look after everything until `every`, which is called about four times a second, raises Over."""
        with contextlib.suppress(Over):
            self.supervisor.run(every)

    def database(self, **options: object) -> psycopg.Connection:
        found = self.places.database
        return psycopg.connect(host=found["HOST"], user=found["USER"], dbname=found["NAME"], **options)

    def answers(self, name: str) -> bool:
        """Whether a server does, within a second or so."""
        try:
            if name == "postgres":
                self.database(connect_timeout=2).close()
            else:
                with redis.Redis.from_url(self.places.redis_url, socket_timeout=0.2, retry=None) as client:
                    client.ping()
        except (psycopg.Error, redis.RedisError):
            return False
        return True

    def _manage(self, *command: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    def _note_commit_times(self) -> None:
        """Let PostgreSQL note when each transaction was committed; that takes a restart."""
        with self.database(autocommit=True) as database:
            database.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        postgres = self.servers.children[0]
        postgres.send(signal.SIGINT)
        postgres.wait(20)
        postgres.restart()
        wait_for_postgres(postgres, self.places, 0)

    def _until_ready(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN

        def every() -> None:
            if all(map(self._web_answers, self.ports)) and self.workers_wait():
                raise Over
            if time.monotonic() > deadline:
                sys.exit(f"The installation did not start:\n{self.log.read_text()[-3000:]}")

        self.supervise(every)

    @staticmethod
    def _web_answers(port: int) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{port}/api/v1/incidents", timeout=2)
            return True
        return False

    def workers_wait(self) -> bool:
        """Whether all workers and senders have come to their queues."""
        with redis.Redis.from_url(self.places.redis_url, retry=None) as client:
            waiting = [other for other in client.client_list() if other["cmd"] == "brpop"]
        return len(waiting) >= 2 * COPIES
