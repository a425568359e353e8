"""Requests to addresses that people gave us, which must not lead into our own network.

Inside `guarded()` every connection that requests (urllib3) makes in this thread goes to a public address, whatever
library asked for it and wherever a redirect leads. The name is looked up once, all of its addresses are checked, and
the connection is made to one that was checked: a name server that answers otherwise the next time (DNS rebinding)
gains nothing. Networks in OUTGOING_ALLOWED_NETWORKS are allowed as well. What takes too long in all is cut off: a
time-out of requests starts anew with each byte that trickles in.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import requests
from django.conf import settings
from urllib3.util import connection

_connect_anywhere = connection.create_connection

# IPv4 addresses in IPv6's clothes; a translator on the way would lead there (RFC 6052).
NAT64 = ip_network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """The host is, or may be, inside our own network."""


class TooSlow(OSError):
    """The whole of it took longer than it may."""


class _Guard:
    """The connections of one guarded block, to be cut off together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.is_over = False

    def keep(self, connected: socket.socket) -> None:
        # TLS takes the socket away from this object; its duplicate is still the same connection.
        with self._lock:
            self._sockets.append(connected.dup())
        if self.is_over:
            self.cut()

    def cut(self) -> None:
        with self._lock:
            self.is_over = True
            for kept in self._sockets:
                with suppress(OSError):
                    kept.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            for kept in self._sockets:
                kept.close()
            self._sockets.clear()


_guard: ContextVar[_Guard | None] = ContextVar("guard", default=None)


@contextmanager
def guarded(seconds: float | None = None) -> Iterator[None]:
    """Only public addresses, and so many seconds in all (PROVIDER_TIMEOUT_SECONDS unless it is said).

    Raises TooSlow, even when what came until the end looked like an answer.
    """
    guard = _Guard()
    timer = threading.Timer(seconds or settings.PROVIDER_TIMEOUT_SECONDS, guard.cut)
    timer.daemon = True
    token = _guard.set(guard)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _guard.reset(token)
        guard.close()
    if guard.is_over:
        raise TooSlow("the answer took too long")


def session() -> requests.Session:
    """For one guarded request: no proxy, no .netrc and no cookies of this machine's environment."""
    fresh = requests.Session()
    fresh.trust_env = False
    return fresh


def is_allowed(address: str) -> bool:
    """Whether an IP address is public, or in a network that this installation allows."""
    ip = _unwrapped(ip_address(address.partition("%")[0]))
    if any(ip in ip_network(network) for network in settings.OUTGOING_ALLOWED_NETWORKS):
        return True
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_forbidden_literal(host: str) -> bool:
    """Whether a host is spelt as an address that is not allowed. Names are looked up when they are called."""
    try:
        return not is_allowed(host)
    except ValueError:
        return host.lower().rstrip(".") == "localhost" and not is_allowed("127.0.0.1")


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv4Address):
        return ip
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or ip


def resolve(host: str, port: int) -> list[str]:
    """The host's addresses. Raises ForbiddenAddress if any of them is not allowed, and OSError if there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(f"{host} is no host name") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not all(is_allowed(address) for address in addresses):
        raise ForbiddenAddress(f"{host} is not a public address")
    return addresses


def _connect(address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
    guard = _guard.get()
    if guard is None:
        return _connect_anywhere(address, *args, **options)
    host, port = address
    failure: OSError | None = None
    for allowed in resolve(host.strip("[]"), port):
        try:
            connected = _connect_anywhere((allowed, port), *args, **options)
        except OSError as error:
            failure = error
        else:
            guard.keep(connected)
            return connected
    raise failure or OSError(f"{host} has no address")


connection.create_connection = _connect
