"""The embedded Valkey. It keeps nothing on disk: whatever it carries may be lost at any moment."""

import signal
import time

import redis

from .binaries import Binaries
from .errors import EmbeddedError
from .places import Places
from .postgres import BARE_ENVIRONMENT, explain
from .process import Child, Program, User, end_leftovers

START_SECONDS = 15


def valkey_program(places: Places, binaries: Binaries, user: User | None) -> Program:
    """The server, on its socket only; nobody but its user and root can enter the socket's folder."""
    options = {
        "port": "0",
        "unixsocket": str(places.valkey_socket),
        "unixsocketperm": "700",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",  # it is a queue too: what is full must say so
        "daemonize": "no",
        "loglevel": "notice",
    }
    return Program(
        name="valkey",
        command=(
            str(binaries.valkey),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ),
        stop_signals=((signal.SIGTERM, 5),),
        user=user,
        folder=places.valkey,
        log=places.log("valkey"),
        environment=BARE_ENVIRONMENT,
    )


def prepare_valkey(places: Places) -> None:
    """End a server that is still at work in the folder. The lock of `places` must be held."""
    end_leftovers(places.valkey, ["valkey-server"], signal.SIGTERM, 5)
    places.valkey_socket.unlink(missing_ok=True)


def wait_for_valkey(child: Child, places: Places, log_start: int) -> None:
    """Return once the server answers. Raises EmbeddedError if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis.from_url(places.redis_url, retry=None) as client:
        while True:
            try:
                client.ping()
                return
            except redis.ConnectionError as error:
                if child.is_running and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                written = places.log("valkey").read_bytes()[log_start:].decode(errors="replace")
                what = f"Valkey did not start (its log is {places.log('valkey')})"
                raise EmbeddedError(explain(what, places.valkey, written or str(error))) from None
