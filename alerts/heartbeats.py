"""Heartbeats: pings are taken, and those that do not come fire an alert."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from . import intake
from .enums import EventStatus
from .events import AlertEvent
from .models import Heartbeat
from .problems import Arrival

BATCH = 200


@transaction.atomic
def ping(heartbeat_id: UUID) -> Heartbeat:
    """It is alive: its alert is resolved, and the next ping is due an interval from now.

    Raises Heartbeat.DoesNotExist.
    """
    heartbeat = _lock(heartbeat_id)
    heartbeat.last_ping_at = timezone.now()
    _watch(heartbeat)
    heartbeat.save()
    return heartbeat


@transaction.atomic
def configure(heartbeat: Heartbeat) -> Heartbeat:
    """Save a heartbeat whose settings are new or changed, validated before.

    One that is switched off is not watched, and its alert is resolved. One that has pinged gets a whole interval.
    """
    if not heartbeat._state.adding:
        there = _lock(heartbeat.pk)
        heartbeat.last_ping_at, heartbeat.expired_at = there.last_ping_at, there.expired_at
    if not heartbeat.expired_at or not heartbeat.is_enabled:
        _watch(heartbeat)
    heartbeat.save()
    return heartbeat


@transaction.atomic
def delete(heartbeat_id: UUID) -> None:
    """Its alert is resolved. Raises Heartbeat.DoesNotExist."""
    heartbeat = _lock(heartbeat_id)
    _resolve(heartbeat)
    heartbeat.delete()


def tick(now: datetime | None = None) -> int:
    """Fire an alert for every heartbeat that is late. Safe to run anywhere, any number at once. Returns how many."""
    total = 0
    while expired := _expire_batch(now or timezone.now()):
        total += expired
        if expired < BATCH:
            break
    return total


@transaction.atomic
def _expire_batch(now: datetime) -> int:
    late = list(
        Heartbeat.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("integration__service__team")
        .filter(due_at__lte=now, integration__is_enabled=True)
        .order_by("due_at")[:BATCH]
    )
    for heartbeat in late:
        heartbeat.due_at, heartbeat.expired_at, heartbeat.updated_at = None, now, now
    Heartbeat.objects.bulk_update(late, ["due_at", "expired_at", "updated_at"])
    _say(late, EventStatus.FIRING)
    return len(late)


def _lock(heartbeat_id: UUID) -> Heartbeat:
    return (
        Heartbeat.objects.select_for_update(of=("self",))
        .select_related("integration__service__team")
        .get(pk=heartbeat_id)
    )


def _watch(heartbeat: Heartbeat) -> None:
    """From now on, if it is to be watched at all."""
    is_watched = heartbeat.is_enabled and heartbeat.last_ping_at
    heartbeat.due_at = timezone.now() + heartbeat.span if is_watched else None
    _resolve(heartbeat)


def _resolve(heartbeat: Heartbeat) -> None:
    if heartbeat.expired_at:
        heartbeat.expired_at = None
        _say([heartbeat], EventStatus.RESOLVED)


def _say(heartbeats: Sequence[Heartbeat], status: EventStatus) -> None:
    if heartbeats:
        intake.ingest([Arrival(heartbeat.integration, _event(heartbeat, status)) for heartbeat in heartbeats])


def _event(heartbeat: Heartbeat, status: EventStatus) -> AlertEvent:
    last = heartbeat.last_ping_at
    return AlertEvent(
        dedup_key=f"heartbeat:{heartbeat.pk}",
        status=status,
        title=heartbeat.title,
        severity=heartbeat.severity,
        name=heartbeat.title,
        source=heartbeat.name,
        labels={"heartbeat": heartbeat.name},
        metadata={
            "description": heartbeat.description,
            "tags": heartbeat.alert_tags,
            "lastPingTime": last.isoformat() if last else None,
        },
    )
