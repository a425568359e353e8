"""What transports that talk HTTP share: when a provider wants a pause, and what its status codes mean."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import requests
from django.conf import settings
from django.utils import timezone

from notifications.exceptions import DeliveryError
from openalert.outward import forbidden_in

LONGEST_PAUSE = timedelta(hours=1)
USUAL_PAUSE = timedelta(seconds=30)


def timeouts() -> tuple[float, float]:
    """Seconds to connect, and to wait for each answer."""
    return min(5.0, settings.PROVIDER_TIMEOUT_SECONDS), settings.PROVIDER_TIMEOUT_SECONDS


def pause(headers: Mapping[str, str]) -> timedelta | None:
    """`Retry-After`, in seconds or as an instant (RFC 9110 §10.2.3); None without a usable one.

    At most LONGEST_PAUSE: a provider's mistake must not silence it for days.
    """
    given = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    try:
        wait = timedelta(seconds=float(given))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(given) - timezone.now()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wait, timedelta(0)), LONGEST_PAUSE)


def failure(provider: str, status: int, headers: Mapping[str, str], detail: str = "") -> DeliveryError:
    """The failure that a status other than 2xx is, when the provider's own error codes say nothing better.

    401 and 403 may be mended by an administrator, so they are tried again like a 5xx.
    """
    words = " ".join(detail.split())[:500]
    text = f"{provider} answered {status}" + (f": {words}" if words else "")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return DeliveryError(text, retry_after=pause(headers) or USUAL_PAUSE)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return DeliveryError(text, retry_after=pause(headers))
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
    )
    return DeliveryError(text, permanent=not may_pass)


@contextlib.contextmanager
def told(provider: str) -> Iterator[None]:
    """What requests raises becomes a DeliveryError. An address inside our network is wrong for good."""
    try:
        yield
    except (requests.RequestException, OSError) as error:
        forbidden = forbidden_in(error)
        if forbidden:
            raise DeliveryError(str(forbidden), breaks_method=True) from error
        wrong = (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
        )
        if isinstance(error, wrong):
            raise DeliveryError(f"{provider}: {error}", breaks_method=True) from error
        # The address may be a secret, and requests puts it into its words.
        raise DeliveryError(f"{provider} could not be reached: {type(error).__name__}") from error
