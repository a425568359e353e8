"""Mail to integrations: whom an address means, and storing a mail for all of its recipients.

An integration's address is <integration key>@<the installation's mail domain>. Two doors lead here: `smtp`
and `sendgrid_inbound`.
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings

from . import samples
from .enums import Source
from .events import AlertEvent
from .formats import FORMATS
from .intake import take
from .keys import authenticate
from .results import Result


def address_of(key: str) -> str:
    return f"{key}@{settings.INTAKE_MAIL_DOMAIN}"


def key_of(address: str) -> str:
    """The key in an address of ours; "" for any other address, as mail is never passed on."""
    key, _, domain = address.strip().rpartition("@")
    # Mail servers may change the case of what they deliver; our keys have one.
    return key.lower() if domain.lower() == settings.INTAKE_MAIL_DOMAIN else ""


def take_mail(keys: Iterable[str], mail: dict[str, Any], *, body: bytes, content_type: str) -> list[Result]:
    """Store a mail, as formats.mime gives it, for the integrations of the keys; `body` is what it was read from.

    No result means that it is an automatic reply, which is not stored. Raises UnknownKey, IntegrationDisabled
    and WrongSource; then nothing is stored. Raises IntegrationChanged and django.db.Error; then it may be stored
    for some, each in a transaction of its own as intake's locks want it. It may be sent again: that is one more
    on the count of the alerts that are there.
    """
    integrations = {key: authenticate(key, Source.EMAIL) for key in dict.fromkeys(keys)}
    results: list[Result] = []
    for key, integration in integrations.items():
        read = FORMATS[Source.EMAIL].reader(integration)(mail, {})
        results += take(integration, [event for event in read if isinstance(event, AlertEvent)])
        samples.keeper.keep(integration.id_text, body, {"content-type": content_type}, key=key)
    return results
