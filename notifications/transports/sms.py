"""Pages by SMS, through Twilio (Message resource). Answers come back as messages: notifications.hooks.twilio."""

from typing import Any

from django.conf import settings

from . import twilio_account
from .base import Message, require_on

KEPT_WAITING_SECONDS = 3600  # a page that no carrier took within an hour is no longer worth waking anybody


class SmsTransport:
    account = twilio_account.ACCOUNT
    can_be_answered = True

    def is_configured(self) -> bool:
        return twilio_account.is_configured()

    def why_off(self) -> str:
        if self.is_configured():
            return ""
        return "Set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM_NUMBER."

    def send(self, message: Message) -> str:
        require_on(self)
        sender: dict[str, Any] = (
            {"messaging_service_sid": settings.TWILIO_MESSAGING_SERVICE_SID}
            if settings.TWILIO_MESSAGING_SERVICE_SID
            else {"from_": settings.TWILIO_FROM_NUMBER}
        )
        return twilio_account.create(
            twilio_account.client().messages,
            to=message.address,
            body=message.text,
            status_callback=twilio_account.callback("twilio-message-status", message.notification_id),
            validity_period=KEPT_WAITING_SECONDS,
            **sender,
        )
