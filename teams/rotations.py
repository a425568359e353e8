"""Schedules are written here, for the API, the pages and the admin: who takes turns, when, and who is the fallback.

What has been is not rewritten. A change takes effect now: the present version of a layer ends, and a new one begins; what has
not begun to count is replaced without a trace. Each write holds the schedule's row, so that of two at once the second
builds on the first. Repeating a write changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from openalert import audit

from .enums import Rotation
from .exceptions import LayerIsGone, NotAResponder
from .models import Calendar, Fallback, Layer, Participant, Schedule, Team, User
from .queries import responders_of
from .turns import ELAPSED, turns_of

# What a layer is described by, besides `participants` (a list of places, each a list of people) and `calendar_url`.
WRITTEN = (
    "name",
    "rotation",
    "turn_length",
    "hand_over_time",
    "hand_over_day",
    "starts_at",
    "ends_at",
    "restrictions",
    "holidays_of",
    "on_holidays",
)
TURNING = ("rotation", "turn_length", "hand_over_time", "hand_over_day", "starts_at")
DESCRIBED = {*WRITTEN, "participants", "calendar_url"}

Places = Sequence[Sequence[User]]


@dataclass
class _Wanted:
    """A layer as it shall be: of an earlier version's line, or a new one's."""

    values: dict[str, Any]
    participants: list[list[UUID | None]]
    calendar_url: str
    line: UUID | None = None
    row: Layer | None = field(default=None)  # a version that may be it already

    def is_row(self, position: int) -> bool:
        return self.row is not None and self.row.position == position and self == _as_it_is(self.row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Wanted) and (self.values, self.participants, self.calendar_url) == (
            other.values,
            other.participants,
            other.calendar_url,
        )


def create_schedule(
    *,
    team: Team,
    name: str,
    description: str = "",
    time_zone: str = "UTC",
    fallback: User | None = None,
    layers: Sequence[dict[str, Any]] = (),
) -> Schedule:
    """A new schedule, with layers as in `replace_layers`. Raises ValidationError, NotAResponder."""
    with transaction.atomic():
        schedule = Schedule(team=team, name=name, description=description, time_zone=time_zone)
        schedule.full_clean()
        schedule.save(force_insert=True)
        if fallback:
            set_fallback(schedule_id=schedule.pk, user=fallback)
        replace_layers(schedule_id=schedule.pk, layers=layers)
        return schedule


@transaction.atomic
def change_schedule(*, schedule_id: UUID, **values: Any) -> Schedule:
    """Change `team`, `name`, `description`, `time_zone`. With another time zone the hand-overs to come move; the past
    stays on the old one. Raises ValidationError."""
    schedule = _lock(schedule_id)
    before = schedule.time_zone
    for name in ("team", "name", "description", "time_zone"):
        if name in values:
            setattr(schedule, name, values.pop(name))
    if values:
        raise TypeError(f"schedules have no {', '.join(values)} to change")
    schedule.full_clean()
    schedule.save()
    if schedule.time_zone != before:
        schedule.layers.filter(own_time_zone="").update(own_time_zone=before)
        _write(schedule, [_wanted(_values(row), line=row.identity) for row in _in_force(schedule)])
    return schedule


@transaction.atomic
def set_fallback(*, schedule_id: UUID, user: User | None) -> None:
    """From now on `user` is on call whenever nobody else is; None for nobody. Raises NotAResponder."""
    schedule = _lock(schedule_id)
    present = Fallback.objects.filter(schedule=schedule, replaced_at=None).first()
    if (present.user if present else None) == user:
        return
    if user and not responders_of(schedule.team).filter(pk=user.pk).exists():
        raise NotAResponder(field="fallback")
    now = timezone.now()
    if present and present.in_force_at >= now:
        present.delete()
    elif present:
        present.replaced_at = now
        present.save()
    if user:
        Fallback.objects.create(schedule=schedule, user=user, in_force_at=now)


@transaction.atomic
def replace_layers(*, schedule_id: UUID, layers: Sequence[dict[str, Any]]) -> None:
    """From now on the schedule has these layers, the lowest first.

    Each is a dict of WRITTEN, `participants` (places in the order of their turns, each a list of people who are on
    together; somebody may have several) and `calendar_url`. Those that stay as they are are left alone; what stands in
    another's place is its new version. Raises ValidationError.
    """
    schedule = _lock(schedule_id)
    present = dict(enumerate(_in_force(schedule)))
    wanted = []
    for position, values in enumerate(layers):
        row = present.get(position)
        wanted.append(_wanted(values, line=row.identity if row else None, row=row))
    _write(schedule, wanted)


@transaction.atomic
def add_layer(*, schedule_id: UUID, **values: Any) -> Layer:
    """Add a layer on top of the others. Values as in `replace_layers`. Raises ValidationError."""
    schedule = _lock(schedule_id)
    wanted = [_as_it_is(row) for row in _in_force(schedule)]
    _write(schedule, [*wanted, _wanted(values)])
    return _in_force(schedule)[-1]


@transaction.atomic
def change_layer(*, layer_id: UUID, keep_turn: bool = False, **values: Any) -> Layer:
    """Change some values of a layer, as in `replace_layers`. Raises LayerIsGone, ValidationError.

    Turns are counted from the start, so other participants may mean that it is another's turn now. With `keep_turn`
    whoever is on call in the layer goes on until the next hand-over: the places stay in their order, which is a circle,
    but begin with theirs, and `starts_at` becomes the beginning of this turn. If they are no longer among the
    participants, whoever would have come next begins.
    """
    schedule, row = _lock_with_layer(layer_id)
    changed = _as_it_is(row)
    given = _wanted({**_values(row), **values}, line=row.identity, row=row)
    if keep_turn and given != changed:
        _keep_turn(row, given, timezone.now())
    rows = _in_force(schedule)
    _write(schedule, [given if r.pk == row.pk else _as_it_is(r) for r in rows])
    return schedule.layers.get(position=row.position, replaced_at=None)


@transaction.atomic
def remove_layer(*, layer_id: UUID) -> None:
    """It counts no longer. Raises LayerIsGone."""
    schedule, row = _lock_with_layer(layer_id)
    rows = [r for r in _in_force(schedule) if r.pk != row.pk]
    _write(schedule, [_as_it_is(r) for r in rows])


@transaction.atomic
def move_layer(*, layer_id: UUID, by: int) -> None:
    """Let it win over so many more layers, or fewer when negative; at the ends it stays. Raises LayerIsGone."""
    schedule, row = _lock_with_layer(layer_id)
    rows = _in_force(schedule)
    rows.remove(row)
    rows.insert(max(0, row.position + by), row)
    _write(schedule, [_as_it_is(r) for r in rows])


@transaction.atomic
def order_layers(*, schedule_id: UUID, lines: Sequence[UUID]) -> None:
    """Let later ones of these layers in force win over earlier ones; a layer is named by its `identity`.

    Those that are not named stay on top, in their order. Raises LayerIsGone.
    """
    schedule = _lock(schedule_id)
    rows = {row.identity: row for row in _in_force(schedule)}
    if not rows.keys() >= set(lines):
        raise LayerIsGone
    named = [rows.pop(line) for line in dict.fromkeys(lines)]
    _write(schedule, [_as_it_is(row) for row in [*named, *rows.values()]])


def _lock(schedule_id: UUID) -> Schedule:
    # NO KEY: rows that point at the schedule may be written meanwhile.
    return (
        Schedule.objects.select_for_update(no_key=True, of=("self",))
        .select_related("team")
        .get(pk=schedule_id)
    )


def _lock_with_layer(layer_id: UUID) -> tuple[Schedule, Layer]:
    schedule_id = Layer.objects.filter(pk=layer_id).values_list("schedule", flat=True).first()
    if schedule_id is None:
        raise LayerIsGone
    schedule = _lock(schedule_id)
    row = next((row for row in _in_force(schedule) if row.pk == layer_id), None)
    if row is None:
        raise LayerIsGone
    return schedule, row


def _in_force(schedule: Schedule) -> list[Layer]:
    rows = schedule.layers.filter(replaced_at=None).order_by("position").select_related("calendar")
    return list(rows.prefetch_related("participants__user"))


def _wanted(values: dict[str, Any], *, line: UUID | None = None, row: Layer | None = None) -> _Wanted:
    if unknown := values.keys() - DESCRIBED:
        raise TypeError(f"layers have no {', '.join(unknown)}")
    blank = Layer()
    return _Wanted(
        values={name: values.get(name, getattr(blank, name)) for name in WRITTEN},
        participants=[[user.pk for user in place] for place in values.get("participants", ())],
        calendar_url=values.get("calendar_url", ""),
        line=line,
        row=row,
    )


def _as_it_is(row: Layer) -> _Wanted:
    return _wanted(_values(row), line=row.identity, row=row)


def _values(row: Layer) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in WRITTEN},
        "participants": [list(place) for place in row.places],
        "calendar_url": row.calendar.url if row.calendar else "",
    }


def _write(schedule: Schedule, wanted: Sequence[_Wanted]) -> None:
    now = timezone.now()
    keep = {w.row.pk for position, w in enumerate(wanted) if w.row and w.is_row(position)}
    rows = [row for row in _in_force(schedule) if row.pk not in keep]
    if not rows and len(keep) == len(wanted):
        return
    for row in rows:
        if row.begins_at >= now:
            row.delete()
        else:
            row.replaced_at = now
            row.save(update_fields=["replaced_at", "updated_at"])
    for position, layer in enumerate(wanted):
        if layer.row is None or layer.row.pk not in keep:
            _create(schedule, position, layer, now)


def _create(schedule: Schedule, position: int, wanted: _Wanted, now: datetime) -> None:
    layer = Layer(schedule=schedule, position=position, line=wanted.line, in_force_at=now, **wanted.values)
    if wanted.calendar_url:
        layer.calendar = _calendar(schedule, wanted.calendar_url, now)
    layer.full_clean(exclude=["schedule", "calendar"], validate_constraints=False)
    layer.save(force_insert=True)
    participants = Participant.objects.bulk_create(
        Participant(layer=layer, user_id=user_id, position=place, seat=seat)
        for place, users in enumerate(wanted.participants)
        for seat, user_id in enumerate(dict.fromkeys(users) or (None,))
    )
    audit.created_all(participants)


def _calendar(schedule: Schedule, url: str, now: datetime) -> Calendar:
    # The database cannot look for a URL: it is encrypted. A schedule has a few.
    calendar = next((known for known in schedule.calendars.all() if known.url == url), None)
    if calendar is None:
        return Calendar.objects.create(schedule=schedule, url=url, due_at=now)
    if calendar.due_at is None:
        calendar.due_at = now
        calendar.save(update_fields=["due_at", "updated_at"])
    return calendar


def _keep_turn(row: Layer, given: _Wanted, now: datetime) -> None:
    """Make `given` begin with whose turn it is now."""
    old = [[user.pk for user in place] for place in row.places]
    if not old or not given.participants or not row.begins_at <= now < row.over_at:
        return
    turns = turns_of(row)
    number = max(0, turns.number(now))
    # Whose turn it is, or the first one to come who still takes part.
    for later in range(len(old)):
        here = set(old[(number + later) % len(old)])
        first = next((i for i, place in enumerate(given.participants) if here & set(place)), None)
        if first is not None:
            break
    else:
        return
    given.participants = given.participants[first:] + given.participants[:first]
    if any(given.values[name] != getattr(row, name) for name in TURNING):
        given.values["starts_at"] = now
        return
    given.values["starts_at"] = max(turns.begin(number), row.starts_at)
    local = row.starts_at.astimezone(row.tzinfo)
    if row.rotation in ELAPSED:
        given.values["hand_over_time"] = None
    elif row.hand_over_time is None:
        given.values["hand_over_time"] = local.time()
    if row.hand_over_day is None and row.rotation in (Rotation.WEEKLY, Rotation.MONTHLY):
        given.values["hand_over_day"] = local.day if row.rotation == Rotation.MONTHLY else local.isoweekday()
