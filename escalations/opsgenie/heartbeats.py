"""Opsgenie's Heartbeat API (docs.opsgenie.com/docs/heartbeat-api; swagger.json: Heartbeat, HeartbeatMeta).

A key sees the heartbeats of its integration's team; those it makes are its integration's own. A ping of a
heartbeat that is not there is a 404, not the PONG that Opsgenie answers to whatever it is sent.
"""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from alerts import heartbeats
from alerts.enums import IntervalUnit
from alerts.formats import opsgenie
from alerts.formats.base import Answer
from alerts.models import Heartbeat
from incidents.enums import Severity
from openalert.exceptions import OpenAlertError
from openalert.ids import uuid7

from .calls import Call, NotFound, Unprocessable
from .shapes import OF_SEVERITY, instant

# Names of the API → fields of the model, whose validators say what they may be.
FIELDS = {
    "description": "description",
    "interval": "interval",
    "intervalUnit": "interval_unit",
    "enabled": "is_enabled",
    "alertMessage": "alert_message",
    "alertTags": "alert_tags",
}
REQUIRED = ("interval", "intervalUnit", "enabled")
TYPES: dict[str, tuple[type, str]] = {
    "interval": (int, "a number"),
    "enabled": (bool, "true or false"),
    "alertTags": (list, "a list of strings"),
}


class NoSuchHeartbeat(NotFound):
    detail = "Heartbeat does not exist"


class NameTaken(OpenAlertError):
    code = "name_taken"
    detail = "A heartbeat of this name exists already"
    status = 409


def _of_team(call: Call) -> QuerySet[Heartbeat]:
    return Heartbeat.objects.filter(integration__service__team=call.team).select_related(
        "integration__service__team"
    )


def _find(call: Call, name: str) -> Heartbeat:
    """The integration's own first, where the team has several of one name."""
    found = sorted(
        _of_team(call).filter(name__iexact=name),
        key=lambda heartbeat: heartbeat.integration_id != call.integration.pk,
    )
    if not found:
        raise NoSuchHeartbeat
    return found[0]


def ping(call: Call, name: str) -> Answer:
    heartbeats.ping(_find(call, name).pk)
    return opsgenie.accepted(str(uuid7()), since=call.since, result="PONG - Heartbeat received")


def list_all(call: Call) -> Answer:
    return call.tells({"heartbeats": [_full(heartbeat) for heartbeat in _of_team(call)]})


def get(call: Call, name: str) -> Answer:
    return call.tells(_full(_find(call, name)))


def add(call: Call) -> Answer:
    missing = [field for field in REQUIRED if field not in call.body]
    if missing:
        raise Unprocessable(**{field: f"{field} can not be empty." for field in missing})
    heartbeat = Heartbeat(integration=call.integration, name=call.text("name", 201))
    if _of_team(call).filter(name__iexact=heartbeat.name).exists():
        raise NameTaken
    made = _configure(call, heartbeat)
    return opsgenie.told(HTTPStatus.CREATED, {"data": _full(made)}, since=call.since)


def update(call: Call, name: str) -> Answer:
    return call.tells(_full(_configure(call, _find(call, name))))


def enable(call: Call, name: str) -> Answer:
    return _switch(call, name, on=True)


def disable(call: Call, name: str) -> Answer:
    return _switch(call, name, on=False)


def delete(call: Call, name: str) -> Answer:
    heartbeats.delete(_find(call, name).pk)
    return opsgenie.told(HTTPStatus.OK, {"result": "Deleted"}, since=call.since)


def _switch(call: Call, name: str, *, on: bool) -> Answer:
    heartbeat = _find(call, name)
    heartbeat.is_enabled = on
    return call.tells(_meta(heartbeats.configure(heartbeat)))


def _configure(call: Call, heartbeat: Heartbeat) -> Heartbeat:
    """Apply what the request names. Raises Unprocessable."""
    errors = {}
    for given, field in FIELDS.items():
        if given not in call.body:
            continue
        value = call.body[given]
        kind, wanted = TYPES.get(given, (str, "a string"))
        # A bool is an int to Python.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            errors[given] = f"{given} must be {wanted}."
        else:
            setattr(heartbeat, field, value)
    if "alertPriority" in call.body:
        priority = call.body["alertPriority"]
        if not isinstance(priority, str) or priority not in opsgenie.PRIORITIES:
            errors["alertPriority"] = f"alertPriority must be one of {', '.join(opsgenie.PRIORITIES)}."
        else:
            heartbeat.severity = opsgenie.PRIORITIES[priority]
    if not errors:
        errors = _faults(heartbeat)
    if errors:
        raise Unprocessable(**errors)
    return heartbeats.configure(heartbeat)


def _faults(heartbeat: Heartbeat) -> dict[str, str]:
    names = {field: given for given, field in FIELDS.items()}
    try:
        heartbeat.clean_fields(exclude={"integration"})
    except ValidationError as invalid:
        return {names.get(field, field): " ".join(texts) for field, texts in invalid.message_dict.items()}
    return {}


def _meta(heartbeat: Heartbeat) -> dict[str, Any]:
    return {
        "name": heartbeat.name,
        "enabled": heartbeat.is_enabled,
        "expired": heartbeat.expired_at is not None,
    }


def _full(heartbeat: Heartbeat) -> dict[str, Any]:
    team = heartbeat.integration.service.team
    told = {
        **_meta(heartbeat),
        "description": heartbeat.description,
        "interval": heartbeat.interval,
        "intervalUnit": IntervalUnit(heartbeat.interval_unit),
        "ownerTeam": {"id": team.id_text, "name": team.name},
        "alertMessage": heartbeat.title,
        "alertTags": heartbeat.alert_tags,
        "alertPriority": OF_SEVERITY[Severity(heartbeat.severity)],
    }
    if heartbeat.last_ping_at:
        told["lastPingTime"] = instant(heartbeat.last_ping_at)
    return told
