"""What this app knows of people on call: whether they can be reached."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db.models import Count, Q

from teams import coverage, oncall
from teams.coverage import Finding
from teams.models import Schedule, Team, User

from .models import ContactMethod


def connect() -> None:
    coverage.checks.append(unreachable)


def unreachable(teams: Sequence[Team], schedules: Sequence[Schedule], at: datetime) -> Iterator[Finding]:
    """People of schedules who have switched off every way to reach them. Somebody without any method is given some with
    the first page (see contacts.ensure_default_methods)."""
    people: dict[User, Schedule] = {}
    for schedule in schedules:
        fallback = [schedule.fallback] if schedule.fallback else []
        for user in [*oncall.participants_of(schedule, at), *fallback]:
            people.setdefault(user, schedule)
    methods = ContactMethod.objects.filter(user__in=list(people)).values("user")
    counted = methods.annotate(working=Count("pk", filter=Q(is_enabled=True)))
    silent = {row["user"] for row in counted if not row["working"]}
    for user, schedule in people.items():
        if user.pk in silent:
            yield Finding(
                "unreachable",
                f"{user} is to be on call, but every contact method of theirs is switched off.",
                schedule.team,
                schedule,
                user=user,
            )
