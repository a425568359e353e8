"""Reads over several tables."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast
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
from .standing import sees_everything

LOOKBACK = timedelta(days=1)
# What nobody asks of the people on call.
NOT_OF_DUTY = ("password", "last_login", "created_at", "updated_at")


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
    ids = _any_of(schedule.pk for schedule in schedules)
    in_force = Q(replaced_at=None) | Q(replaced_at__gt=start)
    layers = list(
        Layer.objects.filter(in_force, schedule__in=ids)
        .defer("created_at", "updated_at")
        .order_by("position")
    )
    held = Override.objects.filter(schedule__in=ids, ends_at__gt=start).defer("updated_at")
    overrides = list((held.filter(starts_at__lt=end) if end else held).order_by("created_at", "pk"))
    fallbacks = list(Fallback.objects.filter(in_force, schedule__in=ids).order_by("in_force_at"))
    calendars = _calendars({layer.calendar_id for layer in layers if layer.calendar_id}, start, end)
    events = [event for calendar in calendars.values() for event in calendar.events_loaded]
    places = _places(ids, start)
    with_people: list[Any] = [*overrides, *fallbacks, *events]
    users = {str(row.user_id) for row in with_people}.union(*(of_layer for _, of_layer in places.values()))
    wanted = User.objects.filter(pk__in=_any_of(users - {None})).defer(*NOT_OF_DUTY)
    people = {str(user.pk): user for user in wanted}
    for row in with_people:
        row.user = people[str(row.user_id)]
    found = {schedule.pk: schedule for schedule in schedules}
    for layer in layers:
        layer.schedule = found[layer.schedule_id]
        if layer.calendar_id:
            layer.calendar = calendars[layer.calendar_id]
        numbers, user_ids = places.get(layer.pk, ((), ()))
        layer.places = grouped(
            (number, people.get(user_id or "")) for number, user_id in zip(numbers, user_ids, strict=True)
        )
    of_layers, of_overrides, of_fallbacks = (_by_schedule(rows) for rows in (layers, overrides, fallbacks))
    for schedule in schedules:
        pk = schedule.pk
        schedule.rows = Rows(
            start, end, of_layers.get(pk, ()), of_overrides.get(pk, ()), of_fallbacks.get(pk, ())
        )


def _any_of(ids: Iterable[UUID | str | None]) -> RawSQL:
    """For `…__in`: one parameter, whatever their number."""
    return RawSQL("SELECT unnest(%s::uuid[])", [[str(pk) for pk in ids]])


def _by_schedule(rows: Sequence[Any]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for row in rows:
        found.setdefault(row.schedule_id, []).append(row)
    return found


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


def _places(schedule_ids: RawSQL, start: datetime) -> dict[UUID, tuple[list[int], list[str | None]]]:
    """The numbers of their layers' places, in order, and the ids of who has them."""
    rows = Participant.objects.filter(layer__schedule__in=schedule_ids).exclude(layer__replaced_at__lte=start)
    order = ("position", "seat", "pk")
    of_layers = (
        rows.order_by()
        .values_list("layer")
        .annotate(
            numbers=ArrayAgg("position", order_by=order),
            user_ids=ArrayAgg(Cast("user", CharField()), order_by=order),
        )
    )
    return {layer_id: (numbers, user_ids) for layer_id, numbers, user_ids in of_layers}


def people_visible_to(user: User | AnonymousUser) -> QuerySet[User]:
    """The asker and everybody who shares a team with them; everybody for those who see everything, none for nobody."""
    if not user.is_authenticated:
        return User.objects.none()
    if sees_everything(user):
        return User.objects.filter(is_service_account=False)
    shared = Membership.objects.filter(user=OuterRef("pk"), team__in=Team.objects.visible_to(user))
    return User.objects.filter(Q(pk=user.pk) | Exists(shared))


def responders_of(team: Team) -> QuerySet[User]:
    """Whom the team may put on call: its active responders and managers."""
    roles = (Role.RESPONDER, Role.MANAGER)
    return User.objects.filter(is_active=True, memberships__team=team, memberships__role__in=roles)
