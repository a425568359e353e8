"""The look ahead: what will go wrong with schedules in the next 30 days, unless somebody mends it.

A finding is a warning; nothing is refused for it. Apps above this one add what they know (`checks`) when they start.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from openalert.words import span_in_words

from . import notices, oncall, signals
from .enums import Role
from .models import Layer, Membership, Schedule, Team, User
from .queries import with_rotation

HORIZON = timedelta(days=30)
BATCH = 100
MOST_TOLD = 20


@dataclass(frozen=True)
class Finding:
    """`code` for programs, `detail` for people; what it is about as far as it applies.

    gap, fallback_only, layer_without_turns, layer_empty, layer_ended, person_deleted, person_inactive, not_a_responder,
    person_twice, calendar_failing, calendar_unmatched; others by the apps above.
    """

    code: str
    detail: str
    team: Team
    schedule: Schedule | None = None
    layer: Layer | None = None
    user: User | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def is_urgent(self) -> bool:
        """Somebody's page would reach nobody."""
        return self.code in ("gap", "unreachable", "step_empty")

    @property
    def pattern(self) -> str:
        """The same for what comes again every week."""
        when = ""
        if self.starts_at and self.ends_at and self.schedule:
            zone = self.schedule.tzinfo
            when = f"{self.starts_at.astimezone(zone):%a %H:%M}–{self.ends_at.astimezone(zone):%a %H:%M}"
        rows = (
            self.schedule and self.schedule.pk,
            self.layer and self.layer.identity,
            self.user and self.user.pk,
        )
        return f"{self.code} {rows} {when}"


# Loaded schedules (for the next 30 days) of some teams, and now → what is wrong, in a fixed number of queries.
Check = Callable[[Sequence[Team], Sequence[Schedule], datetime], Iterable[Finding]]
checks: list[Check] = []


def load(schedules: QuerySet[Schedule], at: datetime) -> list[Schedule]:
    """As `check` wants them."""
    return list(with_rotation(schedules, start=at, end=at + HORIZON))


def check(teams: Sequence[Team], schedules: Sequence[Schedule], *, at: datetime) -> list[Finding]:
    """What is wrong with the teams' schedules (all of them, loaded by `load`) in the next 30 days."""
    responders: dict[UUID, set[UUID]] = {}
    for team_id, user_id in (
        Membership.objects.filter(team__in=[team.pk for team in teams], user__is_active=True)
        .exclude(role=Role.OBSERVER)
        .values_list("team", "user")
    ):
        responders.setdefault(team_id, set()).add(user_id)
    found: list[Finding] = []
    finals = {schedule.pk: oncall.shifts(schedule, at, at + HORIZON) for schedule in schedules}
    for schedule in schedules:
        found += _of_time(schedule, finals[schedule.pk], at)
        found += _of_layers(schedule, finals[schedule.pk], at)
        found += _of_people(schedule, responders.get(schedule.team_id, set()), at)
        found += _of_calendars(schedule)
    for team in teams:
        own = [schedule for schedule in schedules if schedule.team_id == team.pk]
        found += _twice(team, own, finals)
    for more in checks:
        found += more(teams, schedules, at)
    return found


def check_schedule(schedule: Schedule, *, at: datetime | None = None) -> list[Finding]:
    """What is wrong with one schedule. Loads what it needs."""
    at = at or timezone.now()
    schedules = load(Schedule.objects.filter(team=schedule.team_id), at)
    found = check([schedule.team], schedules, at=at)
    return [finding for finding in found if finding.schedule == schedule]


def _of_time(schedule: Schedule, shifts: Sequence[oncall.Shift], at: datetime) -> Iterator[Finding]:
    end = at + HORIZON
    reached = at
    for begins, ends in [*((s.starts_at, s.ends_at) for s in shifts), (end, end)]:
        if begins > reached:
            yield Finding(
                "gap",
                f"Nobody is on call for {span_in_words(begins - reached)}.",
                schedule.team,
                schedule,
                starts_at=reached,
                ends_at=begins,
            )
        reached = ends
    for shift in shifts:
        if shift.is_fallback:
            yield Finding(
                "fallback_only",
                f"Only the fallback, {shift.names}, is on call for {span_in_words(shift.ends_at - shift.starts_at)}.",
                schedule.team,
                schedule,
                user=shift.users[0],
                starts_at=shift.starts_at,
                ends_at=shift.ends_at,
            )


def _of_layers(schedule: Schedule, shifts: Sequence[oncall.Shift], at: datetime) -> Iterator[Finding]:
    end = at + HORIZON
    with_turn = {shift.layer.identity for shift in shifts if shift.layer}
    for layer in schedule.rows.layers:
        if layer.replaced_at is not None:
            continue

        def finding(code: str, detail: str, layer: Layer = layer) -> Finding:
            return Finding(code, detail, schedule.team, schedule, layer)

        if layer.over_at <= at:
            yield finding("layer_ended", f"The layer “{layer.name}” has ended.")
        elif not layer.calendar_id and not any(layer.places):
            yield finding("layer_empty", f"The layer “{layer.name}” has no participants.")
        elif layer.identity not in with_turn and layer.begins_at < end:
            alone = oncall.layer_shifts(layer, at, end)
            why = "others always win over it" if alone else "it never counts, or its people are inactive"
            yield finding(
                "layer_without_turns",
                f"Nobody of the layer “{layer.name}” gets a turn in the next {HORIZON.days} days: {why}.",
            )


