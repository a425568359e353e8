"""Answers to incidents' facts: once somebody has answered, pages that wait are dropped; a new severity moves them."""

from typing import Any

from incidents import signals
from incidents.models import Incident

from . import outbox

ANSWERED = (
    signals.incidents_acknowledged,
    signals.incidents_snoozed,
    signals.incidents_resolved,
    signals.incidents_merged,
)


def connect() -> None:
    for signal in ANSWERED:
        signal.connect(drop_waiting_pages)
    signals.incidents_severity_changed.connect(reprioritise)


def drop_waiting_pages(incidents: list[Incident], **kwargs: Any) -> None:
    outbox.cancel_pages(incidents)


def reprioritise(incidents: list[Incident], **kwargs: Any) -> None:
    outbox.reprioritise(incidents)
