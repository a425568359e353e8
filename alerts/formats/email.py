"""Monitoring mail: every system can send one, and none says how it is to be read.

`mime` takes a mail apart, `email_words` knows where monitoring systems write a state; here it becomes an event.
A mail is about a problem, and says that it is over, or that somebody has seen it, or else that it is there:
what cannot be understood fires, as nobody would miss it otherwise.

Integration.settings["email"] may hold what `Settings` has; what is wrong there counts as not given.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from django.conf import settings as django_settings

from alerts.enums import EventStatus
from alerts.events import MAX_DEDUP_KEY, MAX_SOURCE, MAX_TITLE, AlertEvent, EventFault
from alerts.exceptions import BadSignature, MalformedPayload
from incidents.enums import Severity

from .base import Answer, Reader, Request
from .email_words import Words
from .mime import header_values
from .reading import first_text, text

if TYPE_CHECKING:
    from alerts.models import Integration

MOST_WORDS = 50
LONGEST_WORD = 100
LONGEST_DESCRIPTION = 15_000

ADDRESS = re.compile(r"[^\s<>@,;:\"()]+@[^\s<>@,;:\"()]+")
LINK = re.compile(r"https?://[^\s<>\"']+")
IDS = ("message-id", "in-reply-to", "references")
MESSAGE_ID = re.compile(r"<([^<>\s]+)>")
# RFC 3834 §5 and what came before it.
AUTOMATIC_REPLY = re.compile(
    r"(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response)|out of (?:the )?office|abwesenheitsnotiz|"
    r"automatische antwort|r[ée]ponse automatique|respuesta autom[áa]tica|risposta automatica)\b",
    re.IGNORECASE,
)
REPORT = re.compile(r"report-type=\W*(?:delivery-status|disposition-notification)", re.IGNORECASE)

PRIORITIES = {"1": Severity.CRITICAL, "2": Severity.HIGH, "4": Severity.LOW, "5": Severity.LOW}
IMPORTANCES = {
    "high": Severity.HIGH,
    "urgent": Severity.HIGH,
    "low": Severity.LOW,
    "non-urgent": Severity.LOW,
}

# Shown elsewhere, or of interest to mail servers only.
LEFT_OUT = frozenset(
    {"subject", "from", "to", "date", "message-id", "received", "return-path", "delivered-to", "mime-version"}
)
LEFT_OUT_PREFIXES = (
    "arc-",
    "authentication-results",
    "content-",
    "dkim-",
    "received-",
    "x-google-",
    "x-ms-exchange-",
)


class Settings(msgspec.Struct, frozen=True):
    """How an integration's mails are told apart and understood.

    `dedup`: mails are about one problem when their subjects are the same but for the state (“subject”), when
    they answer one another (“thread”), or never (“message”). `over` and `firing` are words: see
    `email_words.Words`.
    """

    dedup: Literal["subject", "thread", "message"] = "subject"
    over: tuple[str, ...] = ()
    firing: tuple[str, ...] = ()


def settings_of(integration: "Integration") -> Settings:
    """An integration's settings, or the usual ones when they make no sense: its mails must not be lost for that."""
    try:
        found = msgspec.convert(integration.settings.get("email", {}), Settings)
    except (msgspec.ValidationError, AttributeError):
        return Settings()
    return msgspec.structs.replace(found, over=_words(found.over), firing=_words(found.firing))


def _words(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.strip()[:LONGEST_WORD] for word in given[:MOST_WORDS] if word.strip())


def reader_for(integration: "Integration") -> Reader:
    settings = settings_of(integration)
    words = Words(over=settings.over, firing=settings.firing)
    keys = keys_at(django_settings.INTAKE_MAIL_DOMAIN)

    def read_mail(payload: Any, headers: Mapping[str, str]) -> list[AlertEvent | EventFault]:
        return read(payload, settings=settings, words=words, keys=keys)

    return read_mail


def keys_at(domain: str) -> "re.Pattern[str]":
    """Finds keys of integrations and heartbeats in addresses, all but the end that may be shown."""
    keys = r"(?:[0-9a-f]{28}|\bping-[\w-]{20,28})"
    return re.compile(rf"{keys}(?=[\w-]{{4}}@{re.escape(domain)})", re.IGNORECASE)


