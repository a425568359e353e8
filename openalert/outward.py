"""Requests to addresses that people gave us, which must not lead to where only we can reach.

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
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from django.conf import settings
from urllib3.util import connection

from openalert import correlation_id

MOST_REDIRECTS = 3
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
CHUNK = 64 * 1024
REDIRECTS = (301, 302, 303, 307, 308)

Address = IPv4Address | IPv6Address

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
    return is_public(ip) or any(ip in ip_network(network) for network in settings.OUTGOING_ALLOWED_NETWORKS)


def is_public(ip: Address) -> bool:
    """Whether it is an address of the internet: no private, link-local, loopback, multicast, reserved or shared one, nor
    an IPv6 one that stands for such an IPv4 one."""
    ip = _unwrapped(ip)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def is_forbidden_literal(host: str) -> bool:
    """Whether a host is spelt as an address that is not allowed. Names are looked up when they are called."""
    try:
        return not is_allowed(host)
    except ValueError:
        return host.lower().rstrip(".") == "localhost" and not is_allowed("127.0.0.1")


def _unwrapped(ip: Address) -> Address:
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


def forbidden_in(error: BaseException | None) -> ForbiddenAddress | None:
    """The refusal that requests and urllib3 have wrapped, if it is one."""
    found = _in(error, ForbiddenAddress)
    return found if isinstance(found, ForbiddenAddress) else None


def _in(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """The first error of that kind among those that the error came from."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        found = waiting.pop()
        if isinstance(found, kind):
            return found
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            waiting += [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
    return None


class FetchError(Exception):
    """The words say why it could not be fetched; they name nothing of our network."""


def fetch(url: str, *, most_bytes: int, seconds: float, accept: str = "*/*") -> bytes:
    """The body that an http or https address answers with, at most so long and within so many seconds.

    Raises FetchError, also for any status but 200.
    """
    try:
        with guarded(seconds), session() as asking:
            for _ in range(MOST_REDIRECTS + 1):
                found = _get(asking, url, most_bytes, accept)
                if isinstance(found, bytes):
                    return found
                url = urljoin(url, found)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise FetchError(_reason(error)) from error
    raise FetchError("It redirects too often.")


def _get(asking: requests.Session, url: str, most_bytes: int, accept: str) -> bytes | str:
    """The body, or where it redirects to."""
    _check_form(url)
    # What unpacks to gigabytes is not asked for.
    headers = {
        "Accept": accept,
        "Accept-Encoding": "identity",
        "User-Agent": "OpenAlert",
        **correlation_id.headers_for_others(),
    }
    times = (CONNECT_SECONDS, READ_SECONDS)
    with asking.get(url, headers=headers, timeout=times, allow_redirects=False, stream=True) as response:
        if response.status_code in REDIRECTS and response.headers.get("Location"):
            return str(response.headers["Location"])
        if response.status_code != requests.codes.ok:
            raise FetchError(f"It answered {response.status_code}.")
        body = bytearray()
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            body += chunk
            if len(body) > most_bytes:
                raise FetchError(f"It is larger than {most_bytes // 1024} KiB.")
        return bytes(body)


def _check_form(url: str) -> None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise FetchError("This is no address.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError("Only http and https addresses are fetched.")


def _reason(error: Exception) -> str:
    if forbidden_in(error):
        return "Its address is not a public one."
    if isinstance(error, TooSlow | requests.Timeout | urllib3.exceptions.TimeoutError):
        return "It takes too long."
    if isinstance(error, requests.exceptions.SSLError):
        return "Its certificate is not valid."
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return "This is no address."
    if _in(error, socket.gaierror):
        return "There is no such host."
    return "The connection failed."
