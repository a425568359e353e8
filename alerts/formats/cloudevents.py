"""CloudEvents 1.0 over HTTP: structured, binary and batched (cloudevents/spec: http-protocol-binding, json-format).

Nothing in CloudEvents says what an alert is, so it is read off what events of alerts have in common:

- what has become of it: `status` or `state` of the data, or the end of the type (com.example.disk.resolved);
  anything else fires;
- severity: of the data (`severity`, `priority`, `level`), or the extensions `severity`, `severitytext` and
  `severitynumber`; high when it is not told;
- title: `title`, `summary`, `message` or `name` of the data; else the type and the subject;
- dedup key: `dedup_key`, `external_id` or `fingerprint` of the data; else the source, the subject and the type
  without such an end.

`labels` and `tags` of the data, and the extensions, are the labels.

Registration is answered too (http-webhook.md §4: OPTIONS with WebHook-Request-Origin), as Azure Event Grid asks.
"""

import base64
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from alerts.enums import EventStatus
from alerts.events import (
    MAX_DEDUP_KEY,
    MAX_SOURCE,
    MAX_TITLE,
    AlertEvent,
    EventFault,
    InvalidEvent,
    without_nul,
)
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import Answer, Request, decode_json
from .reading import (
    SEVERITIES,
    first_text,
    inner,
    key_of,
    read_each,
    read_or_fault,
    severity_of,
    strings,
    text,
)
from .signing import check_bearer, demand

if TYPE_CHECKING:
    from alerts.models import Integration

METHODS = ("POST", "OPTIONS")
MEDIA_TYPE = "application/cloudevents"
REQUIRED = ("id", "source", "specversion", "type")
CORE = frozenset((*REQUIRED, "data", "data_base64", "datacontenttype", "dataschema", "subject", "time"))
VERSION = re.compile(r"v?\d+")
RESOLVED = (
    *("clear", "cleared", "closed", "healthy", "normal", "ok"),
    *("recovered", "recovery", "resolved", "success", "succeeded", "up"),
)
STATUSES = {
    **dict.fromkeys(RESOLVED, EventStatus.RESOLVED),
    **dict.fromkeys(("ack", "acked", "acknowledged"), EventStatus.ACKNOWLEDGED),
}
# Ends of types that tell what has become of a problem, not which one it is.
FIRING = frozenset(
    (
        "alerting",
        "critical",
        "down",
        "error",
        "failed",
        "failure",
        "firing",
        "opened",
        "triggered",
        "unhealthy",
    )
)
# opentelemetry.io, Logs Data Model, SeverityNumber: four numbers each of trace, debug, info, warn, error, fatal.
NUMBERED = (Severity.LOW, Severity.LOW, Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL)
MAX_USER = 160


