"""Answers to the lower apps' facts: what starts an escalation, what hurries it and what stops it."""

from typing import Any

from django.utils import timezone

from incidents import signals
from incidents.models import Incident
from notifications.signals import Exhausted, notifications_exhausted

from . import engine


def connect() -> None:
    for signal in (
        signals.incidents_opened,
        signals.incidents_unacknowledged,
        signals.incidents_woken,
        signals.incidents_reopened,
    ):
        signal.connect(start_escalation)
    signals.incidents_acknowledged.connect(stop_for_acknowledged)
    signals.incidents_snoozed.connect(stop_for_snoozed)
    signals.incidents_resolved.connect(stop_for_resolved)
    signals.incidents_merged.connect(stop_for_merged)
    signals.incidents_severity_changed.connect(reprioritise)
    notifications_exhausted.connect(hurry)


def start_escalation(incidents: list[Incident], **kwargs: Any) -> None:
    engine.start(incidents, now=timezone.now())


def stop_for_acknowledged(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="acknowledged", now=timezone.now())


def stop_for_snoozed(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="snoozed", now=timezone.now())


def stop_for_resolved(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="resolved", now=timezone.now())


def stop_for_merged(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="merged", now=timezone.now())


def hurry(steps: list[Exhausted], **kwargs: Any) -> None:
    for step in steps:
        engine.hurry(run_id=step.run_id, loop=step.loop, step=step.step, now=timezone.now())


def reprioritise(incidents: list[Incident], **kwargs: Any) -> None:
    engine.reprioritise(incidents)
