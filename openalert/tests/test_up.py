"""`manage.py up`, as somebody at a terminal sees it."""

import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from openalert.embedded.places import Places
from openalert.tests.stack import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 120
pytestmark = pytest.mark.timeout(240)


class Up:
    """One run of the command, with nothing in its environment but a PATH and what keeps it apart from others."""

    def __init__(self, data: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.mail_port = free_port()
        self.places = Places(data)
        variables = {"PATH": os.defpath, "OPENALERT_DATA_DIR": str(data), "PORT": str(port)}
        variables["INTAKE_SMTP_PORT"] = str(self.mail_port)
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, seconds: float = READY_SECONDS) -> str:
        """The first line that the pattern is found in."""
        self.wait_until(lambda: re.search(pattern, self.output) or self.process.poll() is not None, seconds)
        found = [line for line in self.lines if re.search(pattern, line)]
        assert found, self.output
        return found[0]

    def wait_until(self, condition: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, argument: str) -> psutil.Process:
        [found] = [process for process in self.family() if argument in process.cmdline()]
        return found

    def server(self, name: str) -> psutil.Process:
        [found] = [
            process for process in psutil.Process(self.process.pid).children() if process.name() == name
        ]
        return found

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def data() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="openalert-up-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder / "data"


@pytest.fixture
def start(data) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def start_one(port: int | None = None) -> Up:
        up = Up(data, port or free_port())
        started.append(up)
        return up

    yield start_one
    for up in started:
        if up.process.poll() is None:
            up.end(signal.SIGTERM)


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [
        process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def post_with_wrong_key(url: str) -> int:
    headers = {"Authorization": "Bearer wrong"}
    return httpx.post(f"{url}/api/v1/alerts", headers=headers, json={"title": "x"}, timeout=15).status_code


def test_everything_starts_answers_and_ends(start):
    up = start()
    up.wait_for("ready; Ctrl-C ends everything")
    assert f"curl -X POST {up.url}/api/v1/alerts" in up.wait_for("curl")
    assert httpx.get(f"{up.url}/accounts/login/").status_code == 200
    with smtplib.SMTP("127.0.0.1", up.mail_port) as mail:
        assert mail.noop() == (250, b"OK")
    family = up.family()
    assert {"uvicorn", "openalert", "delivery", "webhooks", "beat", "receive_mail"} <= {
        part for process in family for part in process.cmdline()
    }

    second = start()
    assert second.process.wait(30) == 1
    second.wait_for(f"already running on the data folder .* \\(process {up.process.pid}\\)", 5)

    worker = up.child("delivery")
    worker.kill()
    up.wait_for(r"sender \| ended by SIGKILL; it is started again in 1 s", 10)
    up.wait_until(lambda: any("delivery" in process.cmdline() for process in alive(up.family())), 10)

    for name in ("postgres", "valkey-server"):
        up.server(name).kill()
    up.wait_for(r"postgres \| ended by SIGKILL; it is started again in", 10)
    up.wait_for(r"valkey \| ended by SIGKILL; it is started again in", 10)
    # 401: the key of the request was looked for in the database, which is there again.
    up.wait_until(lambda: post_with_wrong_key(up.url) == 401, 30)

    family = up.family()
    assert up.end(signal.SIGINT) == 0
    assert alive(family) == []
    up.wait_for("everything has ended", 5)


def test_killed_supervisor_takes_everything_along_and_the_data_is_found_again(start):
    up = start()
    up.wait_for("ready;")
    key = (up.places.data / "secret_key").read_text()
    family = up.family()
    up.process.kill()
    up.wait_until(lambda: not alive(family), 30)

    again = start()
    again.wait_for("ready;")
    assert (again.places.data / "secret_key").read_text() == key
    family = again.family()
    assert again.end(signal.SIGTERM) == 0
    assert alive(family) == []


def test_port_in_use_is_said_before_anything_starts(start, data):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = start(port)
        assert up.process.wait(30) == 1
    up.wait_for(f"Port {port} of 127.0.0.1 is in use by another program. Name another one in PORT", 5)
    assert not (data / "postgres").exists()


def test_broken_data_folder_is_said_in_words(start, data):
    data.mkdir(mode=0o755)
    (data / "postgres").write_text("")
    up = start()
    assert up.process.wait(30) == 1
    assert "Traceback" not in up.output
    up.wait_for(re.escape(str(data / "postgres")), 5)


def test_asked_to_end_while_it_starts(start):
    up = start()
    up.wait_for("starting PostgreSQL")
    assert up.end(signal.SIGINT) == 0
    up.wait_for("everything has ended", 5)
    folders = {str(up.places.postgres), str(up.places.valkey)}
    assert [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] in folders] == []
