"""The words of the live protocol, version 1: docs/live.md is its description."""

from typing import Any

import msgspec

from incidents.enums import Kind
from openalert import websocket_frames

from .log import Cursor, Event

VERSION = 1
SUBPROTOCOL = "openalert.v1"
TOKEN_PREFIX = "openalert.token."  # noqa: S105

# Close codes in the range that RFC 6455 §7.4.2 leaves to applications, and one of its registry.
NOT_SIGNED_IN = 4401
TOKEN_EXPIRED = 4410
TRY_AGAIN_LATER = 1013

MAX_ROOMS = 200
# A hello names a cursor for each room.
MAX_MESSAGE_CHARACTERS = 32_768

EVENTS: dict[str, str] = {
    Kind.OPENED: "incident.opened",
    Kind.ACKNOWLEDGED: "incident.acknowledged",
    Kind.UNACKNOWLEDGED: "incident.unacknowledged",
    Kind.SNOOZED: "incident.snoozed",
    Kind.WOKEN: "incident.woken",
    Kind.RESOLVED: "incident.resolved",
    Kind.REOPENED: "incident.reopened",
    Kind.MERGED_INTO: "incident.merged",
    Kind.ALERT_ADDED: "alert.new",
    Kind.ALERT_REFIRED: "alert.updated",
    Kind.ALERT_RESOLVED: "alert.resolved",
    Kind.PAGE_SENT: "notification.sent",
    Kind.PAGE_RECEIPT: "notification.receipt",
    Kind.PAGE_FAILED: "notification.failed",
}

Frame = bytes  # as it is on the wire; made once, sent to many


def frame(message: dict[str, Any]) -> Frame:
    return websocket_frames.written(websocket_frames.TEXT, msgspec.json.encode(message))


def event_frame(epoch: str, event: Event, room: str) -> Frame:
    """What `room` is told of an event of the log."""
    kind = event.kind if event.entry_id is None else EVENTS.get(event.kind, "incident.updated")
    return told_frame(Cursor(epoch, event.position), room, kind, event.data)


def told_frame(cursor: Cursor, room: str, kind: str, data: str) -> Frame:
    """`data` is JSON already; the rest are words of our own that need no quoting."""
    text = f'{{"type":"event","room":"{room}","cursor":"{cursor}","kind":"{kind}","data":{data}}}'
    return websocket_frames.written(websocket_frames.TEXT, text.encode())


def error(code: str, detail: str, **extra: str) -> Frame:
    return frame({"type": "error", "code": code, "detail": detail, **extra})
