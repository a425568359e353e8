"""One file for each way a message travels; registered here."""

from notifications.enums import Channel

from .base import Message, Transport, sends_together
from .email import EmailTransport
from .in_app import InAppTransport

TRANSPORTS: dict[Channel, Transport] = {
    Channel.IN_APP: InAppTransport(),
    Channel.EMAIL: EmailTransport(),
}

__all__ = ["TRANSPORTS", "Message", "Transport", "sends_together"]
