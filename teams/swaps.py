"""Shift swaps: somebody asks to be relieved of a shift, and whoever was asked accepts or declines.

Accepted, it becomes overrides: the other is on call instead of the asker, and for a shift in return the asker instead of
the other. A request that nobody answers expires when the first of the shifts begins. Locks: the schedule, then the swap.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from openalert.exceptions import PermissionMissing

from . import notices, oncall, overrides
from .enums import SwapStatus
from .exceptions import (
    EndsBeforeStart,
    NotAResponder,
    NotOnCallThen,
    OverrideInThePast,
    ReturnNeedsSomebody,
    SpanTooLong,
    SwapIsOver,
    SwapWithOneself,
)
from .models import Notice, Schedule, ShiftSwap, User
from .queries import responders_of, with_rotation

BATCH = 200
LONGEST = timedelta(days=92)
Span = tuple[datetime, datetime]


@transaction.atomic
def ask(
    *,
    schedule: Schedule,
    by: User,
    starts_at: datetime,
    ends_at: datetime,
    asked: User | None = None,
    return_starts_at: datetime | None = None,
    return_ends_at: datetime | None = None,
    note: str = "",
    expires_at: datetime | None = None,
) -> ShiftSwap:
    """Ask `asked`, or any responder of the team, to take the asker's part of a span, maybe for one of theirs.

    Instants are aware. Raises EndsBeforeStart, OverrideInThePast, SpanTooLong, NotOnCallThen, NotAResponder, SwapWithOneself
    and ReturnNeedsSomebody.
    """
    now = timezone.now()
    first = starts_at
    if ends_at <= starts_at:
        raise EndsBeforeStart(field="ends_at")
    if starts_at < now:
        raise OverrideInThePast("It must begin in the future.", field="starts_at")
    if return_starts_at is not None or return_ends_at is not None:
        if asked is None:
            raise ReturnNeedsSomebody(field="asked")
        if return_starts_at is None or return_ends_at is None or return_ends_at <= return_starts_at:
            raise EndsBeforeStart(field="return_ends_at")
        if return_starts_at < now:
            raise OverrideInThePast("It must begin in the future.", field="return_starts_at")
        first = min(starts_at, return_starts_at)
    if ends_at - starts_at > LONGEST or (return_ends_at or first) - (return_starts_at or first) > LONGEST:
        raise SpanTooLong(field="ends_at" if ends_at - starts_at > LONGEST else "return_ends_at")
    if asked == by:
        raise SwapWithOneself(field="asked")
    for person, field in ((by, None), (asked, "asked")):
        if person and not responders_of(schedule.team).filter(pk=person.pk).exists():
            raise NotAResponder(field=field)
    swap = ShiftSwap(
        schedule=schedule,
        asker=by,
        asked=asked,
        starts_at=starts_at,
        ends_at=ends_at,
        return_starts_at=return_starts_at,
        return_ends_at=return_ends_at,
        note=note,
        expires_at=min(expires_at, first) if expires_at else first,
    )
    if swap.expires_at <= now:
        raise OverrideInThePast("It must expire in the future.", field="expires_at")
    _require_possible(swap)
    swap.save(force_insert=True)
    whom = [asked] if asked else responders_of(schedule.team).exclude(pk=by.pk)
    notices.give(_asking(swap, person) for person in whom)
    return swap


@transaction.atomic
def accept(*, swap_id: UUID, by: User) -> ShiftSwap:
    """Take the asker's shift. Repeating it changes nothing.

    Raises PermissionMissing, SwapIsOver, and NotOnCallThen when the schedule has changed so that there is nothing to swap.
    """
    swap = _lock(swap_id)
    if swap.status == SwapStatus.ACCEPTED and swap.answered_by_id == by.pk:
        return swap
    _require_open(swap)
    _require_asked(swap, by)
    _require_possible(swap, taker=by)
    spans = [(by, swap.asker, swap.starts_at, swap.ends_at)]
    if swap.return_starts_at and swap.return_ends_at:
        spans.append((swap.asker, by, swap.return_starts_at, swap.return_ends_at))
    for user, replaces, starts_at, ends_at in spans:
        overrides.add_override(
            schedule=swap.schedule, user=user, replaces=replaces, starts_at=starts_at, ends_at=ends_at, by=by
        )
    return _answer(swap, SwapStatus.ACCEPTED, by)


@transaction.atomic
def decline(*, swap_id: UUID, by: User) -> ShiftSwap:
    """For the one who was asked. Repeating it changes nothing. Raises PermissionMissing, SwapIsOver."""
    swap = _lock(swap_id)
    if swap.asked_id != by.pk:
        raise PermissionMissing("Only the one who was asked may decline.")
    if swap.status == SwapStatus.DECLINED:
        return swap
    _require_open(swap)
    return _answer(swap, SwapStatus.DECLINED, by)


@transaction.atomic
def withdraw(*, swap_id: UUID, by: User) -> ShiftSwap:
    """For the asker. Repeating it changes nothing. Raises PermissionMissing, SwapIsOver."""
    swap = _lock(swap_id)
    if swap.asker_id != by.pk:
        raise PermissionMissing("Only the asker may withdraw the request.")
    if swap.status == SwapStatus.WITHDRAWN:
        return swap
    _require_open(swap)
    swap.status, swap.answered_at = SwapStatus.WITHDRAWN, timezone.now()
    swap.save()
    return swap


@transaction.atomic
def expire() -> int:
    """End a batch of the requests whose time is up, and tell their askers; says how many. Any number may run at once."""
    due = ShiftSwap.objects.filter(status=SwapStatus.ASKED, expires_at__lte=timezone.now())
    rows = list(
        due.select_for_update(skip_locked=True, of=("self",)).select_related("asker", "schedule")[:BATCH]
    )
    for swap in rows:
        swap.status = SwapStatus.EXPIRED
    ShiftSwap.objects.bulk_update(rows, ["status"])
    notices.give(
        _to_asker(
            swap, f"Nobody took your shift of {swap.schedule}", "The request has expired: it stays yours."
        )
        for swap in rows
    )
    return len(rows)


def _lock(swap_id: UUID) -> ShiftSwap:
    schedule_id = ShiftSwap.objects.values_list("schedule", flat=True).get(pk=swap_id)
    Schedule.objects.select_for_update(no_key=True).get(pk=schedule_id)
    return (
        ShiftSwap.objects.select_for_update(of=("self",))
        .select_related("asker", "asked", "schedule__team")
        .get(pk=swap_id)
    )


def _require_open(swap: ShiftSwap) -> None:
    if swap.status != SwapStatus.ASKED:
        raise SwapIsOver(swap.status)
    if swap.expires_at <= timezone.now():
        raise SwapIsOver("expired")


def _require_asked(swap: ShiftSwap, by: User) -> None:
    if swap.asked_id and swap.asked_id != by.pk:
        raise PermissionMissing("Somebody else was asked.")
    if by.pk == swap.asker_id or not responders_of(swap.schedule.team).filter(pk=by.pk).exists():
        raise PermissionMissing("Only another responder of the team may accept.")


def _require_possible(swap: ShiftSwap, taker: User | None = None) -> None:
    """Both have what they give away, for all of the time."""
    _require_on_call(swap.schedule, swap.asker, (swap.starts_at, swap.ends_at), "starts_at")
    other = taker or swap.asked
    if other and swap.return_starts_at and swap.return_ends_at:
        _require_on_call(
            swap.schedule, other, (swap.return_starts_at, swap.return_ends_at), "return_starts_at"
        )


def _require_on_call(schedule: Schedule, user: User, span: Span, field: str) -> None:
    start, end = span
    loaded = with_rotation(Schedule.objects.filter(pk=schedule.pk), start=start, end=end).get()
    at = start
    for shift in oncall.shifts(loaded, start, end):
        if shift.starts_at > at or user not in shift.users:
            break
        at = shift.ends_at
    if at < end:
        raise NotOnCallThen(user, field=field)


def _answer(swap: ShiftSwap, status: SwapStatus, by: User) -> ShiftSwap:
    swap.status, swap.answered_by, swap.answered_at = status, by, timezone.now()
    swap.save()
    if status == SwapStatus.ACCEPTED:
        title, text = f"{by} takes your shift of {swap.schedule}", "It is no longer yours."
    else:
        title, text = f"{by} does not take your shift of {swap.schedule}", "It stays yours."
    notices.give([_to_asker(swap, title, text)])
    return swap


def _asking(swap: ShiftSwap, person: User) -> Notice:
    lines = [
        f"{swap.asker} asks whether you take their shift of {swap.schedule}, {_span(swap.starts_at, swap.ends_at, person)}."
    ]
    if swap.return_starts_at and swap.return_ends_at:
        lines.append(
            f"In return they take yours, {_span(swap.return_starts_at, swap.return_ends_at, person)}."
        )
    if swap.note:
        lines += ["", swap.note]
    return notices.notice(
        person,
        key=f"swap:{swap.pk}",
        subject=f"{swap.asker} asks you to take a shift of {swap.schedule}",
        text="\n".join(lines),
        path=reverse("my-shifts"),
        void_at=swap.expires_at,
    )


def _to_asker(swap: ShiftSwap, subject: str, text: str) -> Notice:
    span = _span(swap.starts_at, swap.ends_at, swap.asker)
    return notices.notice(
        swap.asker,
        key=f"swap:{swap.pk}:{swap.status}",
        subject=subject,
        text=f"{span}. {text}",
        path=reverse("my-shifts"),
    )


def _span(start: datetime, end: datetime, person: User) -> str:
    zone = ZoneInfo(person.time_zone)
    return f"{start.astimezone(zone):%a %d %b, %H:%M} – {end.astimezone(zone):%a %d %b, %H:%M} ({person.time_zone})"


def open_for(user: User) -> Iterable[ShiftSwap]:
    """The requests that the person may answer now, the most urgent first."""
    now = timezone.now()
    waiting = ShiftSwap.objects.filter(status=SwapStatus.ASKED, expires_at__gt=now).exclude(asker=user)
    teams = user.memberships.exclude(role="observer").values("team")
    mine = waiting.filter(asked=user) | waiting.filter(asked=None, schedule__team__in=teams)
    return mine.select_related("asker", "asked", "schedule").order_by("expires_at")
