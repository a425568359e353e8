"""Keeps programs running, shows what they say in one terminal, and ends them all."""

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import IO

from openalert.embedded.process import Child, Program

GRACE_SECONDS = 10
LONGEST_DELAY_SECONDS = 30
# Who has lived so long did not die of its start: it starts over with short delays.
STEADY_SECONDS = 15
COLOURS = (36, 33, 35, 34, 32, 96)  # cyan, yellow, magenta, blue, green, bright cyan
LONGEST_LINE = 64_000


class Terminal:
    """Lines with the name of who says them before, coloured where there is somebody to see it."""

    def __init__(self, names: Sequence[str], stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stdout
        self.width = max(map(len, names))
        self.colours = dict(zip(names, COLOURS, strict=False))
        self.is_coloured = self.stream.isatty() and not os.environ.get("NO_COLOR")

    def say(self, name: str, line: str) -> None:
        if not line.strip():
            return
        head = f"{name:>{self.width}} |"
        if self.is_coloured:
            head = f"\x1b[{self.colours.get(name, 1)}m{head}\x1b[0m"
        # A terminal that was closed must not keep us from ending what runs.
        with contextlib.suppress(OSError):
            self.stream.write(f"{head} {line}\n")
            self.stream.flush()


class Watched:
    """A child, what it said since the last line's end, and when to start it again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.name = child.program.name
        self.rest = b""
        self.started_at = time.monotonic()
        self.start_at: float | None = None
        self.deaths = 0

    def plan_restart(self) -> float:
        """Count a death and decide the delay: 1, 2, 4 … 30 seconds."""
        now = time.monotonic()
        self.deaths = 1 if now - self.started_at > STEADY_SECONDS else self.deaths + 1
        delay = min(2 ** (self.deaths - 1), LONGEST_DELAY_SECONDS)
        self.start_at = now + delay
        return delay

    def restart(self) -> None:
        self.child.restart()
        self.rest = b""
        self.started_at = time.monotonic()
        self.start_at = None


class Supervisor:
    """Runs programs until somebody asks it to end. To be used in the main thread."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.watched: list[Watched] = []
        self._own: list[Watched] = []
        self._selector = selectors.DefaultSelector()

    def watch(self, child: Child) -> None:
        """Start a child again when it dies. Whoever made it ends it."""
        self.watched.append(Watched(child))

    def start(self, program: Program) -> None:
        """Start a program, show what it says, and end it in `stop`."""
        watched = Watched(Child(program))
        self.watched.append(watched)
        self._own.append(watched)
        self._listen(watched)

    def run(self, every: Callable[[], None]) -> None:
        """Never returns; KeyboardInterrupt ends it. Calls `every` about four times a second."""
        while True:
            self._pump(0.25)
            for watched in self.watched:
                self._look_after(watched)
            every()

    def stop(self) -> None:
        """End what `start` started: all are told at once, and killed if they take too long."""
        for watched in self._own:
            watched.child.send(watched.child.program.stop_signals[0][0])
        deadline = time.monotonic() + GRACE_SECONDS
        while any(watched.child.is_running for watched in self._own) and time.monotonic() < deadline:
            self._pump(0.05)
        self.kill()
        self._pump(0)

    def kill(self) -> None:
        for watched in self._own:
            watched.child.kill()

    def _look_after(self, watched: Watched) -> None:
        if watched.start_at is not None:
            if time.monotonic() >= watched.start_at:
                watched.restart()
                self._listen(watched)
        elif not watched.child.is_running:
            self._close(watched)
            watched.child.kill()  # what it may have left in its group
            ending = _ending(watched.child.process.returncode)
            delay = watched.plan_restart()
            self.terminal.say(watched.name, f"ended {ending}; it is started again in {delay} s")

    def _listen(self, watched: Watched) -> None:
        output = watched.child.process.stdout
        if output is not None:
            os.set_blocking(output.fileno(), False)
            self._selector.register(output, selectors.EVENT_READ, watched)

    def _pump(self, seconds: float) -> None:
        """Show what was said, waiting so long for something to be."""
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            self._show(key.data, key.fd)

    def _show(self, watched: Watched, descriptor: int) -> None:
        data = os.read(descriptor, 65_536)
        if not data:
            self._close(watched)
            return
        *lines, watched.rest = (watched.rest + data).split(b"\n")
        if len(watched.rest) > LONGEST_LINE:
            lines, watched.rest = [*lines, watched.rest], b""
        for line in lines:
            self.terminal.say(watched.name, line.decode(errors="replace").rstrip("\r"))

    def _close(self, watched: Watched) -> None:
        output = watched.child.process.stdout
        if output is None or output.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while data := os.read(output.fileno(), 65_536):
                watched.rest += data
        for line in watched.rest.splitlines():
            self.terminal.say(watched.name, line.decode(errors="replace"))
        watched.rest = b""
        self._selector.unregister(output)
        output.close()


def _ending(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-status).name}"
    return f"by signal {-status}"


@contextlib.contextmanager
def asked_to_end(hurry: Callable[[], None]) -> Iterator[None]:
    """Within, the first SIGINT, SIGTERM or SIGHUP is a KeyboardInterrupt; each further one calls `hurry`."""
    asked = False

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            hurry()
            return
        asked = True
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    former = {number: signal.signal(number, answer) for number in signals}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
