"""Uptime Kuma's notification type “Webhook” (louislam/uptime-kuma: server/notification-providers/webhook.js).

The body is {"heartbeat": …, "monitor": …, "msg": …}, as JSON or as the field `data` of a form. A monitor is one
problem. Without a heartbeat it is a test, or a notice such as that of a certificate that will expire: an alert
of medium severity, for people to resolve.
"""

import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import MalformedPayload
from incidents.enums import Severity

from .base import decode_json
from .reading import first_text, inner, key_of, read_or_fault, severity_of, strings, text

# server/model/heartbeat.js; 2 is pending (it may still come back), 3 maintenance.
STATUSES = {0: EventStatus.FIRING, 1: EventStatus.RESOLVED}
TEST = " Testing"  # the end of a test's message, after the notification's name
# Kuma's address field holds this for monitors that have none.
NO_ADDRESS = ("", "https://", "http://")
# Older versions send a monitor with all its credentials.
SECRETS = frozenset(
    {
        "authDomain",
        "basic_auth_pass",
        "basic_auth_user",
        "body",
        "databaseConnectionString",
        "grpcMetadata",
        "headers",
        "kafkaProducerSaslOptions",
        "mqttPassword",
        "mqttUsername",
        "oauth_client_id",
        "oauth_client_secret",
        "pushToken",
        "rabbitmqPassword",
        "radiusPassword",
        "radiusSecret",
        "tlsCa",
        "tlsCert",
        "tlsKey",
    }
)


def decode(body: bytes, headers: Mapping[str, str]) -> Any:
    """Of JSON or of a form with the JSON in `data`. Raises MalformedPayload."""
    content_type = headers.get("content-type", "")
    if not content_type.startswith("multipart/"):
        return decode_json(body, headers)
    meta = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": len(body)}
    try:
        fields, _ = MultiPartParser(meta, BytesIO(body), []).parse()
    except (MultiPartParserError, SuspiciousOperation) as cause:
        raise MalformedPayload("The form cannot be read.") from cause
    return decode_json(str(fields.get("data", "")).encode(), headers)


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """At most one event: none for a test, and for what is neither down nor up. Raises MalformedPayload."""
    if not isinstance(payload, dict) or not payload.keys() & {"heartbeat", "monitor", "msg"}:
        raise MalformedPayload("This is not a notification of Uptime Kuma: choose its request body “Preset”.")
    if payload.get("heartbeat") is None:
        message = text(payload.get("msg"), MAX_TITLE)
        return [] if not message or message.endswith(TEST) else [_notice(payload, message)]
    status = inner(payload, "heartbeat").get("status")
    if status in (2, 3):
        return []
    return [read_or_fault(payload, _change)]


def _change(payload: dict[str, Any]) -> AlertEvent:
    heartbeat, monitor = inner(payload, "heartbeat"), inner(payload, "monitor")
    given = heartbeat.get("status")
    status = STATUSES.get(given) if isinstance(given, int) else None
    if status is None:
        raise InvalidEvent("invalid_choice", "This must be one of 0, 1, 2, 3.", field="heartbeat.status")
    number = first_text(MAX_DEDUP_KEY, monitor.get("id"), heartbeat.get("monitorID"))
    if not number:
        raise InvalidEvent("required", "The monitor's id is missing.", field="monitor.id")
    name = first_text(MAX_TITLE - 16, monitor.get("name")) or f"Monitor {number}"[:MAX_DEDUP_KEY]
    address = text(monitor.get("url"), MAX_SOURCE)
    address = "" if address in NO_ADDRESS else address
    labels = _labels(monitor)
    return AlertEvent(
        dedup_key=key_of("monitor", number),
        status=status,
        title=f"{name} is {'down' if status == EventStatus.FIRING else 'up'}",
        severity=severity_of(labels.get("severity")),
        name=name,
        source=address or text(monitor.get("hostname"), MAX_SOURCE),
        labels=labels,
        metadata={
            **payload,
            "monitor": {key: value for key, value in monitor.items() if key not in SECRETS},
            "url": address,
            "description": first_text(5_000, heartbeat.get("msg"), payload.get("msg")),
        },
    )


def _labels(monitor: dict[str, Any]) -> dict[str, str]:
    """The monitor's type and its tags; a tag without a value is “true”."""
    tags = monitor.get("tags")
    found = {
        text(tag.get("name"), 128): text(tag.get("value"), 1_000) or "true"
        for tag in (tags if isinstance(tags, list) else [])
        if isinstance(tag, dict)
    }
    found.pop("", None)
    return {**strings({"monitor": monitor.get("name"), "type": monitor.get("type")}), **found}


def _notice(payload: dict[str, Any], message: str) -> AlertEvent:
    # The days left are another number each time.
    return AlertEvent(
        dedup_key=key_of("notice", re.sub(r"\d+ days?", "days", message)),
        status=EventStatus.FIRING,
        title=message,
        severity=Severity.MEDIUM,
        name="Uptime Kuma notice",
        metadata=payload,
    )
