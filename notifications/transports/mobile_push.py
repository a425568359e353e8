"""Pages to a phone app by Firebase Cloud Messaging (FCM HTTP v1; Google: OAuth 2.0 for service accounts, RFC 7523)."""

from functools import lru_cache, partial
from typing import Any
from urllib.parse import urljoin

import requests
from django.conf import settings
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from notifications.exceptions import DeliveryError

from . import http
from .base import Message, require_on

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
LONGEST_BODY = 1000
# The app was removed, or the token was made for somebody else's project.
BAD_TOKEN = ("UNREGISTERED", "SENDER_ID_MISMATCH")
# FCM's words, as its code for it is that of any bad request.
WORDS_FOR_A_BAD_ONE = "not a valid fcm registration token"


class MobilePushTransport:
    account = "fcm"
    can_be_answered = True

    def is_configured(self) -> bool:
        return bool(settings.FCM_SERVICE_ACCOUNT_FILE)

    def why_off(self) -> str:
        return "" if self.is_configured() else "Set FCM_SERVICE_ACCOUNT_FILE."

    def send(self, message: Message) -> str:
        require_on(self)
        account = credentials(settings.FCM_SERVICE_ACCOUNT_FILE)
        address = urljoin(settings.FCM_API_URL, f"/v1/projects/{account.project_id}/messages:send")
        with http.told("FCM"), requests.Session() as session:
            answer = session.post(
                address,
                json={"message": body(message)},
                headers={"Authorization": f"Bearer {access_token(account, session)}"},
                timeout=http.timeouts(),
                allow_redirects=False,
            )
        if answer.status_code != requests.codes.ok:
            raise _failure(answer)
        name = _json(answer).get("name")
        if not isinstance(name, str) or not name:
            raise DeliveryError("FCM answered without the message's name")
        return name


@lru_cache(maxsize=4)
def credentials(path: str) -> Credentials:
    """Kept, as its access token is good for an hour. Raises DeliveryError."""
    try:
        return Credentials.from_service_account_file(path, scopes=[SCOPE])
    except (OSError, ValueError, GoogleAuthError) as error:
        raise DeliveryError(f"FCM's service account cannot be read: {type(error).__name__}") from error


def access_token(account: Credentials, session: requests.Session) -> str:
    """A new one shortly before the old one ends, for a signed JWT. Raises DeliveryError."""
    try:
        if not account.valid:
            account.refresh(partial(Request(session), timeout=settings.PROVIDER_TIMEOUT_SECONDS))
    except GoogleAuthError as error:
        raise DeliveryError(f"FCM's token was not given: {str(error)[:300]}") from error
    return str(account.token)


def body(message: Message) -> dict[str, Any]:
    """Shown by the system at once, on a silent phone too where the app may; `data` is for the app's buttons."""
    data = {
        "href": message.href,
        "severity": message.severity,
        "notification_id": str(message.notification_id),
    }
    return {
        "token": message.address,
        "notification": {"title": message.subject, "body": message.text[:LONGEST_BODY]},
        "data": {**data, **message.answers},
        "android": {"priority": "HIGH", "ttl": "3600s", "notification": {"channel_id": "pages"}},
        "apns": {
            "headers": {"apns-priority": "10"},
            "payload": {"aps": {"sound": "default", "interruption-level": "time-sensitive"}},
        },
    }


def _failure(answer: requests.Response) -> DeliveryError:
    error = _json(answer).get("error")
    error = error if isinstance(error, dict) else {}
    details = error.get("details")
    codes = [
        str(detail.get("errorCode", ""))
        for detail in (details if isinstance(details, list) else [])
        if isinstance(detail, dict)
    ]
    words = f"{' '.join(code for code in codes if code)} {error.get('message', '')}".strip()
    is_bad = any(code in BAD_TOKEN for code in codes)
    if is_bad or ("INVALID_ARGUMENT" in codes and WORDS_FOR_A_BAD_ONE in words.lower()):
        return DeliveryError(f"FCM answered {answer.status_code}: {words}", breaks_method=True)
    return http.failure("FCM", answer.status_code, answer.headers, words)


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
