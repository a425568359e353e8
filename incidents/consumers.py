"""The WebSocket of an open page: it joins rooms and is told what happens in them.

Client → server: {"type": "subscribe" | "unsubscribe", "room": "incident:ID"}, {"type": "ping"}.
Server → client: welcome (with the rooms joined unasked), subscribed, unsubscribed, event, pong, error.
"""

from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer

from teams.models import Service, Team, User

from .models import Incident
from .rooms import group_name

MAX_ROOMS = 200
MAX_MESSAGE_CHARACTERS = 4096
NOT_SIGNED_IN = 4401  # in the range that RFC 6455 §7.4.2 leaves to applications

ROOM_MODELS = {"incident": Incident, "service": Service, "team": Team}


class LiveConsumer(AsyncJsonWebsocketConsumer):
    """One connection; the session cookie says whose."""

    async def connect(self) -> None:
        self.joined: set[str] = set()
        self.user: User = self.scope["user"]
        await self.accept()
        if not self.user.is_authenticated:
            await self.send_error("not_signed_in", "Sign in first.")
            await self.close(NOT_SIGNED_IN)
            return
        rooms = [f"user:{self.user.pk}", *await self._team_rooms()]
        for room in rooms:
            await self._join(room)
        await self.send_json({"type": "welcome", "rooms": rooms})

    async def disconnect(self, code: int) -> None:
        for room in list(self.joined):
            await self._leave(room)

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None, **kwargs: Any
    ) -> None:
        if text_data is None or len(text_data) > MAX_MESSAGE_CHARACTERS:
            await self.send_error("bad_message", "Send a short JSON object as text.")
            return
        try:
            content = await self.decode_json(text_data)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            await self.send_error("bad_message", "Send a JSON object.")
            return
        await self.receive_json(content)

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        room = content.get("room")
        match content.get("type"):
            case "ping":
                await self.send_json({"type": "pong"})
            case "subscribe" if isinstance(room, str):
                await self._subscribe(room)
            case "unsubscribe" if isinstance(room, str):
                await self._leave(room)
                await self.send_json({"type": "unsubscribed", "room": room})
            case _:
                await self.send_error(
                    "bad_message", "Known are subscribe and unsubscribe with a room, and ping."
                )

    async def room_event(self, message: dict[str, Any]) -> None:
        """From the channel layer: something happened in a room."""
        await self.send_json(
            {
                "type": "event",
                "room": message["room"],
                "kind": message["kind"],
                "data": message["data"],
            }
        )

    async def send_error(self, code: str, detail: str, **extra: str) -> None:
        await self.send_json({"type": "error", "code": code, "detail": detail, **extra})

    async def _subscribe(self, room: str) -> None:
        if len(self.joined) >= MAX_ROOMS:
            await self.send_error("too_many_rooms", f"At most {MAX_ROOMS} rooms at once.", room=room)
        elif room in self.joined or await self._may_enter(room):
            await self._join(room)
            await self.send_json({"type": "subscribed", "room": room})
        else:
            await self.send_error("no_such_room", "There is no such room for you.", room=room)

    async def _join(self, room: str) -> None:
        self.joined.add(room)
        await self.channel_layer.group_add(group_name(room), self.channel_name)

    async def _leave(self, room: str) -> None:
        if room in self.joined:
            self.joined.discard(room)
            await self.channel_layer.group_discard(group_name(room), self.channel_name)

    @database_sync_to_async
    def _team_rooms(self) -> list[str]:
        return [f"team:{pk}" for pk in Team.objects.visible_to(self.user).values_list("pk", flat=True)]

    @database_sync_to_async
    def _may_enter(self, room: str) -> bool:
        kind, _, identifier = room.partition(":")
        try:
            wanted = UUID(identifier)
        except ValueError:
            return False
        # The group's name is made of the text as given: only the canonical form names the room.
        if kind not in ROOM_MODELS or str(wanted) != identifier:
            return False
        return ROOM_MODELS[kind].objects.visible_to(self.user).filter(pk=wanted).exists()
