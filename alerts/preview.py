"""What would come of a payload of any JSON with other fields. Nothing is written, nobody is told."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from .enums import Source
from .events import AlertEvent, EventFault
from .exceptions import MalformedPayload
from .fields import Fields
from .formats import FORMATS
from .formats.generic import fallback_of, read_payload
from .models import Integration
from .samples import Sample

MOST_SHOWN = 20


class Picked(NamedTuple):
    """An alert that would come of it. `errors` says of its fields what could not be picked and was found otherwise."""

    event: AlertEvent
    description: str
    link: str
    errors: dict[str, str]


class Preview(NamedTuple):
    """The first MOST_SHOWN alerts of `total`; `fault` instead, when the payload is refused as a whole."""

    total: int
    alerts: Sequence[Picked]
    fault: str = ""


def preview(integration: Integration, fields: Fields, payload: Any) -> Preview:
    """Raises nothing."""
    found = read_payload(payload, fields, fallback=fallback_of(integration))
    faults = [fault.detail for fault in found if isinstance(fault, EventFault)]
    events = [event for event in found if isinstance(event, AlertEvent)]
    return Preview(len(events), [_picked(event) for event in events[:MOST_SHOWN]], " ".join(faults))


def preview_of_sample(integration: Integration, fields: Fields, sample: Sample) -> Preview:
    """Raises nothing; what cannot be tried is said by the `fault`."""
    if sample.is_cut:
        return Preview(0, (), "It is longer than what is kept of a payload, so it cannot be tried here.")
    try:
        payload = FORMATS[Source.GENERIC].decode(sample.body, sample.headers)
    except MalformedPayload as fault:
        return Preview(0, (), fault.detail)
    return preview(integration, fields, payload)


def _picked(event: AlertEvent) -> Picked:
    metadata = event.metadata
    return Picked(
        # The payload is beside it anyway.
        msgspec.structs.replace(event, metadata={}),
        metadata.get("description", ""),
        metadata.get("link", ""),
        metadata.get("field_errors", {}),
    )
