"""Pages by phone call, through Twilio (Call resource). What is said is asked for when somebody picks up:
notifications.hooks.twilio."""

from django.conf import settings

from . import twilio_account
from .base import Message, require_on

RINGING_SECONDS = 45


class VoiceTransport:
    account = twilio_account.ACCOUNT
    can_be_answered = True

    def is_configured(self) -> bool:
        return self.why_off() == ""

    def why_off(self) -> str:
        if not settings.FEATURE_VOICE_CALLS:
            return "Set FEATURE_VOICE_CALLS=true."
        if not twilio_account.is_configured() or not settings.TWILIO_FROM_NUMBER:
            return "Set TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM_NUMBER."
        return ""

    def send(self, message: Message) -> str:
        require_on(self)
        return twilio_account.create(
            twilio_account.client().calls,
            to=message.address,
            from_=settings.TWILIO_FROM_NUMBER,
            url=twilio_account.callback("twilio-call", message.notification_id),
            method="POST",
            status_callback=twilio_account.callback("twilio-call-status", message.notification_id),
            status_callback_event=["ringing", "completed"],  # who answered is told with the first request
            status_callback_method="POST",
            # Tells who picked up when it asks us what to say; to a machine we speak after its beep.
            machine_detection="DetectMessageEnd",
            timeout=RINGING_SECONDS,
        )
