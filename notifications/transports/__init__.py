"""One file for each way a message travels; registered here."""

from notifications.enums import Channel

from .base import Message, Transport, sends_together
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

__all__ = ["TRANSPORTS", "Message", "Transport", "sends_together"]
