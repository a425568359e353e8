"""What the addresses answer."""

from collections.abc import Callable
from typing import Any

from django.db.models import F, QuerySet

from alerts import receipts
from alerts.formats import opsgenie
from alerts.formats.base import Answer
from alerts.models import Alert
from alerts.receipts import Receipt
from incidents.enums import Kind
from incidents.models import TimelineEntry
from openalert.exceptions import OpenAlertError
from openalert.ids import uuid7

from . import shapes
from .actions import Action
from .calls import Call, Handler, NotFound, Unprocessable
from .lookup import alerts_of, find
from .search import condition_of

MAX_LIMIT = 100
# As with theirs, what lies behind is found by a narrower query.
MAX_REACH = 20_000

# The ids are in the order of creation, and have an index.
SORTS = {
    "createdAt": "pk",
    "updatedAt": "updated_at",
    "tinyId": "incident__number",
    "alias": "dedup_key",
    "message": "title",
    "status": "status",
    "acknowledged": "incident__acknowledged_at",
    "isSeen": "incident__acknowledged_at",
    "snoozed": "incident__snoozed_until",
    "snoozedUntil": "incident__snoozed_until",
    "count": "count",
    "lastOccurredAt": "last_fired_at",
    "source": "source",
    "owner": "incident__assigned_to__email",
    "integration.name": "integration__name",
    "integration.type": "integration__source",
    "report.ackTime": "incident__acknowledged_at",
    "report.closeTime": "resolved_at",
    "report.acknowledgedBy": "incident__acknowledged_by__email",
    "report.closedBy": "incident__resolved_by__email",
}


class NoSuchAlert(NotFound):
    detail = "Alert does not exist"


class NoSuchRequest(NotFound):
    detail = "Request not found. It might not be processed, yet."


def carry_out(action: Action) -> Handler:
    """The handler that carries an action out at once, answers 202, and keeps a receipt of how it ended."""

    def handler(call: Call, identifier: str) -> Answer:
        do = action.prepare(call)
        alert = find(call, identifier)
        try:
            if alert is None:
                raise NoSuchAlert
            do(alert)
            status, is_success = action.done, True
        except OpenAlertError as failure:
            status, is_success = failure.detail, False
        request_id = str(uuid7())
        receipt = Receipt(
            action.name,
            status,
            is_success=is_success,
            alert_id=alert.id_text if alert else "",
            alias=alert.dedup_key if alert else "",
        )
        receipts.keep(call.integration.key_hash, request_id, receipt)
        return opsgenie.accepted(request_id, since=call.since)

    return handler


def request_status(call: Call, request_id: str) -> Answer:
    receipt = receipts.find(call.integration.key_hash, request_id)
    if receipt is None:
        raise NoSuchRequest
    alert_id = receipt.alert_id
    if receipt.incident is not None:  # taken by intake, which tells no ids
        made = call.integration.alerts.filter(
            incident__number=receipt.incident, dedup_key=receipt.alias
        ).first()
        alert_id = made.id_text if made else ""
    return call.tells(
        {
            "success": receipt.is_success,
            "action": receipt.action,
            "processedAt": shapes.instant(receipt.at),
            "integrationId": call.integration.id_text,
            "isSuccess": receipt.is_success,
            "status": receipt.status,
            "alertId": alert_id,
            "alias": receipt.alias,
        }
    )


def get_alert(call: Call, identifier: str) -> Answer:
    return call.tells(shapes.full_alert(_alert(call, identifier)))


def _alert(call: Call, identifier: str) -> Alert:
    alert = find(call, identifier)
    if alert is None:
        raise NoSuchAlert
    return alert


def list_alerts(call: Call) -> Answer:
    limit = call.number("limit", 20, least=1, most=MAX_LIMIT)
    offset = call.number("offset", 0, least=0, most=MAX_REACH)
    sort = call.choice("sort", *SORTS)
    order = call.choice("order", "desc", "asc")
    if offset + limit > MAX_REACH:
        raise Unprocessable(offset=f"The sum of offset and limit must be at most {MAX_REACH}.")
    found = _found(call)
    path = F(SORTS[sort])
    ordering = path.asc(nulls_first=True) if order == "asc" else path.desc(nulls_last=True)
    # One more tells whether there is another page.
    page = list(found.order_by(ordering, "pk" if order == "asc" else "-pk")[offset : offset + limit + 1])
    places = {"first": 0}
    if len(page) > limit:
        places["next"] = offset + limit
        total = found.order_by()[:MAX_REACH].count()
        places["last"] = (total - 1) // limit * limit
    if offset:
        places["prev"] = max(0, offset - limit)
    paging = {name: _address(call, limit=limit, offset=place) for name, place in places.items()}
    return call.tells([shapes.base_alert(alert) for alert in page[:limit]], paging=paging)


def count_alerts(call: Call) -> Answer:
    return call.tells({"count": _found(call).count()})


def _found(call: Call) -> QuerySet[Alert]:
    if call.query.get("searchIdentifier"):
        raise Unprocessable(searchIdentifier="Saved searches are not kept here. Send the query itself.")
    return alerts_of(call.team).filter(condition_of(call.query.get("query", "")))


def _address(call: Call, **changed: Any) -> str:
    query = call.query.copy()
    for name, value in changed.items():
        query[name] = str(value)
    return f"{call.address}?{query.urlencode()}"


def story(tell: Callable[[TimelineEntry], dict[str, str]], *kinds: Kind) -> Handler:
    """The handler that lists the timeline of the alert's incident: of some kinds, or all of it."""

    def handler(call: Call, identifier: str) -> Answer:
        limit = call.number("limit", MAX_LIMIT, least=1, most=MAX_LIMIT)
        order = call.choice("order", "desc", "asc")
        direction = call.choice("direction", "next", "prev")
        is_rising = (order == "asc") == (direction == "next")
        entries = _alert(call, identifier).incident.timeline.select_related("actor")
        if kinds:
            entries = entries.filter(kind__in=kinds)
        offset = call.number("offset", 0, least=0, most=2**63 - 1)
        if offset:
            entries = entries.filter(pk__gt=offset) if is_rising else entries.filter(pk__lt=offset)
        page = list(entries.order_by("pk" if is_rising else "-pk")[: limit + 1])
        shown = page[:limit] if direction == "next" else page[:limit][::-1]
        paging = {"first": _address(call, offset="", direction="next")}
        if shown and (direction == "prev" or len(page) > limit):
            paging["next"] = _address(call, offset=shown[-1].pk, direction="next")
        return call.tells([tell(entry) for entry in shown], paging=paging)

    return handler


list_notes = story(shapes.note, Kind.NOTE)
list_logs = story(shapes.log)
