"""How we log: one JSON object a line for an installation, a line of text for people at a terminal.

The application logs with `logging.getLogger(__name__)`, as do the libraries; structlog gives all of it one form. Every
entry carries the correlation id of the request, WebSocket or task that it belongs to, and none carries a secret.
"""

import logging
import math
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from openalert import correlation_id
from openalert.redaction import Redactor

JSON, LINE = FORMATS = ("json", "line")
# Those of libraries that would say something with every task, or that bring handlers of their own.
QUIET_LOGGERS = (
    "celery",
    "django_celery_beat",
    "httpx",
    "urllib3",
    "aiosmtpd",
    "mail.log",
    "python_http_client",
    "apprise",
)
LOGGERS_WITH_HANDLERS = (
    "django",
    "django.server",
    "uvicorn",
    "uvicorn.error",
    "celery.task",
)
# Requests are told of by openalert.requests; while this one had a handler, uvicorn would make a line for each alert.
SILENT_LOGGERS = ("uvicorn.access",)
# Attributes of records that say nothing in a log, or would say it a second time.
UNWANTED = ("request", "server_time", "color_message", "websocket", "scope", "taskName")


def logging_config(*, level: str, format: str, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """LOGGING for Django (and, by openalert.celery, for Celery): all of it to stderr.

    `format` is one of FORMATS. `secrets` are hidden wherever they stand, beside what openalert.redaction knows.
    """
    number = logging.getLevelNamesMapping()[level]
    redactor = Redactor(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        add_correlation_id,
        drop_unwanted,
    ]
    renderer: Callable[..., str] = render_json if format == JSON else render_line
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "ours": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": shared,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    redacting(redactor),
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours", "stream": sys.stderr}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **{name: {"handlers": [], "propagate": True} for name in LOGGERS_WITH_HANDLERS},
            **{name: {"level": max(logging.WARNING, number)} for name in QUIET_LOGGERS},
            **{name: {"handlers": [], "propagate": False} for name in SILENT_LOGGERS},
        },
    }


def add_correlation_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """An id that the caller gave by `extra` stays: its thread may serve many requests at once."""
    if current := event.get("correlation_id") or correlation_id.current.get():
        event["correlation_id"] = current
    event["pid"] = os.getpid()
    return event


def drop_unwanted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for name in UNWANTED:
        event.pop(name, None)
    return event


def redacting(redactor: Redactor) -> Processor:
    """The processor that hides secrets, in every value of an entry and in its traceback."""

    def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: redactor.value(value, name=name) for name, value in event.items()}

    return redact


def render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """`at`, `level`, `logger`, `message` first; then what else is known."""
    first = {
        "at": event.pop("at", None),
        "level": event.pop("level", None),
        "logger": event.pop("logger", None),
        "message": event.pop("event", ""),
    }
    return msgspec.json.encode(first | {name: _finite(value) for name, value in event.items()}).decode()


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def render_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """“10:02:03 WARNING alerts.door: what happened  [name=value]”, then the traceback."""
    at = str(event.pop("at", ""))[11:19]
    level, logger = str(event.pop("level", "")).upper(), event.pop("logger", "")
    message, traceback = event.pop("event", ""), event.pop("exception", "")
    event.pop("pid", None)
    rest = " ".join(f"{name}={value}" for name, value in event.items())
    line = f"{at} {level} {logger}: {message}" + (f"  [{rest}]" if rest else "")
    return f"{line}\n{traceback}" if traceback else line
