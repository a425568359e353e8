"""What this app knows of people on call: whether they can be reached."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet

from teams import coverage, oncall
from teams.coverage import Finding
from teams.enums import Role
from teams.models import Membership, Schedule, Team, User

from .enums import Channel
from .models import ContactMethod
from .transports import TRANSPORTS


def connect() -> None:
    coverage.checks.append(unreachable)


def unreachable(teams: Sequence[Team], schedules: Sequence[Schedule], at: datetime) -> Iterator[Finding]:
    """People of schedules whom no contact method reaches: all are switched off, broken, or of providers that are off.

    Somebody without any method is given some with the first page (see contacts.ensure_default_methods).
    """
    people: dict[User, Schedule] = {}
    for schedule in schedules:
        fallback = [schedule.fallback] if schedule.fallback else []
        for user in [*oncall.participants_of(schedule, at), *fallback]:
            people.setdefault(user, schedule)
    works: dict[UUID, bool] = {}
    for method in ContactMethod.objects.filter(user__in=list(people)):
        works[method.user_id] = works.get(method.user_id, False) or (
            method.is_working and TRANSPORTS[Channel(method.channel)].is_configured()
        )
    for user, schedule in people.items():
        if not works.get(user.pk, True):
            yield Finding(
                "unreachable",
                f"{user} is to be on call, but none of their contact methods works.",
                schedule.team,
                schedule,
                user=user,
            )


def unreached_responders() -> QuerySet[User]:
    """Responders and managers of any team for whom the same holds as above, on call or not."""
    on = [channel for channel, transport in TRANSPORTS.items() if transport.is_configured()]
    methods = ContactMethod.objects.filter(user=OuterRef("pk"))
    works = methods.filter(is_enabled=True, verified_at__isnull=False, broken_at__isnull=True, channel__in=on)
    responds = Membership.objects.filter(user=OuterRef("pk")).exclude(role=Role.OBSERVER)
    return User.objects.filter(Exists(responds), Exists(methods), ~Exists(works), is_active=True)
