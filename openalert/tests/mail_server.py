"""A mail server on a real socket that keeps what it is sent."""

from email import message_from_string
from email.message import Message
from typing import Any, Self

from aiosmtpd.controller import Controller

from .stack import free_port


class MailServer:
    """`messages` are recipients and texts, in the order in which they came."""

    def __init__(self) -> None:
        self.port = free_port()
        self.messages: list[tuple[list[str], str]] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    @property
    def parsed(self) -> list[Message]:
        return [message_from_string(text) for _, text in self.messages]

    @property
    def subjects(self) -> list[str]:
        return [message["Subject"] for message in self.parsed]
