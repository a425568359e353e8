"""One small pure module for each format: read(payload, headers) → the alerts, or what is wrong with each."""

from collections.abc import Callable, Mapping
from typing import Any

from alerts.enums import Source
from alerts.events import AlertEvent, EventFault

from . import alertmanager, openalert

Reader = Callable[[Any, Mapping[str, str]], list[AlertEvent | EventFault]]

READERS: dict[Source, Reader] = {
    Source.OPENALERT: openalert.read,
    Source.ALERTMANAGER: alertmanager.read,
}
