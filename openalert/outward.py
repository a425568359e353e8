"""Fetching what a person's address names, without being led to where only we can reach.

The name is resolved once, every address it has must be a public one, and the connection goes to the very address that was
checked; the host's name is still what TLS and the Host header say. Redirects are followed by the same rules.
"""

import ipaddress
import socket
import time
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from django.conf import settings

from openalert import correlation_id

MOST_REDIRECTS = 3
CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
CHUNK = 64 * 1024
PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FetchError(Exception):
    """The words say why it could not be fetched; they name nothing of our network."""


def fetch(url: str, *, most_bytes: int, seconds: float, accept: str = "*/*") -> bytes:
    """The body that an http or https address answers with, at most so long and within so many seconds.

    Raises FetchError, also for any status but 200.
    """
    deadline = time.monotonic() + seconds
    for _ in range(MOST_REDIRECTS + 1):
        found = _get(url, most_bytes, deadline, accept)
        if isinstance(found, bytes):
            return found
        url = urljoin(url, found)
    raise FetchError("It redirects too often.")


def _get(url: str, most_bytes: int, deadline: float, accept: str) -> bytes | str:
    """The body, or where it redirects to."""
    parts = _parts(url)
    port = parts.port or PORTS[parts.scheme]
    host = parts.hostname or ""
    address = _resolve(host, port)
    pool = _pool(parts.scheme, str(address), port, host)
    path = parts.path or "/"
    target = f"{path}?{parts.query}" if parts.query else path
    shown = f"[{host}]" if ":" in host else host
    headers = {
        "Host": shown if port == PORTS[parts.scheme] else f"{shown}:{port}",
        "Accept": accept,
        "Accept-Encoding": "identity",  # what unpacks to gigabytes is not asked for
        "User-Agent": "OpenAlert",
        **correlation_id.headers_for_others(),
    }
    if parts.username:
        credentials = f"{parts.username}:{parts.password or ''}"
        headers |= urllib3.make_headers(basic_auth=credentials)
    try:
        response = pool.request(
            "GET",
            target,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            if response.status in (301, 302, 303, 307, 308) and response.headers.get("Location"):
                return response.headers["Location"]
            if response.status != 200:
                raise FetchError(f"It answered {response.status}.")
            return _body(response, most_bytes, deadline)
        finally:
            response.close()
    except urllib3.exceptions.HTTPError as error:
        raise FetchError(_reason(error)) from error
    finally:
        pool.close()


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise FetchError("This is no address.") from error
    if parts.scheme not in PORTS or not parts.hostname:
        raise FetchError("Only http and https addresses are fetched.")
    return parts


def _resolve(host: str, port: int) -> Address:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError("There is no such host.") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not settings.FETCH_PRIVATE_ADDRESSES and not all(map(is_public, addresses)):
        raise FetchError("Its address is not a public one.")
    return addresses[0]


def is_public(address: Address) -> bool:
    """Whether it is an address of the internet: no private, link-local, loopback, multicast, reserved or shared one, nor an
    IPv6 one that stands for such an IPv4 one."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _pool(scheme: str, address: str, port: int, host: str) -> urllib3.HTTPConnectionPool:
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    if scheme == "https":
        return urllib3.HTTPSConnectionPool(
            address,
            port,
            timeout=timeout,
            server_hostname=host,
            assert_hostname=host,
            cert_reqs="CERT_REQUIRED",
        )
    return urllib3.HTTPConnectionPool(address, port, timeout=timeout)


def _body(response: urllib3.BaseHTTPResponse, most_bytes: int, deadline: float) -> bytes:
    body = bytearray()
    for chunk in response.stream(CHUNK, decode_content=False):
        body += chunk
        if len(body) > most_bytes:
            raise FetchError(f"It is larger than {most_bytes // 1024} KiB.")
        if time.monotonic() > deadline:
            raise FetchError("It takes too long.")
    return bytes(body)


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "It takes too long."
    if isinstance(error, urllib3.exceptions.SSLError):
        return "Its certificate is not valid."
    return "The connection failed."
