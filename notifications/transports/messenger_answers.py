"""Whether a messenger took a message, from what it answered. Apprise looks at the status alone, and tells no more than
whether that was a good one.

Of the services that are allowed by default we know how they say yes, and what is no such answer is a failure: an error
with a 200, a sign-in page, what a proxy made up. Of others we know only how an error usually looks in JSON. (The
services' own references: ntfy, Publish as JSON; Telegram, Bot API; Pushover, Message API; Pushbullet, Create Push;
Discord, Execute Webhook; Threema, Gateway; Webex, Webhooks and Messages; Twist, Errors.)
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from notifications.exceptions import DeliveryError

from . import http
from .overheard import Heard

Body = Mapping[str, Any]

# The address holds all that the service knows us by; what it refuses is for its owner to mend.
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
# Telegram's and Pushover's words for that, which come with a 400.
BAD_ADDRESS = re.compile(
    r"chat not found|user is deactivated|(user|token|device)[\w ]* (is )?(not valid|invalid)", re.I
)
FAILED = ("error", "fail", "failed", "failure")
MESSAGE_ID = re.compile(r"[0-9a-f]{16}")


def _telegrams(body: Body, text: str) -> str | None:
    if body.get("ok") is not True:
        return None
    result = body.get("result")
    return str(result.get("message_id", "")) if isinstance(result, dict) else ""


def _named(name: str) -> Callable[[Body, str], str | None]:
    """It answers with what it made, which has a name."""
    return lambda body, text: str(body[name]) if body.get(name) else None


def _named_or_empty(name: str) -> Callable[[Body, str], str | None]:
    return lambda body, text: _named(name)(body, text) if text else ""


def _unless_error(body: Body, text: str) -> str | None:
    return None if says_error(body) else ""


# How each says that it has taken a message, by Apprise's schemes: its name for the message, "" without one, None if not.
YES: dict[str, Callable[[Body, str], str | None]] = {
    "discord": _named_or_empty("id"),
    "ntfy": _named("id"),
    "ntfys": _named("id"),
    "pbul": _named_or_empty("iden"),
    "pover": lambda body, text: str(body.get("request", "")) if body.get("status") == 1 else None,
    "tgram": _telegrams,
    "threema": lambda body, text: text if MESSAGE_ID.fullmatch(text) else None,
    "webex": _named_or_empty("id"),
    "wxteams": _named_or_empty("id"),
}


def check_pause(service: str, heard: Heard) -> None:
    """Raises DeliveryError when the service wants us to wait: it is not to be asked again meanwhile."""
    if heard.status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _failure(service, heard)


def check_taken(service: str, scheme: str, answers: Sequence[Heard], *, is_sent: bool, log: str) -> str:
    """The service's name for a message, "" without one, from all that it answered to what Apprise asked for its sake.

    `is_sent` and `log` are what Apprise says. Raises DeliveryError unless the service has taken the message.
    """
    good = [heard for heard in answers if HTTPStatus.OK <= heard.status < HTTPStatus.MULTIPLE_CHOICES]
    if not is_sent:
        if answers and answers[-1] not in good:
            raise _failure(service, answers[-1])
        raise DeliveryError(f"{service} did not take it: {log or 'no reason is told'}")
    names = [
        _name(service, scheme, heard) for heard in good
    ]  # a refusal before them was Apprise's to get over
    return next((name for name in reversed(names) if name), "")


def _name(service: str, scheme: str, heard: Heard) -> str:
    body, text = _json(heard), heard.body.decode(errors="replace").strip()
    says_yes = YES.get(scheme, _unless_error)
    name = says_yes(body, text)
    if name is None:
        words = _words(body) or " ".join(text.split())[:200] or "nothing else"
        raise DeliveryError(f"{service} answered {heard.status} and did not take it: {words}")
    return name


def says_error(body: Body) -> bool:
    """Whether a body says that something went wrong, as far as that can be told without knowing whose it is."""
    is_denied = any(body.get(name) is False for name in ("ok", "success", "status", "result"))
    is_failed = str(body.get("status", "")).lower() in FAILED
    names = ("error", "errors", "error_code", "error_string", "errcode", "errorCode", "error_message")
    return is_denied or is_failed or any(body.get(name) for name in names)


def _failure(service: str, heard: Heard) -> DeliveryError:
    body = _json(heard)
    headers = dict(heard.headers)
    if (seconds := _seconds_to_wait(body)) and not http.pause(headers):
        headers["Retry-After"] = seconds
    words = _words(body)
    failure = http.failure(service, heard.status, headers, words)
    # What is no JSON came from something between us.
    if body and failure.retry_after is None:
        is_bad = heard.status in REFUSED or (failure.permanent and BAD_ADDRESS.search(words))
        failure.breaks_method = bool(is_bad)
        failure.permanent = failure.permanent or failure.breaks_method
    return failure


def _seconds_to_wait(body: Body) -> str:
    """Discord and Telegram say it in the body."""
    parameters = body.get("parameters")
    wait = body.get("retry_after") or (isinstance(parameters, dict) and parameters.get("retry_after"))
    return str(wait) if wait else ""


def _words(body: Body) -> str:
    for name in ("description", "error", "errors", "error_string", "error_message", "message"):
        if said := body.get(name):
            return " ".join((said if isinstance(said, str) else json.dumps(said)).split())[:300]
    return " ".join(json.dumps(body).split())[:200] if body else ""


def _json(heard: Heard) -> Body:
    try:
        found = json.loads(heard.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
