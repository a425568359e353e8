"""What an address of each channel has to look like, how it is stored, and how it is shown. Pure."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

import apprise
import phonenumbers
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from .enums import Channel

LONGEST_EMAIL = 320  # RFC 3696, erratum 1690: 64 + @ + 255
EXPENSIVE = (
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.SHARED_COST,
)
SLACK_ID = re.compile(r"[CDGUW][A-Z0-9]{5,20}")
FCM_TOKEN = re.compile(r"[A-Za-z0-9:_-]{20,2048}")


def checked(channel: Channel, address: str) -> str:
    """The address as it is stored. Raises ValidationError, with words for whoever typed it."""
    return CHECKS[channel](address.strip())


def shown(channel: Channel, address: str) -> str:
    """What pages and lists show. URLs and tokens are secrets: of them, where they lead and how they end."""
    if channel in (Channel.WEB_PUSH, Channel.TEAMS):
        return f"{urlsplit(address).hostname or ''} …{address[-6:]}"
    if channel == Channel.MOBILE_PUSH:
        return f"…{address[-6:]}"
    if channel == Channel.APPRISE:
        return f"{address.partition('://')[0]}://…{address.rstrip('/')[-4:]}"
    return address


def in_e164(number: str) -> str:
    """“+49 (0)30 12345” as +493012345. Raises ValidationError.

    Without a country code, the number is one of PHONE_REGION when the installation has it.
    """
    region = settings.PHONE_REGION or None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException as error:
        example = "like 030 123456 or +1 500 555 0006" if region else "like +1 500 555 0006"
        raise ValidationError(
            f"This is no phone number. Write it with its country code, {example}."
        ) from error
    if not phonenumbers.is_valid_number(parsed):
        raise ValidationError("There is no such phone number.")
    if phonenumbers.number_type(parsed) in EXPENSIVE:
        raise ValidationError("Calls and messages to this number cost extra: choose another.")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _nothing(address: str) -> str:
    return ""


def _email(address: str) -> str:
    validate_email(address)
    if len(address) > LONGEST_EMAIL:
        raise ValidationError("No email address is that long.")
    return address


def _https(address: str) -> str:
    """Raises ValidationError unless it is the https address of a host; whether we may go there is outward's to say."""
    try:
        url = urlsplit(address)
        _ = url.port
    except ValueError as error:
        raise ValidationError("This is no web address.") from error
    is_url = url.scheme == "https" and url.hostname and not url.username and address.isascii()
    if not is_url or any(character.isspace() or not character.isprintable() for character in address):
        raise ValidationError("An address that begins with https:// is wanted.")
    return address


def _slack(address: str) -> str:
    if not SLACK_ID.fullmatch(address):
        raise ValidationError(
            "Slack’s own ID of you is wanted, like U024BE7LH: it stands in your profile under “More”, “Copy member ID”."
        )
    return address


def _mobile_push(address: str) -> str:
    if not FCM_TOKEN.fullmatch(address):
        raise ValidationError("This is no registration token of Firebase Cloud Messaging.")
    return address


def _apprise(address: str) -> str:
    scheme = address.partition("://")[0].lower()
    if scheme not in settings.APPRISE_SCHEMES:
        allowed = ", ".join(f"{known}://" for known in settings.APPRISE_SCHEMES) or "none"
        raise ValidationError(f"This installation sends to these services of Apprise: {allowed}.")
    if not address.isascii() or not address.isprintable():
        raise ValidationError("Percent-encode what is not a plain character.")
    if apprise.Apprise.instantiate(address) is None:
        raise ValidationError(f"Apprise cannot read this address of {scheme}://: see its documentation.")
    return address


CHECKS: dict[Channel, Callable[[str], str]] = {
    Channel.IN_APP: _nothing,
    Channel.EMAIL: _email,
    Channel.SMS: in_e164,
    Channel.VOICE: in_e164,
    Channel.WEB_PUSH: _https,
    Channel.MOBILE_PUSH: _mobile_push,
    Channel.SLACK: _slack,
    Channel.TEAMS: _https,
    Channel.APPRISE: _apprise,
}
