"""What a web process does beside answering: it watches the installation, and reports on itself."""

import logging

from incidents.live.hub import hubs
from openalert import figures

from .self_watch import Thread

logger = logging.getLogger(__name__)

_thread: Thread | None = None


def start() -> None:
    """Once the web server is up. Repeating it changes nothing."""
    global _thread
    if _thread is None:
        figures.reporter.gauge("websockets", websockets)
        figures.reporter.introduce("web")
        _thread = Thread()
        _thread.start()


def stop() -> None:
    """Before the web server ends."""
    global _thread
    if _thread is not None:
        _thread.end()
        _thread = None
    figures.reporter.flush()


def websockets() -> float:
    """The live connections of this process."""
    return float(sum(len(hub.sockets) for hub in list(hubs.values())))
