"""Mail to heartbeats: each has an address, ping-<ping key>@<the installation's mail domain>.

What a mail says is found by words that its heartbeat's managers choose, first in the subject, else in the text.
"""

import re
from collections.abc import Iterable
from typing import Any

from . import heartbeats
from .enums import PingKind
from .exceptions import UnknownKey
from .formats import email
from .formats.mime import header_values
from .models import Heartbeat
from .models.heartbeat import LONGEST_MESSAGE_ID, LONGEST_SENDER

PREFIX = "ping-"


def mailbox_of(heartbeat: Heartbeat) -> str:
    """Its address, before the @."""
    return PREFIX + heartbeat.ping_key.lower()


def find(mailbox: str) -> Heartbeat:
    """Whose mailbox it is, in any case. Raises UnknownKey."""
    key = mailbox.removeprefix(PREFIX)
    heartbeat = Heartbeat.objects.filter(ping_key__iexact=key).first() if key != mailbox else None
    if heartbeat is None:
        raise UnknownKey("No heartbeat has this address.")
    return heartbeat


def take(heartbeat: Heartbeat, mail: dict[str, Any]) -> bool:
    """Store what a mail, as formats.mime gives it, says; False for an automatic reply, which says nothing.

    The same mail again (by its Message-ID) changes nothing. Raises UnknownKey when the heartbeat is gone by now.
    """
    headers: dict[str, str] = {}
    for name, value in header_values(mail["headers"]):
        headers.setdefault(name, value)
    if email.is_automatic_reply(headers):
        return False
    subject, text = headers.get("subject", ""), mail["text"]
    message_id = email.MESSAGE_ID.findall(headers.get("message-id", ""))
    try:
        heartbeats.ping(
            heartbeat.pk,
            kind=meaning(heartbeat, subject, text),
            body=f"{subject}\n\n{text}".strip(),
            sender=(email.address_in(headers) or "somebody")[:LONGEST_SENDER],
            message_id=message_id[0][:LONGEST_MESSAGE_ID] if message_id else "",
        )
    except Heartbeat.DoesNotExist:
        raise UnknownKey("The heartbeat was removed.") from None
    return True


def meaning(heartbeat: Heartbeat, subject: str, text: str) -> PingKind:
    """What a mail says. A failure is not made good by a word of success beside it."""
    for part in (subject, text):
        for kind, words in (
            (PingKind.FAIL, heartbeat.fail_words),
            (PingKind.SUCCESS, heartbeat.success_words),
            (PingKind.START, heartbeat.start_words),
        ):
            if _has_one(words, part):
                return kind
    return PingKind(heartbeat.mail_means)


def _has_one(words: Iterable[str], text: str) -> bool:
    """Whether a word, or several in a row, is there by itself, in any case."""
    patterns = (r"\s+".join(map(re.escape, word.split())) for word in words if word.strip())
    wanted = "|".join(patterns)
    return bool(wanted) and re.search(rf"(?<!\w)(?:{wanted})(?!\w)", text, re.IGNORECASE) is not None
