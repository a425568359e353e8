"""Changes to a service: reading what a delivery pipeline tells of one, keeping it, and finding it again.

The words are PagerDuty's (PagerDuty/developer-docs: docs/events-API-v2/03-Change-Events.md).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from django.db.models import Q

from incidents.models import Incident
from teams.models import Service

from .events import InvalidEvent
from .formats.reading import is_web_address, text
from .models import Change, Integration
from .models.change import MAX_SOURCE, MAX_SUMMARY, ChangeQuerySet

# What may have led to an incident: changes of this long before it.
BEFORE_INCIDENT = timedelta(hours=24)
# An instant outside of these is nobody's change: a clock that was never set, a number taken for a date.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
MOST_AHEAD = timedelta(hours=1)
MAX_LINK_TEXT = 255
# Ours have columns of their own.
COLUMNS = frozenset({"summary", "source", "timestamp", "custom_details"})


class ChangeEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one change. Each of `links` has `href`, an address on the web, and `text`."""

    summary: str
    at: datetime
    source: str = ""
    links: list[dict[str, str]] = []
    custom_details: dict[str, Any] = {}


def read(body: dict[str, Any], *, now: datetime) -> ChangeEvent:
    """The change that a body tells of; `now` (aware) is when it was made unless the body says better.

    What it says of the change in fields that we do not know is kept among the custom details. Raises InvalidEvent.
    """
    described = body.get("payload")
    if not isinstance(described, dict):
        raise InvalidEvent("required", "'payload' is missing or not an object", field="payload")
    return ChangeEvent(
        summary=_summary(described.get("summary")),
        at=instant(described.get("timestamp"), now=now),
        source=text(described.get("source"), MAX_SOURCE),
        links=_links(body.get("links")),
        custom_details=_details(described),
    )


def _summary(given: Any) -> str:
    field = "payload.summary"
    if not isinstance(given, str) or not given.strip():
        raise InvalidEvent("required", f"'{field}' is missing or blank", field=field)
    if len(given) > MAX_SUMMARY:
        raise InvalidEvent("max_length", f"'{field}' may have at most {MAX_SUMMARY} characters", field=field)
    return given.strip()


def instant(given: Any, *, now: datetime) -> datetime:
    """An instant of ISO 8601, in UTC when it names no zone; `now` for what is none, or cannot be true."""
    if not isinstance(given, str):
        return now
    try:
        at = datetime.fromisoformat(given.strip())
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return now
    return at if EARLIEST <= at <= now + MOST_AHEAD else now


def _links(given: Any) -> list[dict[str, str]]:
    """Those that lead to the web: a script's address would be run."""
    links = given if isinstance(given, list) else []
    return [
        {"href": link["href"], "text": text(link.get("text"), MAX_LINK_TEXT)}
        for link in links
        if isinstance(link, dict) and isinstance(link.get("href"), str) and is_web_address(link["href"])
    ]


def _details(described: dict[str, Any]) -> dict[str, Any]:
    others = {name: value for name, value in described.items() if name not in COLUMNS}
    details = described.get("custom_details")
    if isinstance(details, dict):
        return {**others, **details}
    return others if details is None else {**others, "custom_details": details}


def record(integration: Integration, event: ChangeEvent) -> Change:
    """Keep a change. What is sent twice was made twice: nothing tells one deployment from the next."""
    return Change.objects.create(integration=integration, **msgspec.structs.asdict(event))


def changes_of(service: Service) -> ChangeQuerySet:
    """A service's changes, the newest first."""
    return Change.objects.filter(integration__service=service).order_by("-at", "-pk")


def changes_around(incident: Incident) -> ChangeQuerySet:
    """Changes of an incident's service in the day before it opened, the last first; then those until its end."""
    around = changes_of(incident.service).filter(at__gte=incident.opened_at - BEFORE_INCIDENT)
    if incident.resolved_at:
        around = around.filter(at__lte=incident.resolved_at)
    # What came before may be the cause, so it is not to be crowded out.
    return around.alias(is_later=Q(at__gt=incident.opened_at)).order_by("is_later", "-at", "-pk")
