"""On-call schedules. Who is on call is teams.oncall's answer; teams.rotations and teams.overrides write them.

What has been stays true: a layer is not changed but replaced by a newer version of itself, in force from then on.
"""

import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, URLValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from openalert.base import BaseModel
from openalert.encryption import EncryptedCharField
from teams.enums import OnHolidays, Rotation
from teams.windows import check_holidays_of, check_windows

from .people import Team, TimeZoneNameField, User
from .services import TeamOwnedQuerySet

SHORTEST_TURN_MINUTES = 15


@dataclass(slots=True)
class Rows:
    """What teams.queries.with_rotation loads of a schedule, to answer for the instants from `start` until `end` (None: for
    ever): layers from the lowest up, overrides and fallbacks from the oldest on."""

    start: datetime | None = None
    end: datetime | None = None
    layers: Sequence["Layer"] = ()
    overrides: Sequence["Override"] = ()
    fallbacks: Sequence["Fallback"] = ()

    def cover(self, start: datetime, end: datetime) -> bool:
        return (self.start is None or self.start <= start) and (self.end is None or end <= self.end)


class ScheduleQuerySet(TeamOwnedQuerySet):
    _then: Callable[[list["Schedule"]], None] | None = None

    def and_then(self, load: Callable[[list["Schedule"]], None]) -> "ScheduleQuerySet":
        """Have `load` called with the schedules as soon as they are fetched, to add to them."""
        clone = self._chain()
        clone._then = load
        return clone

    def _clone(self) -> "ScheduleQuerySet":
        clone = super()._clone()
        clone._then = self._then
        return clone

    def _fetch_all(self) -> None:
        is_new = self._result_cache is None
        super()._fetch_all()
        if is_new and self._then and self._result_cache and isinstance(self._result_cache[0], Schedule):
            self._then(self._result_cache)


class Schedule(BaseModel):
    """Who is on call when. The answer is teams.oncall's."""

    rows: Rows  # once teams.queries.with_rotation has loaded it

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="schedules")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    time_zone = TimeZoneNameField()

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), "team", name="schedule_name_unique_in_team"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    @property
    def fallback(self) -> User | None:
        """Who is on call when nobody else is. Without loaded rows, a query."""
        if "rows" in self.__dict__:
            present = [row for row in self.rows.fallbacks if row.replaced_at is None]
        else:
            present = list(self.fallbacks.filter(replaced_at=None).select_related("user"))
        return present[0].user if present else None


class Calendar(BaseModel):
    """A calendar elsewhere that says who is on call in a layer, as it was last fetched. See teams.calendars."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="calendars")
    url = EncryptedCharField(max_length=1000, validators=[URLValidator()])
    due_at = models.DateTimeField(null=True, help_text="When it is fetched next.")
    fetched_at = models.DateTimeField(null=True, help_text="When a good copy came last.")
    failing_since_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)
    events_loaded: list["CalendarEvent"]  # in order; once teams.queries.with_rotation has loaded them
    unmatched = models.JSONField(default=list, help_text="Titles of events that name nobody of the team.")

    class Meta:
        ordering = ["created_at"]
        indexes = [models.Index(fields=["due_at"], name="calendar_by_due_at")]

    def __str__(self) -> str:
        return self.host

    @property
    def host(self) -> str:
        """The address without what may be secret in it."""
        return self.url.split("/")[2].rpartition("@")[2] if self.url.count("/") >= 2 else ""


class CalendarEvent(BaseModel):
    """A person on call by a calendar, between two instants."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="events")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        ordering = ["starts_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="calendar_event_ends_after_start"
            )
        ]
        indexes = [models.Index(fields=["calendar", "ends_at"], name="calendar_event_by_end")]

    def __str__(self) -> str:
        return f"{self.user} · {self.starts_at}"


