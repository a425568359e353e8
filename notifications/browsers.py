"""Browsers and phone apps that take push messages: they hand in their own addresses."""

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from django.core.exceptions import ValidationError
from django.db import transaction

from teams.models import User

from . import contacts
from .enums import Channel
from .exceptions import TransportOff
from .models import ContactMethod
from .transports import TRANSPORTS

AUTH_BYTES = 16
MOST_BROWSERS = 20


@transaction.atomic
def register(
    *, user: User, endpoint: str, p256dh: str, auth: str, label: str = ""
) -> tuple[ContactMethod, bool]:
    """Send the person's pages to this browser too, at once for both urgencies; again changes the keys only.

    A browser shows the pages of one person: whoever signs in and registers it takes it over from the one before.
    Returns the method, and whether it is new. Raises TransportOff, and ValidationError with `endpoint` or `keys`.
    """
    if why_off := TRANSPORTS[Channel.WEB_PUSH].why_off():
        raise TransportOff(f"Push to browsers is off in this installation. {why_off}")
    keys = _checked(p256dh, auth)
    ContactMethod.objects.filter(channel=Channel.WEB_PUSH, address=endpoint).exclude(user=user).delete()
    method = ContactMethod.objects.filter(user=user, channel=Channel.WEB_PUSH, address=endpoint).first()
    if method is not None:
        method.keys = keys
        method.save(update_fields=["keys", "updated_at"])
        return method, False
    if ContactMethod.objects.filter(user=user, channel=Channel.WEB_PUSH).count() >= MOST_BROWSERS:
        raise ValidationError(
            {"endpoint": ["These are many browsers: remove one that you no longer use first."]}
        )
    method = ContactMethod(
        user=user, channel=Channel.WEB_PUSH, address=endpoint, keys=keys, label=label.strip()[:80]
    )
    try:
        method.full_clean()
    except ValidationError as error:
        messages = [message for messages in error.message_dict.values() for message in messages]
        raise ValidationError({"endpoint": messages}) from error
    contacts.add_method(method)
    return method, True


def _checked(p256dh: str, auth: str) -> dict[str, Any]:
    """The keys of RFC 8291 §2.1: a point on P-256, and 16 bytes."""
    try:
        EllipticCurvePublicKey.from_encoded_point(SECP256R1(), _bytes(p256dh))
        secret = _bytes(auth)
    except ValueError as error:
        raise ValidationError({"keys": ["These are not the keys of a browser's subscription."]}) from error
    if len(secret) != AUTH_BYTES:
        raise ValidationError({"keys": ["The secret `auth` has 16 bytes."]})
    return {"p256dh": p256dh, "auth": auth}


def _bytes(text: str) -> bytes:
    bare = text.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
