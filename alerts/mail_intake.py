"""Mail to integrations and heartbeats: whom an address means, and storing a mail for all of its recipients.

An integration's address is <integration key>@<the installation's mail domain>, a heartbeat's ping-<ping key>@<…>. Two
doors lead here: `smtp` and `sendgrid_inbound`.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from django.conf import settings

from . import heartbeat_mail, samples
from .enums import Source
from .events import AlertEvent
from .formats import FORMATS
from .intake import take
from .keys import authenticate
from .models import Heartbeat, Integration
from .results import Result


class Taken(NamedTuple):
    """What was stored of a mail: what became of alerts, and how many heartbeats it was a ping of."""

    alerts: list[Result]
    pings: int = 0

    @property
    def count(self) -> int:
        return len(self.alerts) + self.pings


def address_of(key: str) -> str:
    return f"{key}@{settings.INTAKE_MAIL_DOMAIN}"


def key_of(address: str) -> str:
    """The key in an address of ours, with a heartbeat's prefix; "" for any other, as mail is never passed on."""
    key, _, domain = address.strip().rpartition("@")
    # Mail servers may change the case of what they deliver; our keys have one.
    return key.lower() if domain.lower() == settings.INTAKE_MAIL_DOMAIN else ""


def recipient(key: str) -> Integration | Heartbeat:
    """Whom mail with this key in its address is for. Raises UnknownKey, IntegrationDisabled, WrongSource."""
    if key.startswith(heartbeat_mail.PREFIX):
        return heartbeat_mail.find(key)
    return authenticate(key, Source.EMAIL)


def secret_of(found: Integration | Heartbeat) -> str:
    """What mail for it has to be signed with, if that is wanted."""
    return found.secret if isinstance(found, Integration) else ""


def take_mail(keys: Iterable[str], mail: dict[str, Any], *, body: bytes, content_type: str) -> Taken:
    """Store a mail, as formats.mime gives it, for those whom the keys mean; `body` is what it was read from.

    What took nothing is an automatic reply, which is not stored. Raises UnknownKey, IntegrationDisabled
    and WrongSource; then nothing is stored. Raises IntegrationChanged and django.db.Error; then it may be stored
    for some, each in a transaction of its own as intake's locks want it. It may be sent again: that is one more
    on the count of the alerts that are there, and nothing new to heartbeats.
    """
    found = {key: recipient(key) for key in dict.fromkeys(keys)}
    alerts, pings = list[Result](), 0
    for key, one in found.items():
        if isinstance(one, Heartbeat):
            pings += heartbeat_mail.take(one, mail)
            continue
        read = FORMATS[Source.EMAIL].reader(one)(mail, {})
        alerts += take(one, [event for event in read if isinstance(event, AlertEvent)])
        samples.keeper.keep(one.id_text, body, {"content-type": content_type}, key=key)
    return Taken(alerts, pings)
