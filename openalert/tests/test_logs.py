"""What the log looks like: of the application, of libraries, of requests, tasks and WebSockets."""

import io
import json
import logging
import logging.config

import pytest
import structlog
from django.test import Client
from django.urls import path

from openalert import correlation_id, task_context
from openalert.logs import logging_config
from openalert.request_log import RequestLogMiddleware
from openalert.settings import environment
from openalert.tasks import note_beat
from teams.tests.factories import UserFactory


@pytest.fixture
def log():
    """Reads what is logged from here on, by the configuration that an installation has."""
    yield from _logging("json")


@pytest.fixture
def lines():
    yield from _logging("line")


def _logging(format):
    config = logging_config(level="INFO", format=format, secrets=["our-own-secret"])
    stream = io.StringIO()
    config["handlers"]["stderr"]["stream"] = stream
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logging.config.dictConfig(config)
    for handler in before:  # pytest's own
        root.addHandler(handler)

    def read():
        text = stream.getvalue()
        return [json.loads(line) for line in text.splitlines()] if format == "json" else text

    yield read
    root.handlers[:] = before
    root.setLevel(level)


def test_entry_is_one_line_of_json(log):
    with correlation_id.being("chosen-by-me"):
        logging.getLogger("alerts.door").warning("two\nlines of %s", 7, extra={"batch": 3, "api_key": "k"})
    [entry] = log()
    assert entry.pop("at").endswith("Z")
    assert entry.pop("pid") > 0
    assert entry == {
        "level": "warning",
        "logger": "alerts.door",
        "message": "two\nlines of 7",
        "correlation_id": "chosen-by-me",
        "batch": 3,
        "api_key": "***",
    }


def test_tracebacks_are_in_the_entry_without_secrets(log):
    try:
        raise ValueError("call +15005550006 with our-own-secret")
    except ValueError:
        logging.getLogger("notifications").exception("it failed")
    [entry] = log()
    assert entry["message"] == "it failed"
    assert "ValueError: call +***06 with ***" in entry["exception"]
    assert "our-own-secret" not in json.dumps(entry)


def test_numbers_that_json_does_not_know_are_told_as_text(log):
    logging.getLogger("x").info("odd", extra={"ratio": float("nan"), "most": float("inf")})
    assert [(e["ratio"], e["most"]) for e in log()] == [("nan", "inf")]


def test_a_terminal_gets_lines(lines):
    with correlation_id.being("chosen-by-me"):
        logging.getLogger("teams").warning("hello", extra={"token": "abc"})
    text = lines()
    assert text.endswith(" WARNING teams: hello  [token=*** correlation_id=chosen-by-me]\n")


def test_libraries_have_no_handlers_of_their_own(log):
    for name in ("uvicorn", "uvicorn.error", "django", "celery.task"):
        assert logging.getLogger(name).handlers == []
        assert logging.getLogger(name).propagate
    logging.getLogger("uvicorn.error").error("it broke")
    assert [(e["logger"], e["message"]) for e in log()] == [("uvicorn.error", "it broke")]


def boom(request):
    raise RuntimeError("Authorization: Bearer abcdef123456")


@pytest.fixture
def pages(settings, log, db):
    """A browser for pages of which one fails, with the log of requests that an installation has."""
    from openalert import urls

    settings.LOG_REQUESTS = True
    settings.DEBUG = False
    urls.urlpatterns.insert(0, path("boom/", boom))
    client = Client(raise_request_exception=False)
    yield client
    urls.urlpatterns.pop(0)


def test_request_and_its_failure_are_logged_with_one_id(pages, log):
    from django.urls import clear_url_caches

    clear_url_caches()
    answer = pages.get("/boom/", headers={"X-Correlation-ID": "from-the-client"})
    clear_url_caches()
    assert (answer.status_code, answer["X-Correlation-ID"]) == (500, "from-the-client")
    assert "from-the-client" in answer.text
    failure, request = log()
    assert {failure["correlation_id"], request["correlation_id"]} == {"from-the-client"}
    assert failure["logger"] == "django.request"
    assert "Authorization: ***" in failure["exception"]
    assert "abcdef123456" not in json.dumps([failure, request])
    assert (request["logger"], request["status"], request["route"]) == ("openalert.requests", 500, "boom/")


def test_request_log_names_the_person_and_hides_the_key_in_the_address(pages, log):
    ana = UserFactory()
    pages.force_login(ana)
    pages.get("/incidents/")
    pages.get("/calendar/very-secret-token.ics")
    requests = [entry for entry in log() if entry["logger"] == "openalert.requests"]
    assert [(e["method"], e["path"], e["status"], e["user"]) for e in requests] == [
        ("GET", "/incidents/", 200, str(ana.pk)),
        ("GET", "/calendar/***.ics", 404, str(ana.pk)),
    ]
    assert all(entry["milliseconds"] >= 0 for entry in requests)
    assert "very-secret-token" not in json.dumps(log())


def test_probes_are_not_logged_while_they_succeed(pages, log):
    pages.get("/healthz")
    assert log() == []


def test_terminal_has_no_log_of_requests(settings):
    from django.core.exceptions import MiddlewareNotUsed

    settings.LOG_REQUESTS = False
    with pytest.raises(MiddlewareNotUsed):
        RequestLogMiddleware(lambda request: None)


def test_this_installations_secrets_are_known():
    assert environment.secret_key in environment.secrets


def test_task_runs_under_the_id_that_it_was_sent_with(log, db):
    """Through Celery's own tracer, as a worker does."""
    sent = {"headers": {}}
    with correlation_id.being("id-of-the-request"):
        task_context._stamp(headers=sent["headers"])
    assert sent["headers"][task_context.ID_HEADER] == "id-of-the-request"
    assert sent["headers"][task_context.SENT_HEADER] > 1e9
    seen = run_task(sent["headers"])
    assert seen == ("id-of-the-request", "openalert.tasks.note_beat")
    assert correlation_id.current.get() == ""
    assert structlog.contextvars.get_contextvars() == {}


def test_task_without_an_id_gets_one(log, db):
    current, _ = run_task({})
    assert len(current) == 36


def test_id_that_could_break_a_line_is_replaced(db):
    current, _ = run_task({task_context.ID_HEADER: "two\nlines"})
    assert len(current) == 36


def run_task(headers):
    from unittest.mock import patch

    from celery.app.trace import build_tracer

    seen = []

    def look(name):
        seen.append((correlation_id.current.get(), structlog.contextvars.get_contextvars()["task"]))

    with patch("openalert.pulse.note", look):
        trace = build_tracer(note_beat.name, note_beat, app=note_beat.app)
        trace("some-id", (), {}, request={"id": "some-id", **headers})
    return seen[0]
