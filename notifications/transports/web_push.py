"""Pages as push messages to a browser (RFC 8030), encrypted for it (RFC 8291), signed with our key (RFC 8292).

The address and the keys are the browser's subscription; static/js/service-worker.js shows what arrives.
"""

import base64
import json
from urllib.parse import urlsplit

import pywebpush
import requests
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings
from py_vapid import VapidException

from notifications.enums import Action
from notifications.exceptions import DeliveryError
from openalert import outward

from . import http
from .base import Message, require_on

KEPT_SECONDS = 3600  # for a browser that is not there; a page that is older is of no use
LONGEST_TITLE, LONGEST_BODY = 200, 1000  # push services take 4096 bytes in all
GONE = (404, 410)
TAKEN = (201, 202)  # RFC 8030 §5; 202 when it is to tell of the delivery, too


# Whose push service an endpoint is, by the end of its host.
SERVICES = {
    "googleapis.com": "google",
    "google.com": "google",
    "push.services.mozilla.com": "mozilla",
    "push.apple.com": "apple",
    "notify.windows.com": "microsoft",
}


class WebPushTransport:
    account = "web_push"
    can_be_answered = True

    def is_configured(self) -> bool:
        return not self.why_off()

    def why_off(self) -> str:
        if not settings.WEB_PUSH_PRIVATE_KEY:
            return "Set WEB_PUSH_PRIVATE_KEY."
        # Push services want somebody to ask (RFC 8292 §2.1); the installation's own address is good enough with https.
        is_contact = settings.WEB_PUSH_CONTACT.startswith(("mailto:", "https://"))
        return "" if is_contact else "Set WEB_PUSH_CONTACT."

    def account_at(self, address: str) -> str:
        try:
            host = urlsplit(address).hostname or ""
        except ValueError:  # it is refused when it is called
            return self.account
        names = (name for end, name in SERVICES.items() if f".{host}".endswith(f".{end}"))
        return next((f"{self.account}-{name}" for name in names), self.account)

    def accounts(self) -> list[str]:
        return [self.account, *(f"{self.account}-{name}" for name in dict.fromkeys(SERVICES.values()))]

    def send(self, message: Message) -> str:
        require_on(self)
        if not message.keys.get("p256dh") or not message.keys.get("auth"):
            raise DeliveryError("the browser's keys are gone", breaks_method=True)
        try:
            with http.told("the push service"), outward.guarded(), NoRedirects() as session:
                answer = pywebpush.webpush(
                    {"endpoint": message.address, "keys": dict(message.keys)},
                    payload(message),
                    vapid_private_key=settings.WEB_PUSH_PRIVATE_KEY,
                    vapid_claims={"sub": settings.WEB_PUSH_CONTACT},
                    ttl=KEPT_SECONDS,
                    headers={"Urgency": "high"},
                    timeout=settings.PROVIDER_TIMEOUT_SECONDS,
                    requests_session=session,
                )
        except pywebpush.WebPushException as error:
            raise _failure(error) from error
        except VapidException as error:  # our own key or contact: somebody may mend it
            raise DeliveryError(f"the push service was not asked: {error}") from error
        except ValueError as error:
            raise DeliveryError(f"the browser's keys are wrong: {error}", breaks_method=True) from error
        if isinstance(answer, str) or answer.status_code not in TAKEN:
            status = "" if isinstance(answer, str) else answer.status_code
            raise DeliveryError(f"the push service answered {status} and did not take the message")
        return str(answer.headers.get("Location", ""))


class NoRedirects(requests.Session):
    """A session for pywebpush, which says nothing of redirects: a push service has none to give."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.max_redirects = 0


def _failure(error: pywebpush.WebPushException) -> DeliveryError:
    response = error.response
    if response is None:
        return DeliveryError(f"the browser's keys are wrong: {error.message}", breaks_method=True)
    if response.status_code in GONE:
        return DeliveryError("the browser no longer takes push messages", breaks_method=True)
    return http.failure("the push service", response.status_code, response.headers, response.text[:300])


def payload(message: Message) -> str:
    """What the service worker gets."""
    return json.dumps(
        {
            "title": message.subject[:LONGEST_TITLE],
            "body": message.text[:LONGEST_BODY],
            "href": message.href,
            "severity": message.severity,
            "tag": str(message.notification_id),
            "answers": dict(message.answers),
            "labels": {name: message.label_of(Action(name)) for name in message.answers},
        },
        ensure_ascii=False,
    )


def public_key() -> str:
    """Ours, as browsers want it for a subscription: 65 bytes in URL-safe base64."""
    raw = base64.urlsafe_b64decode(settings.WEB_PUSH_PRIVATE_KEY + "==")
    key = derive_private_key(int.from_bytes(raw), SECP256R1()).public_key()
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).decode().rstrip("=")
