"""Pages by email: through SendGrid when there is a key for it, else through Django's email backend."""

import smtplib
from email.utils import make_msgid

from django.conf import settings
from django.core.mail import BadHeaderError, EmailMultiAlternatives

from notifications.exceptions import DeliveryError
from openalert import correlation_id

from . import sendgrid_account
from .base import Mail, Message

REFUSED = 500  # the first of the 5yz


class EmailTransport:
    can_be_answered = True

    @property
    def account(self) -> str:
        return sendgrid_account.ACCOUNT if sendgrid_account.is_configured() else "smtp"

    def is_configured(self) -> bool:
        return True

    def why_off(self) -> str:
        return ""

    def send(self, message: Message) -> str:
        return send_mail(message)


def send_mail(mail: Mail) -> str:
    """Returns the provider's id for it. Raises DeliveryError."""
    return sendgrid_account.send(mail) if sendgrid_account.is_configured() else send_by_smtp(mail)


def send_by_smtp(message: Mail) -> str:
    """Source of the reply codes: RFC 5321 §4.2.1; 4yz may be tried again, 5yz may not. Enhanced: RFC 3463 §3.2."""
    message_id = make_msgid(str(message.notification_id))
    email = EmailMultiAlternatives(
        subject=message.subject,
        body=message.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[message.address],
        headers={
            "Message-ID": message_id,
            "Auto-Submitted": "auto-generated",
            **message.headers,
            **correlation_id.headers_for_others(),
        },
    )
    if message.html:
        email.attach_alternative(message.html, "text/html")
    try:
        email.send()
    except smtplib.SMTPRecipientsRefused as error:
        answers = list(error.recipients.values())
        raise DeliveryError(
            f"the mail server refused the address: {error}",
            permanent=min(code for code, _ in answers) >= REFUSED,
            breaks_method=all(_is_bad_address(code, words) for code, words in answers),
        ) from error
    except smtplib.SMTPResponseException as error:
        # A refused sign-in is our installation's fault, not the message's: somebody may mend it.
        permanent = error.smtp_code >= REFUSED and not isinstance(error, smtplib.SMTPAuthenticationError)
        raise DeliveryError(f"the mail server answered {error}", permanent=permanent) from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"no mail server took it: {error}") from error
    except (BadHeaderError, UnicodeError) as error:
        raise DeliveryError(f"this is no valid email: {error}", permanent=True) from error
    return message_id


def _is_bad_address(code: int, words: bytes | str) -> bool:
    """5.1.x is about the address, 5.2.1 a mailbox that is disabled; others are about policy, size, relaying, …"""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return code >= REFUSED and text.startswith(("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.2.1"))
