"""Pages by email, through Django's email backend."""

import smtplib
from email.utils import make_msgid

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives

from notifications.exceptions import DeliveryError
from openalert import correlation_id

from .base import Message


class EmailTransport:
    """Source of the reply codes: RFC 5321 §4.2.1; 4yz may be tried again, 5yz may not."""

    account = "smtp"
    can_be_answered = False

    def is_configured(self) -> bool:
        return True

    def why_off(self) -> str:
        return ""

    def send(self, message: Message) -> str:
        message_id = make_msgid(str(message.notification_id))
        email = EmailMultiAlternatives(
            subject=message.subject,
            body=message.text,
            from_email=settings.DEFAULT_FROM_EMAIL,
            to=[message.address],
            headers={
                "Message-ID": message_id,
                "Auto-Submitted": "auto-generated",
                **correlation_id.headers_for_others(),
            },
        )
        if message.html:
            email.attach_alternative(message.html, "text/html")
        try:
            email.send()
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise DeliveryError(
                f"the mail server refused the address: {error}", permanent=min(codes) >= 500
            ) from error
        except smtplib.SMTPResponseException as error:
            # A refused sign-in is our installation's fault, not the message's: somebody may mend it.
            permanent = error.smtp_code >= 500 and not isinstance(error, smtplib.SMTPAuthenticationError)
            raise DeliveryError(f"the mail server answered {error}", permanent=permanent) from error
        except (smtplib.SMTPException, OSError) as error:
            raise DeliveryError(f"no mail server took it: {error}") from error
        except (BadHeaderError, UnicodeError) as error:
            raise DeliveryError(f"this is no valid email: {error}", permanent=True) from error
        return message_id