class UnknownMediaType(MalformedPayload):
    """Of the spec's other event formats (http-webhook.md §2.2)."""

    code = "unknown_media_type"
    detail = "Of structured CloudEvents, JSON is taken: application/cloudevents+json, or -batch+json."
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """The event in its JSON form, whichever mode it came in; a list of a batch; None when nothing was sent.

    Raises MalformedPayload.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith(MEDIA_TYPE):
        if media_type not in (f"{MEDIA_TYPE}+json", f"{MEDIA_TYPE}-batch+json"):
            raise UnknownMediaType
        return decode_json(body, headers)
    if "ce-specversion" in headers:
        return without_nul(_binary(body, headers, media_type))
    # Whoever left out the media type may have meant it all the same.
    return decode_json(body, headers) if body else None


def _binary(body: bytes, headers: Mapping[str, str], media_type: str) -> dict[str, Any]:
    """§3.1: the attributes are headers, the data is the body."""
    attributes = {name[3:]: _attribute(value) for name, value in headers.items() if name.startswith("ce-")}
    if not body:
        return attributes
    if media_type in ("", "application/json", "text/json") or media_type.endswith("+json"):
        return {**attributes, "datacontenttype": media_type, "data": decode_json(body, headers)}
    if media_type.startswith("text/"):
        return {**attributes, "datacontenttype": media_type, "data": body.decode("utf-8", "replace")}
    return {**attributes, "datacontenttype": media_type, "data_base64": base64.b64encode(body).decode()}


def _attribute(value: str) -> str:
    """§3.1.3.2: quoting that older versions allowed is undone, then one round of percent-encoding."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError as cause:
        raise MalformedPayload("An attribute is not percent-encoded UTF-8.") from cause


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """The handshake is answered, which is no matter of authorization; with a secret, it must be the bearer token.

    The spec wants it taken in the header and in the query (§3).
    """
    if request.method == "OPTIONS":
        origin = request.headers.get("webhook-request-origin")
        allowed = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}
        return Answer(HTTPStatus.OK, None, {"Allow": ", ".join(METHODS), **allowed})
    if integration.secret and "authorization" not in request.headers:
        demand(parse_qs(request.query, encoding="latin-1").get("access_token", [""])[0], integration.secret)
        return None
    return check_bearer(request, payload, integration)


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The events of a batch in their order, or the one that was sent. Raises MalformedPayload."""
    if isinstance(payload, list):
        return read_each(payload, _event)
    if not isinstance(payload, dict):
        raise MalformedPayload("This is no CloudEvent: a JSON object or ce- headers are wanted.")
    return [read_or_fault(payload, _event)]


def _event(event: Any) -> AlertEvent:
    if not isinstance(event, dict):
        raise InvalidEvent("invalid", "A CloudEvent must be a JSON object.")
    for name in REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidEvent("required", f"A CloudEvent has the attribute “{name}”.", field=name)
    if not event["specversion"].startswith("1."):
        raise InvalidEvent("invalid_choice", "Only CloudEvents 1.0 are known.", field="specversion")
    data = inner(event, "data")
    root, end = _split(event["type"])
    subject = text(event.get("subject"), MAX_DEDUP_KEY)
    status = (
        _status(data.get("status")) or _status(data.get("state")) or STATUSES.get(end, EventStatus.FIRING)
    )
    given = first_text(
        MAX_DEDUP_KEY + 1, data.get("dedup_key"), data.get("external_id"), data.get("fingerprint")
    )
    called = f"{event['type']}: {subject}" if subject else f"{event['type']} from {event['source']}"
    extensions = {name: value for name, value in event.items() if name not in CORE}
    labels = {"type": event["type"], "subject": subject, **strings(extensions), **_labels(data)}
    return AlertEvent(
        dedup_key=key_of(given) if given else key_of(event["source"], subject, root),
        status=status,
        title=first_text(
            MAX_TITLE, *(data.get(name) for name in ("title", "summary", "message", "name")), called
        ),
        severity=_severity(data, event),
        name=first_text(MAX_TITLE, data.get("alertname"), data.get("name"), root) or "CloudEvent",
        source=text(event["source"], MAX_SOURCE),
        labels={name: value for name, value in labels.items() if value},
        metadata={**data, "cloudevent": {name: value for name, value in event.items() if value is not data}},
        by=first_text(MAX_USER, data.get("user"), data.get("by")),
    )


def _split(kind: str) -> tuple[str, str]:
    """A type without the word at its end that tells the status, and that word; a version after it stays."""
    parts = kind.split(".")
    place = len(parts) - 2 if len(parts) > 2 and VERSION.fullmatch(parts[-1].lower()) else len(parts) - 1
    end = parts[place].lower()
    if place == 0 or (end not in STATUSES and end not in FIRING):
        return kind, ""
    return ".".join(parts[:place] + parts[place + 1 :]), end


def _status(word: Any) -> EventStatus | None:
    """None when nothing is said; what is not known to be an end is none."""
    said = text(word, 64).lower()
    return STATUSES.get(said, EventStatus.FIRING) if said else None


def _severity(data: dict[str, Any], event: dict[str, Any]) -> Severity:
    words = (data.get("severity"), data.get("priority"), data.get("level"), event.get("severity"))
    for word in (*words, event.get("severitytext")):
        if isinstance(word, str) and word.strip().lower() in SEVERITIES:
            return severity_of(word)
    number = text(event.get("severitynumber"), 8)
    if number.isascii() and number.isdigit() and 1 <= int(number) <= 24:
        return NUMBERED[(int(number) - 1) // 4]
    return Severity.HIGH


def _labels(data: dict[str, Any]) -> dict[str, str]:
    """`labels` and `tags`; a list of tags is “name:value” or bare names."""
    tags = data.get("tags")
    if isinstance(tags, list):
        pairs = [tag.partition(":") for tag in tags if isinstance(tag, str) and tag]
        tags = {name: value or "true" for name, _, value in pairs if name}
    return {**strings(tags), **strings(data.get("labels"))}
