"""Pages are made in one thread in one go, and are closed whatever becomes of the client."""

import asyncio
import threading

import httpx
import pytest
from django.core.signals import request_finished, request_started

from openalert.asgi import application, django_application


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

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/accounts/login/",
        "raw_path": b"/accounts/login/",
        "query_string": b"",
        "headers": [(b"host", b"testserver"), (b"content-length", b"8")],
    }
    asyncio.run(django_application(scope, receive, send))
    assert not sent and not life


def test_a_client_that_is_gone_leaves_no_connection_behind(transactional_db, life):
    """A page's connection is free before the page is sent, and a file is closed although nobody takes it."""

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        raise OSError("gone")

    def scope(path):
        return {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"testserver")],
        }

    for path in ("/offline/", "/static/css/incidents.css"):
        with pytest.raises(OSError, match="gone"):
            asyncio.run(django_application(scope(path), receive, send))
    assert [kind for kind, _ in life] == ["began", "ended"] * 2
