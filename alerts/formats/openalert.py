"""OpenAlert's own format, POST /api/v1/alerts: one alert, a list, {"alerts": [...]}, or a line for each (NDJSON).

    {"external_id": "disk-db1", "title": "Disk full on db1", "severity": "critical", "source": "cron",
     "status": "firing", "metadata": {"tags": {"host": "db1"}, "runbook": "https://…"}}

Only the title is required. Without `external_id` each firing alert is a problem of its own. `severity` is
critical, high (when left out), medium or low; `status` is firing (when left out), resolved or acknowledged.
`metadata.tags`, an object or a list such as ["host:db1", "prod"], gives the labels.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent, find_nul
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity
from openalert.ids import uuid7

from .base import decode_strict_json
from .reading import read_each, read_or_fault

Choice = TypeVar("Choice", bound=StrEnum)

FIELDS = ("external_id", "title", "severity", "source", "metadata", "status")
LINES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines")


class Item(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """An alert as nearly everybody sends it: checked while it is parsed, in a fraction of the time."""

    title: Annotated[str, msgspec.Meta(max_length=MAX_TITLE)] | msgspec.UnsetType = msgspec.UNSET
    external_id: Annotated[str, msgspec.Meta(max_length=MAX_DEDUP_KEY)] = ""
    severity: Severity = Severity.HIGH
    source: Annotated[str, msgspec.Meta(max_length=MAX_SOURCE)] = ""
    metadata: dict[str, Any] = {}
    status: EventStatus = EventStatus.FIRING


class Batch(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    alerts: list[Item]


class Items(list[Item]):
    """What `decode` returns when all is well; anything else is JSON, for `read` to say what is wrong."""


_one = msgspec.json.Decoder(Item)
_list = msgspec.json.Decoder(list[Item])
_batch = msgspec.json.Decoder(Batch)


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """An Item or Items, or the JSON of the body as it is. Raises MalformedPayload."""
    is_lines = _is_lines(headers.get("content-type", ""))
    if rb"\u0000" not in body:
        try:
            if is_lines:
                return Items(_one.decode_lines(body))
            start = body[:32].lstrip()
            if start.startswith(b"["):
                return Items(_list.decode(body))
            if b'"alerts"' in start:
                return Items(_batch.decode(body).alerts)
            return _one.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass  # ValidationError is one of them: say below what exactly is wrong
    if is_lines:
        return [decode_strict_json(line, headers) for line in body.splitlines() if line.strip()]
    return decode_strict_json(body, headers)


@lru_cache(100)
def _is_lines(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() in LINES


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The alerts of a payload in their order, each as an event or as what is wrong with it.

    Raises MalformedPayload when the payload is neither an object nor a list.
    """
    if isinstance(payload, Item):
        return [_quickly(payload) or read_or_fault(msgspec.to_builtins(payload), _event)]
    if isinstance(payload, Items):
        return [
            _quickly(item) or read_or_fault(msgspec.to_builtins(item), _event, index)
            for index, item in enumerate(payload)
        ]
    if isinstance(payload, dict) and set(payload) == {"alerts"}:
        payload = payload["alerts"]
        if not isinstance(payload, list):
            raise MalformedPayload("“alerts” must be a list of alerts.", field="alerts")
    if isinstance(payload, dict):
        return [read_or_fault(payload, _event)]
    if isinstance(payload, list):
        return read_each(payload, _event)
    raise MalformedPayload("Send one alert as a JSON object, or a list of them.")


def _quickly(item: Item) -> AlertEvent | None:
    """The event of an item that needs no second look."""
    title, dedup_key, metadata = item.title or "", item.external_id.strip(), item.metadata
    title, status = title.strip(), item.status
    if status == EventStatus.FIRING:
        if not title:
            return None
        dedup_key = dedup_key or str(uuid7())
    elif not dedup_key:
        return None
    return AlertEvent(
        dedup_key=dedup_key,
        status=status,
        title=title,
        severity=item.severity,
        source=item.source.strip(),
        name=title,
        labels=_labels(metadata["tags"]) if "tags" in metadata else {},
        metadata=metadata,
    )


def _event(item: Any) -> AlertEvent:
    if not isinstance(item, dict):
        raise InvalidEvent("invalid", "An alert must be a JSON object.")
    for unknown in item.keys() - set(FIELDS):
        raise InvalidEvent(
            "unknown_field", f"There is no such field; known are {', '.join(FIELDS)}.", field=unknown[:100]
        )
    if find_nul(item):
        raise InvalidEvent("invalid", "Text must not contain the character U+0000.")
    status = _choice(item, "status", EventStatus, EventStatus.FIRING)
    firing = status == EventStatus.FIRING
    dedup_key = _text(item, "external_id", MAX_DEDUP_KEY, required=not firing) or str(uuid7())
    title = _text(item, "title", MAX_TITLE, required=firing)
    metadata = item.get("metadata")
    if metadata is None:
        metadata = {}
    elif not isinstance(metadata, dict):
        raise InvalidEvent("invalid", "This must be a JSON object.", field="metadata")
    return AlertEvent(
        dedup_key=dedup_key,
        status=status,
        title=title,
        severity=_choice(item, "severity", Severity, Severity.HIGH),
        source=_text(item, "source", MAX_SOURCE, required=False),
        name=title,
        labels=_labels(metadata.get("tags")),
        metadata=metadata,
    )


def _text(item: dict[str, Any], field: str, limit: int, *, required: bool) -> str:
    value = item.get(field)
    if value is None and not required:
        return ""
    if value is None:
        raise InvalidEvent("required", "This field is required.", field=field)
    if not isinstance(value, str):
        raise InvalidEvent("invalid", "This must be a string.", field=field)
    value = value.strip()
    if required and not value:
        raise InvalidEvent("blank", "This must not be empty.", field=field)
    if len(value) > limit:
        raise InvalidEvent("max_length", f"This must have at most {limit} characters.", field=field)
    return value


def _choice(item: dict[str, Any], field: str, choices: type[Choice], default: Choice) -> Choice:
    value = item.get(field)
    if value is None:
        return default
    known = list(map(str, choices))
    if isinstance(value, str) and value in known:
        return choices(value)
    raise InvalidEvent("invalid_choice", f"This must be one of {', '.join(known)}.", field=field)


def _labels(tags: Any) -> dict[str, str]:
    """Tags as labels: {"host": "db1"} as it is, "host:db1" split at the first colon, "prod" as prod=true."""
    if isinstance(tags, dict):
        return {key: value if isinstance(value, str) else json.dumps(value) for key, value in tags.items()}
    if not isinstance(tags, list):
        return {}
    labels = {}
    for tag in tags:
        if isinstance(tag, str):
            if ":" in tag:
                key, _, value = tag.partition(":")
                labels[key] = value
            else:
                labels[tag] = "true"
    return labels