def _of_people(schedule: Schedule, responders: set[UUID], at: datetime) -> Iterator[Finding]:
    for layer in schedule.rows.layers:
        if layer.replaced_at is not None or layer.over_at <= at or layer.calendar_id:
            continue
        if empty := sum(1 for place in layer.places if not place):
            turns = "turn" if empty == 1 else "turns"
            yield Finding(
                "person_deleted",
                f"{empty} {turns} of the layer “{layer.name}” belong to nobody: somebody was deleted.",
                schedule.team,
                schedule,
                layer,
            )
        for user in dict.fromkeys(user for place in layer.places for user in place):
            if not user.is_active:
                code, words = "person_inactive", "is inactive: their turns fall to the next layer"
            elif user.pk not in responders:
                code, words = "not_a_responder", "is no responder of the team: they may not answer a page"
            else:
                continue
            yield Finding(
                code,
                f"{user} takes part in the layer “{layer.name}” but {words}.",
                schedule.team,
                schedule,
                layer,
                user,
            )


def _of_calendars(schedule: Schedule) -> Iterator[Finding]:
    for layer in schedule.rows.layers:
        calendar = layer.calendar
        if layer.replaced_at is not None or calendar is None:
            continue
        if calendar.failing_since_at:
            detail = f"The calendar of the layer “{layer.name}” cannot be read: {calendar.failure}"
            yield Finding("calendar_failing", detail, schedule.team, schedule, layer)
        if calendar.unmatched:
            titles = ", ".join(f"“{title}”" for title in calendar.unmatched[:5])
            detail = f"Events of the calendar of the layer “{layer.name}” name nobody of the team: {titles}."
            yield Finding("calendar_unmatched", detail, schedule.team, schedule, layer)


def _twice(
    team: Team, schedules: Sequence[Schedule], finals: dict[UUID, list[oncall.Shift]]
) -> Iterator[Finding]:
    """The same person in two schedules at once: the second line is then no other than the first."""
    for number, one in enumerate(schedules):
        for other in schedules[number + 1 :]:
            doubled: dict[User, tuple[datetime, datetime]] = {}
            for user, begins, ends in _both(finals[one.pk], finals[other.pk]):
                doubled.setdefault(user, (begins, ends))
            for user, (begins, ends) in doubled.items():
                yield Finding(
                    "person_twice",
                    f"{user} is on call in both {one} and {other} at once, for the first time for "
                    f"{span_in_words(ends - begins)}.",
                    team,
                    one,
                    user=user,
                    starts_at=begins,
                    ends_at=ends,
                )


def _both(
    one: Sequence[oncall.Shift], other: Sequence[oncall.Shift]
) -> Iterator[tuple[User, datetime, datetime]]:
    place = 0
    for shift in one:
        while place < len(other) and other[place].ends_at <= shift.starts_at:
            place += 1
        number = place
        while number < len(other) and other[number].starts_at < shift.ends_at:
            for user in shift.users:
                if user in other[number].users and not (shift.is_fallback or other[number].is_fallback):
                    yield (
                        user,
                        max(shift.starts_at, other[number].starts_at),
                        min(shift.ends_at, other[number].ends_at),
                    )
            number += 1


def tell_managers(*, at: datetime | None = None) -> None:
    """Tell each team's managers what is wrong, and send the fact. The same findings are told once a week, however often
    this runs; what comes again every week is the same."""
    at = at or timezone.now()
    ids = list(
        Team.objects.filter(schedules__isnull=False).distinct().order_by("pk").values_list("pk", flat=True)
    )
    for first in range(0, len(ids), BATCH):
        teams = list(Team.objects.filter(pk__in=ids[first : first + BATCH]))
        findings = check(teams, load(Schedule.objects.filter(team__in=teams), at), at=at)
        if findings:
            with transaction.atomic():
                signals.coverage_found.send(sender=Finding, findings=findings)
                _give(teams, findings, at)


def _give(teams: Sequence[Team], findings: Sequence[Finding], at: datetime) -> None:
    managers = Membership.objects.filter(team__in=teams, role=Role.MANAGER, user__is_active=True)
    by_team: dict[UUID, list[Finding]] = {}
    for finding in findings:
        by_team.setdefault(finding.team.pk, []).append(finding)
    notices.give(
        notices.notice(
            membership.user,
            key=f"coverage:{membership.team_id}:{_digest(by_team[membership.team_id], at)}",
            subject=f"On-call schedules of {membership.team} need a look",
            text=_as_text(by_team[membership.team_id], membership.user),
            path=reverse("on-call"),
        )
        for membership in managers.select_related("user", "team")
        if membership.team_id in by_team
    )


def _digest(findings: Iterable[Finding], at: datetime) -> str:
    week = f"{at:%G-W%V}"
    patterns = "\n".join(sorted({finding.pattern for finding in findings}))
    return f"{week}:{hashlib.sha256(patterns.encode()).hexdigest()[:16]}"


def _as_text(findings: Sequence[Finding], reader: User) -> str:
    ordered = sorted(
        findings, key=lambda finding: (not finding.is_urgent, finding.starts_at or timezone.now())
    )
    lines = [f"In the next {HORIZON.days} days:", ""]
    for finding in ordered[:MOST_TOLD]:
        when = f"{finding.starts_at.astimezone(reader.tzinfo):%a %d %b, %H:%M}: " if finding.starts_at else ""
        lines.append(f"- {f'{finding.schedule}: ' if finding.schedule else ''}{when}{finding.detail}")
    if len(ordered) > MOST_TOLD:
        lines.append(f"- and {len(ordered) - MOST_TOLD} more")
    return "\n".join(lines)