def read(
    payload: Any, *, settings: Settings, words: Words, keys: "re.Pattern[str]"
) -> list[AlertEvent | EventFault]:
    """The event of a mail as `mime.decode` gives it; none for automatic replies, which tell of no problem.

    What `keys` finds is not shown: who knows an integration's address can send to it. Raises MalformedPayload when it is no mail at all.
    """
    if not isinstance(payload, dict):
        raise MalformedPayload("This is not a mail.")
    headers: dict[str, str] = {}
    for name, value in header_values(payload.get("headers")):
        headers.setdefault(name, value if name in IDS else keys.sub("…", value))
    if is_automatic_reply(headers):
        return []
    body = payload.get("text")
    body = keys.sub("…", body) if isinstance(body, str) else ""
    subject = words.in_subject(headers.get("subject", ""))
    body_status, body_severity = words.in_body(body)
    status = subject.status or body_status or EventStatus.FIRING
    sender = address_in(headers)
    title = first_text(
        MAX_TITLE,
        headers.get("subject"),
        *body.split("\n", 5)[:5],
        f"Mail from {sender or 'an unknown sender'}",
    )
    return [
        AlertEvent(
            dedup_key=_dedup_key(settings.dedup, headers, subject.stem or sender, body),
            status=status,
            title=title,
            severity=subject.severity or body_severity or _of_headers(headers) or Severity.HIGH,
            name=text(subject.stem, MAX_TITLE) or title,
            source=text(sender, MAX_SOURCE),
            labels={"from": sender} if sender else {},
            metadata=_metadata(headers, body, payload),
        )
    ]


def check(request: Request, payload: Any, integration: "Integration") -> Answer | None:
    """An integration with a secret takes only what is signed, and a mail itself never is. Raises BadSignature."""
    if integration.secret:
        raise BadSignature("This integration takes signed mail from SendGrid only.")
    return None


def is_automatic_reply(headers: Mapping[str, str]) -> bool:
    """Whether nobody wrote it and no system noticed anything: an out-of-office reply, a bounce, a receipt.

    Monitoring mail is auto-generated, may be bulk and may have an empty envelope sender: all that says nothing.
    """
    submitted = headers.get("auto-submitted", "no").lower()
    if submitted.startswith("auto-replied") or headers.get("precedence", "").lower() == "auto_reply":
        return True
    if any(
        headers.get(name, "no").lower() != "no" for name in ("x-autoreply", "x-autorespond", "x-auto-reply")
    ):
        return True
    content = headers.get("content-type", "")
    if content.lower().startswith("multipart/report") and REPORT.search(content):
        return True
    # Exchange calls its out-of-office replies auto-generated.
    is_automatic = not submitted.startswith("no") or "x-auto-response-suppress" in headers
    return is_automatic and AUTOMATIC_REPLY.match(headers.get("subject", "")) is not None


def _dedup_key(by: str, headers: Mapping[str, str], about: str, body: str) -> str:
    """What mails about the same problem share. `about` is what the subject is about, "" when it says nothing."""
    if by == "subject" and about:
        key = about.casefold()
    else:
        ids = MESSAGE_ID.findall(headers.get("message-id", ""))
        if by == "thread":
            # The first one that is answered to began it.
            ids = (
                MESSAGE_ID.findall(f"{headers.get('references', '')} {headers.get('in-reply-to', '')}") + ids
            )
        told = [headers.get(name, "") for name in ("date", "from", "subject")]
        # A mail that is sent again because our answer was lost must be the same one.
        key = ids[0] if ids else _digest("\n".join([*told, body]))
    return key if len(key) <= MAX_DEDUP_KEY else _digest(key)


def _digest(given: str) -> str:
    return hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()


def address_in(headers: Mapping[str, str]) -> str:
    """The sender's bare address, or ""; the last one in the header, as a name before it may look like one."""
    found = (ADDRESS.findall(headers.get(name, "")) for name in ("from", "sender", "return-path"))
    return next((addresses[-1].lower() for addresses in found if addresses), "")


def _of_headers(headers: Mapping[str, str]) -> Severity | None:
    """X-Priority is “1 (Highest)” to 5; Importance and Priority are words (RFC 4021 §2.1.54, §2.1.55)."""
    given = headers.get("x-priority", "")[:1]
    words = (headers.get(name, "").lower() for name in ("importance", "priority"))
    return PRIORITIES.get(given) or next((IMPORTANCES[word] for word in words if word in IMPORTANCES), None)


def _metadata(headers: Mapping[str, str], body: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    link = LINK.search(body)
    attachments = payload.get("attachments")
    shown = {
        "description": body[:LONGEST_DESCRIPTION],
        "link": link[0].rstrip(".,;:!?)]}") if link else "",
        "from": headers.get("from", ""),
        "to": headers.get("to", ""),
        "date": headers.get("date", ""),
        "message_id": headers.get("message-id", ""),
        "attachments": attachments if isinstance(attachments, list) else [],
        "headers": {
            name: value
            for name, value in headers.items()
            if name not in LEFT_OUT and not name.startswith(LEFT_OUT_PREFIXES)
        },
        **{key: value for key, value in payload.items() if key not in ("headers", "text", "attachments")},
    }
    return {key: value for key, value in shown.items() if value}
