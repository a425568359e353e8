"""Heartbeats: pings are taken, and those that do not come, or say that something failed, fire an alert."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents.enums import Severity
from teams.models import Service

from . import intake, integrations
from .enums import EventStatus, Grouping, PingKind, Source
from .events import AlertEvent
from .models import Heartbeat, HeartbeatWatch, Integration
from .models.heartbeat import MAX_PING_BODY
from .problems import Arrival

BATCH = 200
INTEGRATION = "Heartbeats"
PINGS_KEPT = 100
# The tick is every second. A minute without is an outage.
OUTAGE = timedelta(seconds=60)
NOTE_EVERY = timedelta(seconds=10)

logger = logging.getLogger(__name__)


@transaction.atomic
def ping(
    heartbeat_id: UUID,
    *,
    kind: PingKind = PingKind.SUCCESS,
    exit_status: int | None = None,
    body: str = "",
    address: str | None = None,
    sender: str = "",
    message_id: str = "",
) -> Heartbeat:
    """What a program says. Success resolves its alert, and the next ping is due after that; a failure fires at once.

    A start only begins to measure, and has to be followed within the grace, if there is one. Any exit status but 0 is
    a failure. `sender` and `message_id` are a mail's: one that comes again, as its sender did not get our answer, says
    nothing new. Raises Heartbeat.DoesNotExist.
    """
    heartbeat = _lock(heartbeat_id)
    if message_id and heartbeat.pings.filter(message_id=message_id).exists():
        return heartbeat
    now = timezone.now()
    if exit_status:
        kind = PingKind.FAIL
    took = None
    if kind == PingKind.START:
        heartbeat.started_at = now
        if heartbeat.is_enabled and heartbeat.grace and not heartbeat.expired_at:
            heartbeat.due_at = now + heartbeat.grace
    else:
        took = now - heartbeat.started_at if heartbeat.started_at else None
        heartbeat.started_at, heartbeat.took, heartbeat.last_ping_at = None, took, now
        if kind == PingKind.SUCCESS:
            _watch(heartbeat)
        elif heartbeat.is_enabled:
            heartbeat.due_at, heartbeat.expired_at = None, heartbeat.expired_at or now
            _say([heartbeat], EventStatus.FIRING, _failure(exit_status))
    heartbeat.save()
    _keep(
        heartbeat,
        at=now,
        kind=kind,
        exit_status=exit_status,
        took=took,
        body=body[:MAX_PING_BODY],
        address=address,
        sender=sender,
        message_id=message_id,
    )
    return heartbeat


def _failure(exit_status: int | None) -> str:
    return f"ended with exit status {exit_status}" if exit_status else "failed"


def _keep(heartbeat: Heartbeat, **ping: Any) -> None:
    heartbeat.pings.create(**ping)
    newest = heartbeat.pings.order_by("-pk").values_list("pk", flat=True)
    if edge := newest[PINGS_KEPT : PINGS_KEPT + 1]:
        heartbeat.pings.filter(pk__lte=edge[0]).delete()


@transaction.atomic
def add(heartbeat: Heartbeat, *, service: Service) -> Heartbeat:
    """A new one of a service; its alerts come by an integration of the service's own for them.

    Raises ValidationError when another of the service has the name.
    """
    Service.objects.select_for_update(no_key=True).get(
        pk=service.pk
    )  # one integration, whoever asks beside us
    integration = service.integrations.filter(source=Source.OPENALERT, name=INTEGRATION).first()
    if integration is None:
        integration = Integration(
            service=service, name=INTEGRATION, source=Source.OPENALERT, grouping=Grouping.NONE
        )
        integrations.create_integration(integration)
    heartbeat.integration = integration
    return configure(heartbeat)


@transaction.atomic
def configure(heartbeat: Heartbeat) -> Heartbeat:
    """Save a heartbeat whose settings are new or changed, validated before but for what others have.

    Raises ValidationError when another of the service has the name. One that is switched off is not watched, and its alert is resolved. One that has pinged gets a whole interval.
    """
    if not heartbeat._state.adding:
        there = _lock(heartbeat.pk)
        for name in ("last_ping_at", "due_at", "expired_at", "started_at", "took", "ping_key"):
            setattr(heartbeat, name, getattr(there, name))
    if not heartbeat.expired_at or not heartbeat.is_enabled:
        _watch(heartbeat)
    heartbeat.validate_constraints()
    heartbeat.save()
    return heartbeat


@transaction.atomic
def switch(heartbeat_id: UUID, *, on: bool) -> Heartbeat:
    """Pause it, or watch it again. Repeating it changes nothing. Raises Heartbeat.DoesNotExist."""
    heartbeat = _lock(heartbeat_id)
    if heartbeat.is_enabled != on:
        heartbeat.is_enabled = on
        configure(heartbeat)
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
    now = now or timezone.now()
    _look(now)
    while expired := _expire_batch(now):
        total += expired
        if expired < BATCH:
            break
    return total


@transaction.atomic
def _look(now: datetime) -> None:
    """Where nobody has looked for a while, pings may have found nobody either: what was expected then gets another turn."""
    watch = HeartbeatWatch.objects.select_for_update(skip_locked=True).first()
    if watch is None:
        if not HeartbeatWatch.objects.exists():
            HeartbeatWatch.objects.bulk_create([HeartbeatWatch(pk=1, looked_at=now)], ignore_conflicts=True)
        return
    if now - watch.looked_at > OUTAGE:
        _give_another_turn(watch.looked_at, now)
    if abs(now - watch.looked_at) >= NOTE_EVERY:
        watch.looked_at = now
        watch.save()


def _give_another_turn(since: datetime, now: datetime) -> None:
    waiting = Heartbeat.objects.select_for_update(of=("self",)).filter(due_at__gt=since).order_by("pk")
    missed = [one for one in waiting if one.due_at and one.due_at - one.grace <= now]
    for heartbeat in missed:
        heartbeat.due_at = heartbeat.late_at(now)
    Heartbeat.objects.bulk_update(missed, ["due_at"], batch_size=BATCH)
    if missed:
        logger.warning("nobody looked for heartbeats since %s: %s get another turn", since, len(missed))


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
    heartbeat.due_at = heartbeat.late_at(timezone.now()) if is_watched else None
    _resolve(heartbeat)


def _resolve(heartbeat: Heartbeat) -> None:
    if heartbeat.expired_at:
        heartbeat.expired_at = None
        _say([heartbeat], EventStatus.RESOLVED)


def _say(heartbeats: Sequence[Heartbeat], status: EventStatus, failure: str = "") -> None:
    """`failure` is what it says of itself, like “failed”; by itself it is late."""
    if heartbeats:
        intake.ingest(
            [Arrival(heartbeat.integration, _event(heartbeat, status, failure)) for heartbeat in heartbeats]
        )


def _event(heartbeat: Heartbeat, status: EventStatus, failure: str) -> AlertEvent:
    last = heartbeat.last_ping_at
    title = f"{heartbeat.name} {failure}" if failure and not heartbeat.alert_message else heartbeat.title
    return AlertEvent(
        dedup_key=f"heartbeat:{heartbeat.pk}",
        status=status,
        title=title,
        severity=Severity(heartbeat.severity),
        name=heartbeat.title,
        source=heartbeat.name,
        labels={"heartbeat": heartbeat.name},
        metadata={
            "description": heartbeat.description,
            "tags": heartbeat.alert_tags,
            "lastPingTime": last.isoformat() if last else None,
        },
    )
