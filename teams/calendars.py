"""Calendars elsewhere that say who is on call in a layer."""

from urllib.parse import urlsplit

from django.core.exceptions import ValidationError


def check_calendar_url(value: str) -> None:
    """Raises ValidationError unless it is an http or https address."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        parts, port = None, None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValidationError("Give an address that begins with https:// or http://.")
