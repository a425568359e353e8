"""One small pure module for each format; `base` says what a format is."""

from http import HTTPStatus

from alerts.enums import Source

from . import alertmanager, openalert, opsgenie
from .base import Format, key_in_authorization

FORMATS: dict[Source, Format] = {
    format.source: format
    for format in (
        Format(
            source=Source.OPENALERT,
            decode=openalert.decode,
            read=openalert.read,
            key=key_in_authorization("Bearer"),
        ),
        Format(source=Source.ALERTMANAGER, read=alertmanager.read),
        Format(
            source=Source.OPSGENIE,
            read=opsgenie.read,
            key=opsgenie.key,
            answer=opsgenie.answer,
            refuse=opsgenie.refuse,
            throttled=HTTPStatus.TOO_MANY_REQUESTS,
        ),
    )
}
