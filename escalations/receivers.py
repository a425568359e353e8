"""Answers to lower apps' facts: what starts an escalation, what changes or hurries it and what stops it."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone

from alerts.models import MaintenanceWindow
from alerts.signals import maintenance_windows_changed
from incidents import signals
from incidents.models import Incident
from notifications.signals import Exhausted, notifications_exhausted

from . import changes, engine


def connect() -> None:
    signals.incidents_opened.connect(start_escalation)
    for signal in (
        signals.incidents_unacknowledged,
        signals.incidents_woken,
        signals.incidents_reopened,
    ):
        signal.connect(start_again)
    signals.incidents_acknowledged.connect(stop_for_acknowledged)
    signals.incidents_snoozed.connect(stop_for_snoozed)
    signals.incidents_resolved.connect(stop_for_resolved)
    signals.incidents_merged.connect(stop_for_merged)
    signals.incidents_severity_changed.connect(follow_severity)
    maintenance_windows_changed.connect(look_at_windows_again)
    notifications_exhausted.connect(hurry)


def start_escalation(
    incidents: list[Incident],
    labels: Mapping[UUID, Sequence[Mapping[str, str]]] | None = None,
    **kwargs: Any,
) -> None:
    engine.start(incidents, now=timezone.now(), labels=labels)


def start_again(incidents: list[Incident], **kwargs: Any) -> None:
    now = timezone.now()
    engine.stop(incidents, reason="started over", now=now)
    engine.start(incidents, now=now)


def stop_for_acknowledged(incidents: list[Incident], **kwargs: Any) -> None:
    changes.acknowledged(incidents, now=timezone.now())


def stop_for_snoozed(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="snoozed", now=timezone.now())


def stop_for_resolved(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="resolved", now=timezone.now())


def stop_for_merged(incidents: list[Incident], **kwargs: Any) -> None:
    engine.stop(incidents, reason="merged", now=timezone.now())


def follow_severity(incidents: list[Incident], **kwargs: Any) -> None:
    changes.severity_changed(incidents, now=timezone.now())


def look_at_windows_again(windows: list[MaintenanceWindow], **kwargs: Any) -> None:
    changes.look_again(team_ids={window.team_id for window in windows}, now=timezone.now())


def hurry(steps: list[Exhausted], **kwargs: Any) -> None:
    for step in steps:
        engine.hurry(run_id=step.run_id, loop=step.loop, step=step.step, now=timezone.now())
