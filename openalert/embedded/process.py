"""Programs that we start, and the processes they become."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

LAUNCHER = Path(__file__).with_name("launcher.py")
LARGEST_LOG = 5_000_000


@dataclass(frozen=True)
class User:
    """Whose rights a program gets when root starts it."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Program:
    """What to run and how to end it.

    Its output goes to the end of the file `log`, or into a pipe (`Child.process.stdout`) when there is none.
    `stop_signals` are tried one after the other, each with its seconds of patience, before SIGKILL;
    `death_signal` is what it gets when we die ourselves and nobody is left to have patience.
    """

    name: str
    command: tuple[str, ...]
    stop_signals: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 10),)
    death_signal: signal.Signals = signal.SIGKILL
    user: User | None = None
    folder: Path | None = None
    log: Path | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)


class Child:
    """A program that runs, in a session of its own: the terminal's Ctrl-C reaches it only through us, and on
    Linux it gets its death signal when we die, however that happens. To be made in a thread that stays: for the
    kernel, our death is that of the thread."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.process = _launch(program)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def restart(self) -> None:
        """Start the program again. It must have ended."""
        self.process = _launch(self.program)

    def send(self, number: signal.Signals) -> None:
        if self.is_running:
            self.process.send_signal(number)

    def stop(self) -> None:
        """End the program and all that it started in its group. Repeating it changes nothing."""
        for number, patience in self.program.stop_signals:
            self.send(number)
            if self.wait(patience):
                break
        self.kill()

    def kill(self) -> None:
        # macOS refuses permission for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, seconds: float) -> bool:
        """Whether it ends within so many seconds."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _launch(program: Program) -> subprocess.Popen[bytes]:
    user = program.user
    uid, gid = (user.uid, user.gid) if user else (-1, -1)
    output = open_log(program.log, user) if program.log else subprocess.PIPE
    try:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(LAUNCHER)]
            + [str(number) for number in (os.getpid(), int(program.death_signal), uid, gid)]
            + list(program.command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=program.folder,
            env=program.environment,
            start_new_session=True,
        )
    finally:
        if output is not subprocess.PIPE:
            os.close(output)


def open_log(path: Path, user: User | None) -> int:
    """A descriptor that appends to the file; a long one is put aside first, as `name.log.1`."""
    if path.exists() and path.stat().st_size > LARGEST_LOG:
        path.replace(path.with_name(path.name + ".1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    if user:
        os.fchown(descriptor, user.uid, user.gid)
    return descriptor


def end_leftovers(folder: Path, names: Iterable[str], number: signal.Signals, patience: float) -> None:
    """End the processes with one of these names that work in `folder`: servers whose supervisor is gone.

    The folder's lock must be held. A server's own pid file would not do: after a restart of the machine or
    container its number may be anybody's.
    """
    processes = psutil.process_iter(["name", "cwd", "ppid"])
    leftovers = [process for process in processes if _works_in(process, folder, names)]
    pids = {process.pid for process in leftovers}
    for process in leftovers:
        if process.info["ppid"] not in pids:
            _signal(process, number)
    for process in _wait(leftovers, patience):
        _signal(process, signal.SIGKILL)
    _wait(leftovers, patience)


def _works_in(process: psutil.Process, folder: Path, names: Iterable[str]) -> bool:
    # Both are None for a process that we may not look into.
    return process.info["name"] in names and process.info["cwd"] == str(folder)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait(processes: list[psutil.Process], patience: float) -> list[psutil.Process]:
    """Those that have not ended within so many seconds."""
    deadline = time.monotonic() + patience
    while (
        alive := [process for process in processes if not _has_ended(process)]
    ) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _has_ended(process: psutil.Process) -> bool:
    # In a container without an init, nobody takes the zombies of others away.
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
