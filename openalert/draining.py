"""A web process that is asked to end while others take its place.

On SIGTERM it goes on answering for settings.DRAIN_SECONDS, but says that it is about to end: /readyz answers 503, so
that a balancer sends it nothing new, and each answer closes its connection, so that no client has one open on which it
could send when the process hangs up. Then the server's own end comes: what is under way is answered first. A second
SIGTERM does not wait.
"""

import asyncio
import signal
import threading
from types import FrameType

from django.conf import settings

is_draining = False


def heed_signals() -> None:
    """To be called once the server listens, in its event loop, when it has its own handlers in place."""
    if not settings.DRAIN_SECONDS or threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    end = signal.getsignal(signal.SIGTERM)
    if not callable(end):
        return

    def drain(number: int, frame: FrameType | None) -> None:
        global is_draining
        if is_draining:
            end(number, frame)
            return
        is_draining = True
        loop.call_soon_threadsafe(loop.call_later, settings.DRAIN_SECONDS, end, number, None)

    signal.signal(signal.SIGTERM, drain)
