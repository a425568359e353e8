"""At the hand-over: whoever comes on call is told an hour before, and finds what the last ones left them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import timezone

from openalert.words import span_in_words

from . import notices, oncall
from .access import can_manage, require_respond
from .exceptions import NotYours
from .models import HandOverNote, Notice, Schedule, User
from .queries import with_rotation

AHEAD = timedelta(hours=1)
LOOKS_ON = timedelta(days=14)
BATCH = 200
NOTE_LASTS = timedelta(days=30)


def write_note(*, schedule: Schedule, text: str, by: User) -> HandOverNote:
    """Leave a note for those who come on call next. Raises PermissionMissing."""
    require_respond(by, schedule.team)
    return HandOverNote.objects.create(schedule=schedule, author=by, text=text)


def remove_note(*, note: HandOverNote, by: User) -> None:
    """Its author and the team's managers may. Raises NotYours. Repeating it changes nothing."""
    if note.author_id != by.pk and not can_manage(by, note.schedule.team):
        raise NotYours
    HandOverNote.objects.filter(pk=note.pk).delete()


def last_note(schedule_id: UUID, *, at: datetime) -> HandOverNote | None:
    """The newest note, unless it is a month old."""
    recent = HandOverNote.objects.filter(schedule=schedule_id, created_at__gt=at - NOTE_LASTS)
    return recent.select_related("author").first()


def last_notes(schedules: Iterable[Schedule], *, at: datetime) -> dict[UUID, HandOverNote]:
    """The same of many, by the schedule's id."""
    recent = HandOverNote.objects.filter(
        schedule__in=[schedule.pk for schedule in schedules], created_at__gt=at - NOTE_LASTS
    )
    newest = recent.order_by("schedule_id", "-created_at").distinct("schedule_id")
    return {note.schedule_id: note for note in newest.select_related("author")}


def give_notices(*, at: datetime | None = None) -> None:
    """Tell everybody who comes on call within AHEAD, once for a shift and person, however often this runs.

    Somebody who is on call already, and goes on with others or by another layer, is not told.
    """
    at = at or timezone.now()
    ids = list(Schedule.objects.order_by("pk").values_list("pk", flat=True))
    for first in range(0, len(ids), BATCH):
        schedules = Schedule.objects.filter(pk__in=ids[first : first + BATCH])
        for schedule in with_rotation(schedules, start=at, end=at + LOOKS_ON):
            notices.give(list(_notices_for(schedule, at)))


def _notices_for(schedule: Schedule, at: datetime) -> Iterator[Notice]:
    shifts = oncall.shifts(schedule, at, at + AHEAD)
    for number, shift in enumerate(shifts):
        if shift.starts_at <= at:
            continue
        before = shifts[number - 1] if number else None
        is_next = before is not None and before.ends_at == shift.starts_at
        for user in shift.users:
            if not (before and is_next and user in before.users):
                yield _notice(schedule, shift, user, at)


def _notice(schedule: Schedule, shift: oncall.Shift, user: User, at: datetime) -> Notice:
    zone = ZoneInfo(user.time_zone)
    begins, ends = shift.starts_at, _end_for(schedule, user, shift.starts_at)
    until = f", until {ends.astimezone(zone):%a %d %b, %H:%M}" if ends else ""
    others = [str(other) for other in shift.users if other != user]
    lines = [
        f"From {begins.astimezone(zone):%a %d %b, %H:%M}{until} ({user.time_zone}) you are on call for {schedule}."
    ]
    if others:
        lines.append(f"With you: {', '.join(others)}.")
    if note := last_note(schedule.pk, at=at):
        lines += ["", f"{note.author or 'Somebody'} left a note:", note.text]
    return notices.notice(
        user,
        key=f"on-call:{schedule.pk}:{begins:%Y%m%dT%H%M%SZ}",
        subject=f"You go on call for {schedule} in {span_in_words(begins - at)}",
        text="\n".join(lines),
        path=reverse("schedule", args=[schedule.pk]),
        void_at=begins,
    )


def _end_for(schedule: Schedule, user: User, start: datetime) -> datetime | None:
    """Until when the person is on without a break; None when that is farther than we look."""
    horizon = start + LOOKS_ON - AHEAD
    end = start
    for shift in oncall.shifts(schedule, start, horizon):
        if shift.starts_at > end or user not in shift.users:
            break
        end = shift.ends_at
    return end if end < horizon else None
