"""The intake's part of the OpenAPI document: alerts.door is no REST view, so nothing describes it by itself."""

from typing import Any

from alerts.addresses import NATIVE_PATH, PREFIX
from alerts.bodies import MAX_BODY_BYTES
from alerts.enums import AlertStatus, Source
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE
from alerts.results import Outcome
from incidents.enums import Severity

from .rule_schema import COMPONENTS as RULE_SCHEMAS

SCHEMES: dict[str, Any] = {
    "integrationKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The key of an integration, shown when it is made and when its key is rotated.",
    }
}

SCHEMAS: dict[str, Any] = {
    "AlertInput": {
        "type": "object",
        "additionalProperties": False,
        "description": "A firing alert needs a title, a resolve its `external_id`.",
        "properties": {
            "external_id": {
                "type": "string",
                "maxLength": MAX_DEDUP_KEY,
                "description": "The dedup key: what is sent with the same one is the same alert. Without it, "
                "each firing alert is a problem of its own.",
            },
            "title": {"type": "string", "minLength": 1, "maxLength": MAX_TITLE},
            "severity": {"type": "string", "enum": Severity.values, "default": Severity.HIGH},
            "source": {"type": "string", "maxLength": MAX_SOURCE, "description": "Where the problem is."},
            "status": {"type": "string", "enum": AlertStatus.values, "default": AlertStatus.FIRING},
            "metadata": {
                "type": "object",
                "description": "Anything worth showing. `tags`, an object or a list like "
                '`["host:db1", "prod"]`, gives the labels.',
            },
        },
        "example": {
            "external_id": "disk-db1",
            "title": "Disk full on db1",
            "severity": "critical",
            "source": "cron",
            "metadata": {"tags": {"host": "db1"}},
        },
    },
    "AlertTaken": {
        "type": "object",
        "required": ["external_id", "outcome", "incident"],
        "properties": {
            "external_id": {"type": "string"},
            "outcome": {"type": "string", "enum": list(Outcome)},
            "incident": {"type": ["integer", "null"], "description": "The incident's number."},
        },
    },
    "AlertsAccepted": {
        "type": "object",
        "required": ["accepted", "alerts"],
        "properties": {
            "accepted": {"type": "integer", "description": "How many were taken."},
            "alerts": {"type": "array", "items": {"$ref": "#/components/schemas/AlertTaken"}},
        },
    },
    "AlertsRefused": {
        "description": "An Error whose entries have an `index` when a list was sent. The alerts that are not "
        "named were taken; when nothing could be read, `accepted` and `alerts` are missing.",
        "allOf": [{"$ref": "#/components/schemas/Error"}],
        "properties": {
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"index": {"type": ["integer", "null"], "description": "From 0."}},
                },
            },
            "accepted": {"type": "integer"},
            "alerts": {"type": "array", "items": {"$ref": "#/components/schemas/AlertTaken"}},
        },
    },
}


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _response(name: str, description: str) -> dict[str, Any]:
    return {"description": description, "content": _content(_ref(name))}


RESPONSES: dict[str, Any] = {
    "202": _response("AlertsAccepted", "Stored; incidents are open and escalations armed."),
    "400": _response("AlertsRefused", "Something could not be taken."),
    "401": _response("Error", "The integration key is missing or not known."),
    "403": _response("Error", "The integration is switched off."),
    "413": _response("Error", f"The body has more than {MAX_BODY_BYTES} bytes."),
    "503": _response("Error", "It may not be stored: send it again after `Retry-After` seconds."),
    "default": _response("Error", "Any other failure; nothing was stored."),
}

SEND = {
    "operationId": "alerts_send",
    "summary": "Send alerts",
    "description": 'One alert, a list, or `{"alerts": […]}`. A 2xx means that all of it was taken.',
    "tags": ["alerts"],
    "security": [{"integrationKey": []}],
    "requestBody": {
        "required": True,
        "content": _content(
            {
                "oneOf": [
                    _ref("AlertInput"),
                    {"type": "array", "items": _ref("AlertInput")},
                    {
                        "type": "object",
                        "required": ["alerts"],
                        "additionalProperties": False,
                        "properties": {"alerts": {"type": "array", "items": _ref("AlertInput")}},
                    },
                ]
            }
        ),
    },
    "responses": RESPONSES,
}

ALERTMANAGER = {
    "operationId": "alerts_send_alertmanager",
    "summary": "Send alerts from Prometheus Alertmanager",
    "description": "The address for a `webhook_config`; the body is Alertmanager's, version 4.",
    "tags": ["alerts"],
    "security": [],
    "parameters": [{"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}],
    "requestBody": {"required": True, "content": _content({"type": "object"})},
    "responses": RESPONSES,
}


def add_intake(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A drf-spectacular postprocessing hook; runs after the enums'."""
    result["paths"].setdefault(NATIVE_PATH, {})["post"] = SEND
    result["paths"][f"{PREFIX}{Source.ALERTMANAGER}/{{key}}"] = {"post": ALERTMANAGER}
    components = result.setdefault("components", {})
    for section, added in (("schemas", SCHEMAS | RULE_SCHEMAS), ("securitySchemes", SCHEMES)):
        components[section] = dict(sorted({**components.get(section, {}), **added}.items()))
    return result
