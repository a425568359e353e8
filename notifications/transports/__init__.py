"""One file for each way a message travels; registered here."""

from notifications.enums import Channel

from .base import Message, Transport, is_shared, sends_together
from .email import EmailTransport
from .in_app import InAppTransport
from .messenger import MessengerTransport
from .mobile_push import MobilePushTransport
from .slack import SlackTransport
from .sms import SmsTransport
from .teams import TeamsTransport
from .voice import VoiceTransport
from .web_push import WebPushTransport

TRANSPORTS: dict[Channel, Transport] = {
    Channel.IN_APP: InAppTransport(),
    Channel.EMAIL: EmailTransport(),
    Channel.SMS: SmsTransport(),
    Channel.VOICE: VoiceTransport(),
    Channel.WEB_PUSH: WebPushTransport(),
    Channel.MOBILE_PUSH: MobilePushTransport(),
    Channel.SLACK: SlackTransport(),
    Channel.TEAMS: TeamsTransport(),
    Channel.APPRISE: MessengerTransport(),
}


def account_of(channel: str, address: str) -> str:
    """The provider account that a message to this address goes through."""
    transport = TRANSPORTS[Channel(channel)]
    return transport.account_at(address) if is_shared(transport) else transport.account


def accounts_of(channel: Channel) -> list[str]:
    """All provider accounts that a channel's messages may go through."""
    transport = TRANSPORTS[channel]
    return transport.accounts() if is_shared(transport) else [transport.account]


def channels_of(account: str) -> list[Channel]:
    """The channels whose messages may go through a provider account."""
    return [channel for channel in TRANSPORTS if account in accounts_of(channel)]


__all__ = [
    "TRANSPORTS",
    "Message",
    "Transport",
    "account_of",
    "accounts_of",
    "channels_of",
    "sends_together",
]
