"""Amazon CloudWatch's alarms, through an SNS topic's HTTPS subscription.

Every message is signed by Amazon (SNS developer guide, “Verifying the signatures of Amazon SNS messages”): versions 1
(SHA-1) and 2 (SHA-256) over some of its fields, with a certificate whose address is in the message. We fetch it only
from Amazon's own hosts. A subscription is confirmed by fetching the address that Amazon sends, from the same hosts.
"""

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from alerts.enums import EventStatus
from alerts.events import MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault, InvalidEvent, without_nul
from alerts.exceptions import BadSignature, MalformedPayload
from incidents.enums import Severity

from .base import Answer, Request
from .reading import first_text, inner, key_of, read_or_fault, severity_of, text

if TYPE_CHECKING:
    from alerts.models import Integration

HOST = re.compile(r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?")
TIMEOUT_SECONDS = 5
LONGEST_ANSWER = 64 * 1024
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
HASHES: dict[str, type[HashAlgorithm]] = {"1": SHA1, "2": SHA256}  # Amazon's choice, not ours
STATES = {"ALARM": EventStatus.FIRING, "OK": EventStatus.RESOLVED}


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """Verify the signature; confirm a subscription. Raises BadSignature, MalformedPayload."""
    kind = payload.get("Type") if isinstance(payload, dict) else None
    if not isinstance(kind, str) or kind not in SIGNED:
        raise MalformedPayload(
            "This is not a message of Amazon SNS. Leave “raw message delivery” off: it is not signed.",
            field="Type",
        )
    verify(payload)
    if kind == "Notification":
        return None
    if kind == "SubscriptionConfirmation":
        fetch(payload.get("SubscribeURL"))
    return Answer(HTTPStatus.OK, {})


def verify(message: dict[str, Any]) -> None:
    """Raises BadSignature unless Amazon signed the message."""
    lines = [
        part for name in SIGNED[message["Type"]] if name in message for part in (name, str(message[name]))
    ]
    chosen = HASHES.get(str(message.get("SignatureVersion")))
    certificate = message.get("SigningCertURL")
    if chosen is None or not isinstance(certificate, str) or not urlsplit(certificate).path.endswith(".pem"):
        raise BadSignature("The message is not signed as Amazon SNS signs.")
    try:
        signature = base64.b64decode(str(message.get("Signature")), validate=True)
        signer(certificate).verify(signature, ("\n".join(lines) + "\n").encode(), PKCS1v15(), chosen())
    except (InvalidSignature, ValueError) as cause:
        raise BadSignature("The signature is not Amazon's.") from cause


@lru_cache(32)
def signer(address: str) -> RSAPublicKey:
    """The key of the certificate at an address of Amazon's. Raises BadSignature."""
    certificate = x509.load_pem_x509_certificate(fetch(address))
    key = certificate.public_key()
    now = datetime.now(UTC)
    is_valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    if not is_valid or not isinstance(key, RSAPublicKey):
        raise BadSignature("The signature's certificate is not valid.")
    return key


def fetch(address: Any) -> bytes:
    """What is at an address of Amazon SNS, and of nobody else. Raises BadSignature."""
    if not isinstance(address, str) or not is_amazons(address):
        raise BadSignature("The message names an address that is not Amazon's.")
    try:
        answer = requests.get(address, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True)
        with answer:
            found = answer.raw.read(LONGEST_ANSWER, decode_content=True)
    except requests.RequestException as cause:
        raise BadSignature("Amazon's certificate could not be fetched; send the message again.") from cause
    if answer.status_code != HTTPStatus.OK:
        raise BadSignature("Amazon did not give what its message named.")
    return found


def is_amazons(address: str) -> bool:
    try:
        parts = urlsplit(address)
        has_port = parts.port is not None
    except ValueError:
        return False
    return parts.scheme == "https" and not has_port and HOST.fullmatch(parts.netloc) is not None


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The alarm of a notification; nothing when it says that there is not enough data.

    Raises MalformedPayload when the message is no alarm's.
    """
    message = payload.get("Message") if isinstance(payload, dict) else None
    if not isinstance(message, str):
        raise MalformedPayload("A text is wanted.", field="Message")
    try:
        alarm = without_nul(msgspec.json.decode(message))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise MalformedPayload("The message is not an alarm's JSON.", field="Message") from cause
    if isinstance(alarm, dict) and alarm.get("detail-type") == "CloudWatch Alarm State Change":
        alarm = _from_event_bridge(alarm)
    if not isinstance(alarm, dict) or not text(alarm.get("AlarmName"), MAX_TITLE):
        raise MalformedPayload("The message is not an alarm's.", field="Message")
    if alarm.get("NewStateValue") == "INSUFFICIENT_DATA":
        return []
    return [read_or_fault(alarm, _event)]


def _from_event_bridge(event: dict[str, Any]) -> dict[str, Any]:
    detail = inner(event, "detail")
    resources = event.get("resources")
    return {
        **event,
        "AlarmName": detail.get("alarmName"),
        "AlarmArn": resources[0] if isinstance(resources, list) and resources else None,
        "AlarmDescription": inner(detail, "configuration").get("description"),
        "NewStateValue": inner(detail, "state").get("value"),
        "NewStateReason": inner(detail, "state").get("reason"),
        "AWSAccountId": event.get("account"),
        "Region": event.get("region"),
    }


def _event(alarm: dict[str, Any]) -> AlertEvent:
    state = alarm.get("NewStateValue")
    status = STATES.get(state) if isinstance(state, str) else None
    if status is None:
        raise InvalidEvent(
            "invalid_choice", "This must be ALARM, OK or INSUFFICIENT_DATA.", field="NewStateValue"
        )
    name = text(alarm.get("AlarmName"), MAX_TITLE)
    trigger = inner(alarm, "Trigger")
    dimensions = {
        text(item.get("name"), 255): text(item.get("value"), 255)
        for item in _list(trigger.get("Dimensions"))
        if isinstance(item, dict) and text(item.get("name"), 255)
    }
    labels = {
        label: value
        for label, given in (
            ("account", alarm.get("AWSAccountId")),
            ("region", alarm.get("Region")),
            ("namespace", trigger.get("Namespace")),
            ("metric", trigger.get("MetricName")),
        )
        if (value := text(given, 255))
    }
    description = alarm.get("AlarmDescription")
    return AlertEvent(
        dedup_key=key_of(
            text(alarm.get("AlarmArn"), 2048)
            or f"{labels.get('account', '')}/{labels.get('region', '')}/{name}"
        ),
        status=status,
        title=name,
        # Alarms have none; people write it into the description, as “severity: critical”.
        severity=_severity(description),
        name=name,
        source=first_text(MAX_SOURCE, *dimensions.values(), labels.get("namespace")),
        labels={**labels, **dimensions},
        metadata={"description": text(alarm.get("NewStateReason"), 4096), **alarm},
    )


def _severity(description: Any) -> Severity:
    found = (
        re.search(r"severity\s*[:=]\s*([a-z]+)", description, re.I) if isinstance(description, str) else None
    )
    return severity_of(found[1]) if found else Severity.HIGH


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
