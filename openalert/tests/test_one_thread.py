"""Pages are made in one thread in one go, and are closed whatever becomes of the client."""

import asyncio
import threading

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.http import StreamingHttpResponse

from openalert.asgi import application, django_application
from openalert.one_thread import OneThreadHandler


@pytest.fixture
def life():
    """What happens to requests, as (signal, thread)."""
    seen = []

    def began(**_):
        seen.append(("began", threading.get_ident()))

    def ended(**_):
        seen.append(("ended", threading.get_ident()))

    request_started.connect(began)
    request_finished.connect(ended)
    yield seen
    request_started.disconnect(began)
    request_finished.disconnect(ended)


class Client:
    """Sends a request without a body, and hangs up when it is told to."""

    def __init__(self):
        self.messages = [{"type": "http.request", "body": b"", "more_body": False}]
        self.has_left = asyncio.Event()

    async def receive(self):
        if self.messages:
            return self.messages.pop()
        await self.has_left.wait()
        return {"type": "http.disconnect"}


def scope(path, method="GET", *headers):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"testserver"), *headers],
    }


def get(path):
    async def ask():
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_a_page_is_one_stay_in_one_thread(transactional_db, life):
    assert get("/offline/").status_code == 200
    assert [kind for kind, _ in life] == ["began", "ended"]
    assert life[0][1] == life[1][1] != threading.get_ident()


def test_what_is_streamed_is_whole_and_closed_at_its_end(transactional_db, life):
    response = get("/static/css/incidents.css")
    assert response.status_code == 200 and len(response.content) == int(response.headers["content-length"])
    assert [kind for kind, _ in life] == ["began", "ended"]


def test_a_request_that_is_broken_off_is_not_answered(transactional_db, life):
    messages = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    request = scope("/accounts/login/", "POST", (b"content-length", b"8"))
    asyncio.run(django_application(request, receive, send))
    assert not sent and not life


def test_a_client_that_is_gone_leaves_no_connection_behind(transactional_db, life):
    """A page's connection is free before the page is sent, and a file is closed although nobody takes it."""

    async def send(message):
        raise OSError("gone")

    for path in ("/offline/", "/static/css/incidents.css"):
        with pytest.raises(OSError, match="gone"):
            asyncio.run(django_application(scope(path), Client().receive, send))
    assert [kind for kind, _ in life] == ["began", "ended"] * 2


def test_what_is_streamed_ends_with_its_client(life, rf):
    """Of a stream without end the client takes three parts."""
    client, taken = Client(), []

    async def without_end():
        while True:
            yield b"part"

    async def send(message):
        taken.append(message)
        if len(taken) == 4:
            client.has_left.set()
        await asyncio.sleep(0)

    handler = OneThreadHandler()
    handler.get_response = lambda request: StreamingHttpResponse(without_end())
    asyncio.run(asyncio.wait_for(handler(scope("/"), client.receive, send), 10))
    assert 4 <= len(taken) < 10 and [kind for kind, _ in life] == ["began", "ended"]
