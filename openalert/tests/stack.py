"""A running installation for tests: web, worker and beat as processes of their own, on the test's servers."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent.parent
GRACE_SECONDS = 10
UVICORN = (
    "uvicorn",
    "openalert.asgi:application",
    "--http",
    "openalert.http_protocol:Protocol",
    "--ws",
    "openalert.websocket_protocol:Protocol",
    "--ws-max-size",
    "65536",
    "--no-access-log",
)


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition: Callable[[], object], *, within: float, what: str = "") -> object:
    """The condition's first true value; fails the test when there is none within so many seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {within} s: {what or condition}")


class Process:
    """A child in a group of its own; its output is kept for when something fails."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.log = tempfile.NamedTemporaryFile(prefix=f"openalert-{name}-", suffix=".log", delete=False)  # noqa: SIM115
        self._child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=self.log, stderr=self.log, start_new_session=True
        )

    @property
    def is_running(self) -> bool:
        return self._child.poll() is None

    @property
    def output(self) -> str:
        return Path(self.log.name).read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def stop(self) -> None:
        if self.is_running:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(GRACE_SECONDS)
        self.kill()
        print(f"--- {self.name}\n{self.output}")  # pytest shows it when the test failed
        self.log.close()
        Path(self.log.name).unlink()


class Stack:
    """Starts what is asked for; `url` is the address of the web process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes: list[Process] = []
        self.environment = {
            **os.environ,
            "DATABASE_URL": _database_url(),
            "REDIS_URL": settings.REDIS_URL,
            "SECRET_KEY": settings.SECRET_KEY,
            "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "SITE_URL": self.url,
            "EMAIL_URL": "mailbox://",
            "DJANGO_SETTINGS_MODULE": "openalert.settings",
        }

    def start(self, name: str, *command: str) -> Process:
        process = Process(name, [sys.executable, "-m", *command], self.environment)
        self.processes.append(process)
        return process

    def start_web(self, port: int | None = None) -> Process:
        port = port or self.port
        web = self.start("web", *UVICORN, "--port", str(port))

        def answers() -> bool:
            assert web.is_running, web.output
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{port}/integrations/")
                return True
            return False

        eventually(answers, within=30, what="the web process answers")
        return web

    def start_secure_web(self, certificate: str, private_key: str) -> int:
        """A second web process with https, for clients that insist on it. Returns its port."""
        port = free_port()
        command = [*UVICORN, "--port", str(port)]
        web = self.start("secure web", *command, "--ssl-certfile", certificate, "--ssl-keyfile", private_key)

        def listens() -> bool:
            assert web.is_running, web.output
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        eventually(listens, within=30, what="the secure web process listens")
        return port

    def start_worker(self) -> Process:
        worker = ("celery", "-A", "openalert", "worker", "-P", "threads", "-c", "4", "-l", "warning")
        return self.start("worker", *worker, "-Q", "openalert,delivery,webhooks")

    def start_beat(self) -> Process:
        return self.start("beat", "celery", "-A", "openalert", "beat", "-l", "warning", "--max-interval", "1")

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


def _database_url() -> str:
    database = connection.settings_dict
    user = quote(database["USER"])
    password = f":{quote(database['PASSWORD'])}" if database["PASSWORD"] else ""
    host, port = quote(str(database["HOST"]), safe=""), f":{database['PORT']}" if database["PORT"] else ""
    return f"postgres://{user}{password}@{host}{port}/{database['NAME']}"


@contextlib.contextmanager
def running_stack() -> Iterator[Stack]:
    """Web, worker and beat, started together and stopped at the end."""
    stack = Stack()
    try:
        stack.start_worker()
        stack.start_beat()
        stack.start_web()
        yield stack
    finally:
        stack.stop()
