"""Mail through SendGrid (Mail Send, v3): the client, and what its errors mean."""

import json
import urllib.error
from email.utils import parseaddr
from http import HTTPStatus

from django.conf import settings
from python_http_client.exceptions import HTTPError
from sendgrid import SendGridAPIClient
from sendgrid.helpers.mail import (
    ClickTracking,
    CustomArg,
    From,
    Header,
    Mail,
    OpenTracking,
    To,
    TrackingSettings,
)

from notifications.exceptions import DeliveryError

from . import http
from .base import Mail as Letter

ACCOUNT = "sendgrid"
NOTIFICATION = "openalert_notification"  # comes back with each event


def is_configured() -> bool:
    return bool(settings.SENDGRID_API_KEY)


def send(message: Letter) -> str:
    """Returns SendGrid's X-Message-Id. Raises DeliveryError."""
    sender, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    mail = Mail(
        from_email=From(address, sender),
        to_emails=To(message.address),
        subject=message.subject,
        plain_text_content=message.text,
        html_content=message.html or None,
    )
    mail.add_header(Header("Auto-Submitted", "auto-generated"))
    for name, value in message.headers.items():
        mail.add_header(Header(name, value))
    mail.add_custom_arg(CustomArg(NOTIFICATION, str(message.notification_id)))
    # Our links are signed and secret: they are not SendGrid's to rewrite and follow.
    mail.tracking_settings = TrackingSettings(
        click_tracking=ClickTracking(False, False), open_tracking=OpenTracking(False)
    )
    client = SendGridAPIClient(settings.SENDGRID_API_KEY, settings.SENDGRID_API_URL)
    client.client.timeout = settings.PROVIDER_TIMEOUT_SECONDS
    try:
        response = client.send(mail)
    except HTTPError as error:
        raise http.failure("SendGrid", error.status_code, error.headers or {}, _words(error.body)) from error
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise DeliveryError(f"SendGrid could not be reached: {type(error).__name__}") from error
    message_id = response.headers.get("X-Message-Id", "")
    # 200 is the answer in its sandbox, where nothing is sent.
    if response.status_code != HTTPStatus.ACCEPTED or not message_id:
        raise DeliveryError(f"SendGrid answered {response.status_code} and did not accept the mail")
    return str(message_id)


def _words(body: object) -> str:
    try:
        text = body.decode() if isinstance(body, bytes) else str(body)
        return "; ".join(str(error["message"]) for error in json.loads(text)["errors"])
    except (ValueError, KeyError, TypeError):
        return ""