class Layer(BaseModel):
    """One version of one rotation. Of two layers, the one with the higher position wins.

    It counts from `begins_at` until `over_at`. Turns are counted from the last hand-over at or before `starts_at`, so
    the first turn may be a shorter one.
    """

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="layers")
    name = models.CharField(max_length=120, default="Rotation")
    position = models.PositiveSmallIntegerField(default=0)
    rotation = models.CharField(max_length=16, choices=Rotation, default=Rotation.WEEKLY)
    turn_length = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1)],
        help_text="Hours, days, weeks, months or (custom) minutes until the hand-over.",
    )
    hand_over_time = models.TimeField(
        null=True, blank=True, help_text="Local time. Without one, that of the start."
    )
    hand_over_day = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        help_text="For weeks 1 (Monday) to 7, for months 1 to 31 or else the month's last day. Without one, the start's.",
    )
    starts_at = models.DateTimeField(
        help_text="When the first of the participants begins: its local day and time set all hand-overs "
        "unless these have their own."
    )
    ends_at = models.DateTimeField(null=True, blank=True)
    restrictions = models.JSONField(
        default=list,
        blank=True,
        validators=[check_windows],
        help_text="When the layer counts, in local time; always when empty. Several add up.",
    )
    holidays_of = models.CharField(
        max_length=12,
        blank=True,
        validators=[check_holidays_of],
        help_text="Whose public holidays: a country like DE, or a part of it like DE-BY (ISO 3166).",
    )
    on_holidays = models.CharField(
        max_length=8,
        choices=OnHolidays,
        default=OnHolidays.SAME,
        help_text="on: the whole day counts, besides the restrictions; without restrictions it counts on holidays alone.",
    )
    calendar = models.ForeignKey(
        Calendar, on_delete=models.SET_NULL, null=True, blank=True, related_name="layers", editable=False
    )

    line = models.UUIDField(null=True, editable=False)  # of a later version: the first one's id
    in_force_at = models.DateTimeField(null=True, editable=False)
    replaced_at = models.DateTimeField(null=True, editable=False)
    own_time_zone = TimeZoneNameField(
        default="", blank=True, editable=False
    )  # of a version from before the schedule's changed

    class Meta:
        ordering = ["schedule", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "position"],
                condition=Q(replaced_at__isnull=True),
                name="layer_position_unique_in_force",
            ),
            models.CheckConstraint(condition=Q(turn_length__gte=1), name="layer_turn_length_positive"),
            models.CheckConstraint(condition=Q(rotation__in=Rotation.values), name="layer_rotation_known"),
            models.CheckConstraint(
                condition=Q(on_holidays__in=OnHolidays.values), name="layer_on_holidays_known"
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="layer_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule} · {self.name}"

    def clean(self) -> None:
        """Raises ValidationError for a hand-over or a length that the rotation does not know, and a wrong end."""
        super().clean()
        highest = {Rotation.WEEKLY.value: 7, Rotation.MONTHLY.value: 31}.get(self.rotation, 0)
        if self.hand_over_day is not None and not 1 <= self.hand_over_day <= highest:
            raise ValidationError(
                {
                    "hand_over_day": f"Choose a day from 1 to {highest}."
                    if highest
                    else "Only turns of weeks or months are handed over on a certain day."
                }
            )
        if self.rotation == Rotation.CUSTOM and self.turn_length and self.turn_length < SHORTEST_TURN_MINUTES:
            raise ValidationError({"turn_length": f"At least {SHORTEST_TURN_MINUTES} minutes."})
        if self.starts_at and self.ends_at and self.ends_at <= self.starts_at:
            raise ValidationError({"ends_at": "It must end after it starts."})
        if self.on_holidays != OnHolidays.SAME and not self.holidays_of:
            raise ValidationError({"holidays_of": "Say whose public holidays."})

    @property
    def identity(self) -> UUID:
        """The same for all versions of a layer."""
        return self.line or self.pk

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.own_time_zone) if self.own_time_zone else self.schedule.tzinfo

    @property
    def is_always_open(self) -> bool:
        return not self.restrictions and self.on_holidays == OnHolidays.SAME

    @property
    def begins_at(self) -> datetime:
        return max(self.starts_at, self.in_force_at) if self.in_force_at else self.starts_at

    @property
    def over_at(self) -> datetime:
        """The end of time when none is set."""
        ends = [at for at in (self.ends_at, self.replaced_at) if at]
        return min(ends) if ends else END_OF_TIME

    @cached_property
    def places(self) -> list[tuple[User, ...]]:
        """Who is on in each turn, in order; a place whose person was deleted is empty."""
        rows = self.participants.select_related("user").order_by("position", "seat", "pk")
        return grouped((row.position, row.user) for row in rows)


def grouped(rows: Iterable[tuple[int, User | None]]) -> list[tuple[User, ...]]:
    """The people of each place, from rows in order of the places; a place of nobody (None) is empty."""
    places: dict[int, tuple[User, ...]] = {}
    for place, user in rows:
        here = places.setdefault(place, ())
        if user:
            places[place] = (*here, user)
    return list(places.values())


END_OF_TIME = datetime(9000, 1, 1, tzinfo=UTC)


class Participant(BaseModel):
    """A person in a rotation. Those who share a place are on call together.

    When a person is deleted their place stays, so that nobody else's turn moves.
    """

    layer = models.ForeignKey(Layer, on_delete=models.CASCADE, related_name="participants")
    user = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="participations")
    position = models.PositiveSmallIntegerField(default=0)
    seat = models.PositiveSmallIntegerField(default=0, help_text="The order of those who share a place.")

    class Meta:
        ordering = ["layer", "position", "seat"]
        constraints = [
            models.UniqueConstraint(fields=["layer", "position", "user"], name="participant_once_in_a_place")
        ]

    def __str__(self) -> str:
        return str(self.user or "somebody deleted")


class Fallback(BaseModel):
    """Who is on call while nobody else is, until somebody else takes that part."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="fallbacks")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    in_force_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["in_force_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule"], condition=Q(replaced_at__isnull=True), name="fallback_one_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.schedule}"


class Override(BaseModel):
    """One person instead of whoever else would be on call, or instead of one of them, for a while."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="overrides")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="overrides")
    replaces = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Only this person's part; without one, everybody's.",
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="override_ends_after_start")
        ]
        indexes = [models.Index(fields=["schedule", "ends_at"], name="override_by_end")]

    def __str__(self) -> str:
        return f"{self.user} · {self.schedule}"

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at
