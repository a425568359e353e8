"""What servers answer to a library that keeps it to itself.

Inside `listening()` each answer that requests gets in this thread is told, whoever asked. Other threads, and what is
outside, notice nothing of it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests

LONGEST = 64 * 1024


@dataclass(frozen=True)
class Heard:
    """An answer, with the first 64 KiB of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Listener = Callable[[Heard], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)
_send = requests.Session.send


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """`listener` is called with each answer before the library has it; what it raises is raised where the library asked.

    What is asked for as a stream is not read, and of redirects that requests follows itself each is told.
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def _send_and_tell(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
    answer = _send(session, request, **options)
    listener = _listener.get()
    if listener and not answer.history and not options.get("stream"):
        listener(Heard(answer.status_code, answer.headers, answer.content[:LONGEST]))
    return answer


requests.Session.send = _send_and_tell  # type: ignore[method-assign, assignment]
