"""OpenAlert as an Alertmanager: what a Prometheus server sends when it has none (prometheus/alertmanager: api/v2).

POST …/api/v2/alerts takes a list of {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}; an alert whose
`endsAt` has passed is over. Prometheus sends what fires again and again, with `endsAt` ahead of the next time.
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from alerts.events import AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload

from . import alertmanager
from .base import Answer, Request, Taken, decode_json
from .base import answer as plain_answer
from .reading import read_each

if TYPE_CHECKING:
    from alerts.models import Integration

ALERTS = "api/v2/alerts"
STATUS = "api/v2/status"
STARTED_AT = datetime.now(UTC).isoformat()


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """Answers what is asked with GET: which alerts there are (they are on our pages), and how the server is."""
    if request.method == "POST":
        return None if request.tail == ALERTS else Answer(HTTPStatus.METHOD_NOT_ALLOWED)
    if request.tail == ALERTS:
        return Answer(HTTPStatus.OK, [])
    return Answer(
        HTTPStatus.OK,
        {
            "cluster": {"status": "disabled", "peers": []},
            "config": {"original": ""},
            "uptime": STARTED_AT,
            "versionInfo": dict.fromkeys(
                ("branch", "buildDate", "buildUser", "goVersion", "revision", "version"), ""
            ),
        },
    )


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """The JSON of the body; a GET has none."""
    return decode_json(body, headers) if body else []


def read(
    payload: Any, headers: Mapping[str, str], *, clock: Callable[[], float] = time.time
) -> list[AlertEvent | EventFault]:
    """The alerts in their order. Raises MalformedPayload when it is no list."""
    if not isinstance(payload, list):
        raise MalformedPayload("A list of alerts is wanted.")
    now = datetime.fromtimestamp(clock(), UTC)
    return read_each(
        payload, lambda alert: alertmanager.event({**_object(alert), "status": _status(alert, now)}, {})
    )


def _object(alert: Any) -> dict[str, Any]:
    if not isinstance(alert, dict):
        raise InvalidEvent("invalid", "An alert must be a JSON object.")
    if not isinstance(alert.get("labels"), dict) or not alert["labels"]:
        raise InvalidEvent("required", "At least one label is needed.", field="labels")
    return alert


def _status(alert: dict[str, Any], now: datetime) -> str:
    ends_at = alert.get("endsAt")
    if not isinstance(ends_at, str) or not ends_at or ends_at.startswith("0001-"):
        return "firing"
    try:
        end = datetime.fromisoformat(ends_at)
    except ValueError as cause:
        raise InvalidEvent("invalid", "This must be an RFC 3339 instant.", field="endsAt") from cause
    return "resolved" if end.replace(tzinfo=end.tzinfo or UTC) <= now else "firing"


def answer(request: Request, taken: Taken) -> Answer:
    """200 without a body, as an Alertmanager says it; ours when something could not be taken."""
    return plain_answer(request, taken) if taken.faults else Answer(HTTPStatus.OK)
