"""Reads over several tables."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from .enums import Role
from .models import (
    Calendar,
    CalendarEvent,
    Fallback,
    Layer,
    Membership,
    Override,
    Participant,
    Rows,
    Schedule,
    ScheduleQuerySet,
    Team,
    User,
    grouped,
)

LOOKBACK = timedelta(days=1)


def with_rotation(
    schedules: ScheduleQuerySet | QuerySet[Schedule],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> QuerySet[Schedule]:
    """With all that teams.oncall needs (their `rows`) to answer for the instants from `start` (default: yesterday's) until
    `end` (default: for ever), in a fixed number of queries however many schedules there are. What was over before is not
    loaded."""
    start = start or timezone.now() - LOOKBACK
    loading = cast(ScheduleQuerySet, schedules.prefetch_related("team"))
    return loading.and_then(partial(load_rows, start=start, end=end))


def load_rows(schedules: Sequence[Schedule], *, start: datetime, end: datetime | None) -> None:
    """Set the schedules' `rows`. Not by prefetching, which is several times as slow for a thousand schedules."""
    ids = [schedule.pk for schedule in schedules]
    layers = list(
        Layer.objects.filter(Q(replaced_at=None) | Q(replaced_at__gt=start), schedule__in=ids)
        .defer("created_at", "updated_at")
        .order_by("position")
    )
    held = Override.objects.filter(schedule__in=ids, ends_at__gt=start).defer("updated_at")
    overrides = list((held.filter(starts_at__lt=end) if end else held).order_by("created_at", "pk"))
    fallbacks = list(
        Fallback.objects.filter(Q(replaced_at=None) | Q(replaced_at__gt=start), schedule__in=ids).order_by(
            "in_force_at"
        )
    )
    calendars = _calendars({layer.calendar_id for layer in layers if layer.calendar_id}, start, end)
    events = [event for calendar in calendars.values() for event in calendar.events_loaded]
    places = _places(ids, start)
    with_people: list[Any] = [*overrides, *fallbacks, *events]
    people = User.objects.in_bulk(
        {row.user_id for row in with_people}
        | {user_id for here in places.values() for _, user_id in here if user_id}
    )
    for row in with_people:
        row.user = people[row.user_id]
    found = {schedule.pk: schedule for schedule in schedules}
    for schedule in schedules:
        schedule.rows = Rows(start, end)
    for layer in layers:
        layer.schedule = found[layer.schedule_id]
        if layer.calendar_id:
            layer.calendar = calendars[layer.calendar_id]
        layer.places = grouped((place, people.get(user_id)) for place, user_id in places.get(layer.pk, ()))
        layer.schedule.rows.layers.append(layer)
    for override in overrides:
        found[override.schedule_id].rows.overrides.append(override)
    for fallback in fallbacks:
        found[fallback.schedule_id].rows.fallbacks.append(fallback)


def _calendars(ids: set[UUID], start: datetime, end: datetime | None) -> dict[UUID, Calendar]:
    """With `events_loaded`, in order."""
    if not ids:
        return {}
    calendars = Calendar.objects.in_bulk(ids)
    for calendar in calendars.values():
        calendar.events_loaded = []
    events = CalendarEvent.objects.filter(calendar__in=ids, ends_at__gt=start).order_by("starts_at", "pk")
    for event in events.filter(starts_at__lt=end) if end else events:
        calendars[event.calendar_id].events_loaded.append(event)
    return calendars


def _places(schedule_ids: Sequence[UUID], start: datetime) -> dict[UUID, list[tuple[int, UUID | None]]]:
    """The places of their layers, in order, and who has them."""
    rows = Participant.objects.filter(layer__schedule__in=schedule_ids).exclude(layer__replaced_at__lte=start)
    found: dict[UUID, list[tuple[int, UUID | None]]] = {}
    for layer_id, place, user_id in rows.order_by("position", "seat", "pk").values_list(
        "layer", "position", "user"
    ):
        found.setdefault(layer_id, []).append((place, user_id))
    return found


def people_visible_to(user: User | AnonymousUser) -> QuerySet[User]:
    """The asker and everybody who shares a team with them; everybody for a superuser, none for nobody."""
    if not user.is_authenticated:
        return User.objects.none()
    if user.is_superuser:
        return User.objects.all()
    shared = Membership.objects.filter(user=OuterRef("pk"), team__in=Team.objects.visible_to(user))
    return User.objects.filter(Q(pk=user.pk) | Exists(shared))


def responders_of(team: Team) -> QuerySet[User]:
    """Whom the team may put on call: its active responders and managers."""
    roles = (Role.RESPONDER, Role.MANAGER)
    return User.objects.filter(is_active=True, memberships__team=team, memberships__role__in=roles)
