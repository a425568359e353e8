"""Mail to integrations: whom an address means, and storing a mail for all of its recipients.

An integration's address is <integration key>@<the installation's mail domain>. Two doors lead here: `smtp`
and `sendgrid_inbound`.
"""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction

from .enums import Source
from .events import AlertEvent
from .formats import FORMATS
from .intake import take
from .keys import authenticate
from .models import Integration
from .results import Result


def address_of(key: str) -> str:
    return f"{key}@{settings.INTAKE_MAIL_DOMAIN}"


def key_of(address: str) -> str:
    """The key in an address of ours; "" for any other address, as mail is never passed on."""
    key, _, domain = address.strip().rpartition("@")
    # Mail servers may change the case of what they deliver; our keys have one.
    return key.lower() if domain.lower() == settings.INTAKE_MAIL_DOMAIN else ""


def take_mail(keys: Iterable[str], mail: dict[str, Any]) -> list[Result]:
    """Store a mail, as formats.mime gives it, for the integrations of the keys: for all of them or for none.

    No result means that it is an automatic reply, which is not stored. Raises UnknownKey, IntegrationDisabled,
    WrongSource, IntegrationChanged and django.db.Error; then nothing is stored, and it may be sent again.
    """
    integrations = [authenticate(key, Source.EMAIL) for key in dict.fromkeys(keys)]
    if len(integrations) == 1:
        return take(integrations[0], _events(mail, integrations[0]))
    with transaction.atomic():
        # In the order in which intake takes its locks.
        integrations.sort(key=lambda integration: integration.pk)
        return [result for one in integrations for result in take(one, _events(mail, one))]


def _events(mail: dict[str, Any], integration: Integration) -> list[AlertEvent]:
    read = FORMATS[Source.EMAIL].reader(integration)(mail, {})
    return [event for event in read if isinstance(event, AlertEvent)]
