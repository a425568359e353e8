"""Grafana Alerting's webhook contact point (grafana/alerting: receivers/webhook, templates/template_data.go).

An Alertmanager notification of version "1" with more in it: titles, states, and for each alert its values and links.
With a signing secret on both sides the body is signed: HMAC-SHA256, in X-Grafana-Alerting-Signature or another
header; with a timestamp header the timestamp and a colon go before the body.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from alerts.events import MAX_TITLE, AlertEvent, EventFault, InvalidEvent
from alerts.exceptions import BadSignature, MalformedPayload

from . import alertmanager
from .base import Answer, Request
from .reading import inner, read_each, text
from .signing import demand, hmac_sha256

if TYPE_CHECKING:
    from alerts.models import Integration

SIGNATURE = "x-grafana-alerting-signature"
TIMESTAMP = "x-grafana-alerting-timestamp"
# How far the sender's clock may be from ours.
MOST_SECONDS_APART = 300
NOT_SHARED = frozenset(
    {"alerts", "version", "status", "commonLabels", "commonAnnotations", "title", "message"}
)


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """Raises BadSignature when the integration has a secret and the body is not signed with it."""
    if not integration.secret:
        return None
    signed, timestamp = request.body, request.headers.get(TIMESTAMP, "")
    if timestamp:
        if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > MOST_SECONDS_APART:
            raise BadSignature("The signature's timestamp is too far from our clock.")
        signed = timestamp.encode() + b":" + signed
    demand(request.headers.get(SIGNATURE, ""), hmac_sha256(integration.secret, signed))
    return None


def read(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
    """The alerts in their order. Raises MalformedPayload when it is not Grafana's."""
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not a Grafana notification: a JSON object is wanted.")
    alerts = payload.get("alerts")
    if not isinstance(alerts, list):
        raise MalformedPayload("A list of alerts is wanted.", field="alerts")
    shared = {name: value for name, value in payload.items() if name not in NOT_SHARED}
    return read_each(alerts, lambda alert: _event(alert, shared))


def _event(alert: Any, shared: dict[str, Any]) -> AlertEvent:
    if not isinstance(alert, dict):
        raise InvalidEvent("invalid", "An alert must be a JSON object.")
    labels = inner(alert, "labels")
    # A rule that could not be asked, or found no data, says so in its alertname; the rule's own name is beside it.
    if labels.get("alertname") in ("DatasourceError", "DatasourceNoData") and labels.get("rulename"):
        what = "No data" if labels["alertname"] == "DatasourceNoData" else "Query failed"
        annotations = {
            **inner(alert, "annotations"),
            "summary": text(f"{what}: {labels['rulename']}", MAX_TITLE),
        }
        alert = {**alert, "annotations": annotations}
    return alertmanager.event(alert, shared)
