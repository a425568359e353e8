"""Limits of bodies, guesses at secrets, and errors that show nothing."""

import asyncio
import io
import json
import logging
from types import SimpleNamespace

import pytest
from django.test import Client
from structlog.stdlib import ProcessorFormatter

from notifications import answer_links
from openalert import guessing
from openalert.asgi import django_application
from openalert.body_limit import MAX_BODY_BYTES
from teams import feeds
from teams.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

SECRET = "pl4nted-s3cret-9f2c1e"


def post(parts, announced=None, path="/accounts/login/"):
    """What an ASGI server would be told: (status, body) and how many of the parts were asked for."""
    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"host", b"localhost")]
    headers += [(b"content-length", str(announced).encode())] if announced is not None else []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers, "client": ("192.0.2.1", 1),
    }  # fmt: skip
    asked, sent = [], []
    rest = iter(parts)

    async def receive():
        part = next(rest, None)
        if part is None:  # a client that stays and says no more
            await asyncio.sleep(3600)
        asked.append(part)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(django_application(scope, receive, send), 20))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]), len(asked)


def test_a_body_that_is_announced_too_long_is_not_read():
    status, body, asked = post([b"x"], announced=MAX_BODY_BYTES + 1)
    assert (status, json.loads(body)["errors"][0]["code"], asked) == (413, "too_large", 0)


def test_a_body_that_has_no_end_is_cut_off():
    part = b"x" * (1024 * 1024)
    status, body, asked = post([part] * 50)
    assert (status, json.loads(body)["errors"][0]["code"]) == (413, "too_large")
    assert asked == MAX_BODY_BYTES // len(part) + 1


@pytest.mark.parametrize(
    ("method", "path", "given", "status"),
    [
        ("post", "/accounts/login/", {"username": "ana@example.org", "password": "guess"}, 200),
        ("post", "/set-up/", {"code": "guess"}, 422),
        ("get", "/answer/guessed-token/", {}, 410),
        ("get", "/calendar/guessed.ics", {}, 404),
        ("post", "/hooks/twilio/sms/", {}, None),
        ("get", "/metrics", {}, None),
    ],
)
def test_guesses_are_held_back_by_address(monkeypatch, method, path, given, status):
    monkeypatch.setattr(guessing, "time", SimpleNamespace(time=lambda: 1_800_000_015.0))
    guesser, other = Client(REMOTE_ADDR="192.0.2.66"), Client(REMOTE_ADDR="192.0.2.67")
    # Many accounts: of one the door would be locked long before.
    tries = [{**given, "username": f"{n}@example.org"} if "username" in given else given for n in range(31)]
    answers = [getattr(guesser, method)(path, each) for each in tries]
    assert {answer.status_code for answer in answers[:30]} <= ({status} if status else {401, 403, 404})
    assert (answers[30].status_code, answers[30]["Retry-After"]) == (429, "45")
    disguised = getattr(guesser, method)(path, given, headers={"X-Forwarded-For": "198.51.100.1"})
    assert disguised.status_code == 429
    assert getattr(other, method)(path, given).status_code != 429
    monkeypatch.setattr(guessing, "time", SimpleNamespace(time=lambda: 1_800_000_060.0))
    assert getattr(guesser, method)(path, given).status_code != 429


def test_who_knows_the_secret_is_never_held_back():
    _, token = feeds.open_feed(user=UserFactory(), schedule=None)
    client = Client()
    assert {client.get(f"/calendar/{token}.ics").status_code for _ in range(40)} == {200}


def test_without_the_cache_people_still_get_in(settings):
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1/0",
        }
    }
    user = UserFactory()
    user.set_password("correct horse battery")
    user.save()
    sign_in = {"username": user.email, "password": "correct horse battery"}
    assert Client().post("/accounts/login/", sign_in).status_code == 302


@pytest.fixture
def logged(monkeypatch):
    """What the handler of all logs writes."""
    written = io.StringIO()
    [handler] = [one for one in logging.getLogger().handlers if isinstance(one.formatter, ProcessorFormatter)]
    monkeypatch.setattr(handler, "stream", written)
    return written


def test_errors_show_and_log_no_secret(monkeypatch, logged):
    """A view that fails with secrets in its words, its variables, the address and the headers."""

    def fail(token):
        password = SECRET  # noqa: F841  (a variable of the frame)
        raise RuntimeError(f"Authorization: Bearer {SECRET} token={token} api_key={SECRET}")

    monkeypatch.setattr(answer_links, "read", fail)
    client = Client(raise_request_exception=False)
    for accepts in ("text/html", "application/json"):
        response = client.post(
            f"/answer/{SECRET}/",
            {"password": SECRET},
            headers={"Authorization": f"Bearer {SECRET}", "Cookie": f"sessionid={SECRET}", "Accept": accepts},
        )
        assert response.status_code == 500 and response.headers["X-Correlation-ID"]
        assert SECRET not in response.text
    text = logged.getvalue()
    assert "RuntimeError" in text and "Traceback" in text
    assert SECRET not in text, "\n".join(line for line in text.splitlines() if SECRET in line)


def test_passwords_that_people_type_are_in_no_log(logged, caplog):
    with caplog.at_level(logging.DEBUG):
        Client().post("/accounts/login/", {"username": "ana@example.org", "password": SECRET})
        Client().post(
            "/api/v1/auth/token", {"email": "ana@example.org", "password": SECRET}, "application/json"
        )
    assert "/api/v1/auth/token" in logged.getvalue() and SECRET not in logged.getvalue()
