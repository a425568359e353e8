"""What people's addresses may lead to."""

import ipaddress
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from openalert.outward import FetchError, fetch, is_public


class Handler(BaseHTTPRequestHandler):
    seen = []

    def do_GET(self):
        self.seen.append((self.path, self.headers["Host"], self.headers.get("Authorization")))
        if self.path == "/loop":
            self.answer(302, headers={"Location": "/loop"})
        elif self.path == "/moved":
            self.answer(301, headers={"Location": "/fine?a=b"})
        elif self.path == "/inside":
            self.answer(302, headers={"Location": "http://169.254.169.254/latest/meta-data/"})
        elif self.path == "/file":
            self.answer(302, headers={"Location": "file:///etc/passwd"})
        elif self.path == "/big":
            self.answer(200, b"x" * 200_000)
        elif self.path == "/broken":
            self.answer(500)
        else:
            self.answer(200, b"hello")

    def answer(self, status, body=b"", headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.seen = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def address(server, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    return f"http://127.0.0.1:{server.server_port}"


def get(url):
    return fetch(url, most_bytes=100_000, seconds=5)


def test_a_body_is_fetched_over_redirects(address, server):
    assert get(f"{address}/moved") == b"hello"
    host = f"127.0.0.1:{server.server_port}"
    assert Handler.seen == [("/moved", host, None), ("/fine?a=b", host, None)]


def test_credentials_in_the_address_are_sent(address):
    get(address.replace("http://", "http://ana:secret@"))
    assert Handler.seen[0][2] == "Basic YW5hOnNlY3JldA=="


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/loop", "redirects too often"),
        ("/file", "Only http and https"),
        ("/big", "larger than"),
        ("/broken", "answered 500"),
    ],
)
def test_what_is_not_fetched_says_why(address, path, words):
    with pytest.raises(FetchError, match=words):
        get(address + path)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "file:///etc/passwd", "https://", "http://[", "http://x:99999/", "gopher://x"],
)
def test_other_addresses_are_none(url):
    with pytest.raises(FetchError):
        get(url)


def test_a_private_address_is_refused_unless_the_installation_allows_it(address, settings):
    settings.OUTGOING_ALLOWED_NETWORKS = []
    with pytest.raises(FetchError, match="not a public one"):
        get(address)
    assert Handler.seen == []


def test_a_redirect_to_the_inside_is_refused(address):
    """The first host is allowed; where it leads is not."""
    with pytest.raises(FetchError, match="not a public one"):
        get(f"{address}/inside")
    assert [path for path, *_ in Handler.seen] == ["/inside"]


def test_the_address_that_was_checked_is_the_one_that_is_used(address, server, monkeypatch):
    """A name that resolves to something else the second time is not asked a second time."""
    asked = []
    real = socket.getaddrinfo

    def resolve(host, port, *args, **options):
        if host == "rebind.example.org":
            asked.append(host)
            return [
                (
                    socket.AF_INET,
                    socket.SOCK_STREAM,
                    6,
                    "",
                    ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", port),
                )
            ]
        return real(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert get(f"http://rebind.example.org:{server.server_port}/") == b"hello"
    assert asked == ["rebind.example.org"]
    assert Handler.seen[0][1] == f"rebind.example.org:{server.server_port}"


def test_of_several_addresses_all_must_be_public(monkeypatch):
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80)) for host in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: both)
    with pytest.raises(FetchError, match="not a public one"):
        get("http://two.example.org/")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("2002:a00:1::", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
    ],
)
def test_which_addresses_are_public(address, expected):
    assert is_public(ipaddress.ip_address(address)) is expected
