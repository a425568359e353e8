"""The email backend of the embedded installation: messages land in a table that /mailbox/ shows."""

from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend

from .models import MailboxMessage


def is_in_use() -> bool:
    """Whether this installation's emails land here."""
    name = f"{MailboxBackend.__module__}.{MailboxBackend.__qualname__}"
    return name == settings.EMAIL_BACKEND


class MailboxBackend(BaseEmailBackend):
    """Keeps one row for each recipient (To, Cc and Bcc) instead of sending."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for email in email_messages:
            rendered = email.message()
            MailboxMessage.objects.bulk_create(
                MailboxMessage(
                    sender=email.from_email,
                    recipient=recipient,
                    subject=email.subject,
                    text=str(email.body),
                    html=_html(email),
                    message_id=rendered["Message-ID"],
                )
                for recipient in email.recipients()
            )
        return len(email_messages)


def _html(email: EmailMessage) -> str:
    if isinstance(email, EmailMultiAlternatives):
        for content, mimetype in email.alternatives:
            if mimetype == "text/html":
                return str(content)
    return ""
