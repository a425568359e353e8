"""What SMS and calls share: the Twilio account, the client, and what Twilio's errors mean.

Source: Twilio's Message and Call resources, and its dictionary of errors and warnings.
"""

from typing import Any
from urllib.parse import urljoin
from uuid import UUID

import requests
from django.conf import settings
from django.urls import reverse
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from notifications.exceptions import DeliveryError

from . import http

ACCOUNT = "twilio"

# The number itself cannot be reached, whatever is sent to it.
BAD_NUMBER = {
    21211,  # “To” is no valid number
    21214,  # “To” cannot be reached
    21217,  # “To” does not appear to be valid
    21265,  # “To” is a short code
    21401,  # no valid number
    21421,  # no valid number
    21610,  # the person has replied STOP
    21614,  # “To” is no mobile number
    13223,  # the number to dial has no valid format
    13224,  # the number to dial is not valid
    30005,  # unknown destination
    30006,  # landline or unreachable carrier
}
# Twilio or the carrier was busy, or our account has to be mended: the same message may go later.
MAY_PASS = {20003, 20005, 20429, 21606, 21608, 30001, 30008, 30022}


class HttpClient(TwilioHttpClient):
    """Twilio's own client, which would forget how long its server wants us to wait."""

    def request(self, *args: Any, **options: Any) -> Response:
        response = super().request(*args, **options)
        if response.status_code == 429:
            raise http.failure("Twilio", 429, response.headers or {}, response.text)
        return response


def is_configured() -> bool:
    sender = settings.TWILIO_FROM_NUMBER or settings.TWILIO_MESSAGING_SERVICE_SID
    return bool(settings.TWILIO_ACCOUNT_SID and settings.TWILIO_AUTH_TOKEN and sender)


def client() -> Client:
    made = Client(
        settings.TWILIO_ACCOUNT_SID,
        settings.TWILIO_AUTH_TOKEN,
        http_client=HttpClient(pool_connections=False, timeout=settings.PROVIDER_TIMEOUT_SECONDS),
    )
    if settings.TWILIO_API_URL:
        made.api.base_url = settings.TWILIO_API_URL
    return made


def create(resource: Any, **values: Any) -> str:
    """Create a message or a call, and return its SID. Raises DeliveryError."""
    try:
        with http.told("Twilio"):
            made = resource.create(**values)
    except (TwilioRestException, TwilioServiceException) as error:
        raise _failure(error) from error
    except (
        TwilioException,
        requests.RequestException,
        ValueError,
        AttributeError,
        TypeError,
        KeyError,
    ) as error:
        # A 2xx whose body is not what Twilio's are: something else answered.
        raise DeliveryError(f"Twilio's answer cannot be read: {type(error).__name__}") from error
    if getattr(made, "error_code", None) or made.status in ("failed", "undelivered", "canceled"):
        code = getattr(made, "error_code", None)
        raise of_code(code, f"Twilio took it and says “{made.status}” (error {code})")
    if not made.sid:
        raise DeliveryError("Twilio answered without the message's SID")
    return str(made.sid)


def of_code(code: Any, words: str, *, otherwise_permanent: bool = True) -> DeliveryError:
    """The failure that one of Twilio's error codes is."""
    number = int(code) if str(code).isdigit() else 0
    if number in BAD_NUMBER:
        return DeliveryError(words, breaks_method=True)
    return DeliveryError(words, permanent=otherwise_permanent and number not in MAY_PASS)


def _failure(error: TwilioRestException | TwilioServiceException) -> DeliveryError:
    words = getattr(error, "msg", None) or getattr(error, "detail", None) or getattr(error, "title", "")
    by_status = http.failure("Twilio", error.status, {}, str(words))
    if not str(error.code).isdigit() or error.code == error.status:
        return by_status
    return of_code(error.code, f"{by_status} ({error.code})", otherwise_permanent=by_status.permanent)


def callback(name: str, notification_id: UUID) -> str:
    """The address where Twilio tells us, or asks us, about one notification."""
    return urljoin(settings.SITE_URL, reverse(name, args=[notification_id]))
