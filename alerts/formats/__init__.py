"""One small pure module for each format; `base` says what a format is."""

from alerts.enums import Source

from . import alertmanager, openalert
from .base import Format, decode_strict_json, key_in_authorization

FORMATS: dict[Source, Format] = {
    format.source: format
    for format in (
        Format(
            source=Source.OPENALERT,
            decode=decode_strict_json,  # its reader names the alert that holds a U+0000
            read=openalert.read,
            key=key_in_authorization("Bearer"),
        ),
        Format(source=Source.ALERTMANAGER, read=alertmanager.read),
    )
}
