"""Dead letters: notifications that failed for good. They are kept with what they said until somebody sends them
again or puts them away, and operations are told of them."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from openalert import audit
from teams.access import may_administer, teams_to_respond_for
from teams.enums import Role
from teams.models import User
from teams.standing import sees_everything

from . import accounts, notices
from .enums import Channel, NotificationStatus, Purpose
from .models import Notification, OperationsTeam
from .waking import GRACE, wake_senders

logger = logging.getLogger(__name__)

RESPONDING = (Role.RESPONDER, Role.MANAGER)


def dead_letters() -> QuerySet[Notification]:
    """Those that nobody has put away. A code to verify an address by is none: its person is told, and asks for another."""
    dead = Notification.objects.filter(status=NotificationStatus.DEAD, discarded_at__isnull=True)
    return dead.exclude(purpose=Purpose.VERIFICATION)


def visible_to(user: User) -> QuerySet[Notification]:
    """The dead letters that `user` may see: all of them for operators and auditors, otherwise those that are theirs."""
    return dead_letters() if may_look_after(user) else answerable_by(user)


def answerable_by(user: User) -> QuerySet[Notification]:
    """The dead letters that `user` may send again and put away.

    All of them for administrators and the responders of operations teams; otherwise those about incidents of the teams
    that `user` responds for.
    """
    if is_operator(user):
        return dead_letters()
    return dead_letters().filter(incident__service__team__in=teams_to_respond_for(user))


def is_operator(user: User) -> bool:
    """Whether `user` looks after the installation."""
    if may_administer(user):
        return True
    return OperationsTeam.objects.filter(team__in=teams_to_respond_for(user)).exists()


def may_look_after(user: User) -> bool:
    """Whether `user` may see how the installation fares: operators, and those who see everything."""
    return sees_everything(user) or is_operator(user)


def operators() -> QuerySet[User]:
    """Whom operations' notices go to: the responders of the operations teams or, without such a team, superusers."""
    teams = Q(memberships__team__in=OperationsTeam.objects.values("team"), memberships__role__in=RESPONDING)
    named = User.objects.filter(teams, is_active=True).distinct()
    return named if named.exists() else User.objects.filter(is_active=True, is_superuser=True)


def tell_operations(letter: Notification, *, account: str, now: datetime) -> None:
    """Tell operations that a page failed for good, at most once in ten minutes for each provider account.

    Where no operator can be told, as there is none or none has a way left, the superusers are, and then the managers of
    the incident's team. To be called inside the transaction that makes it so.
    """
    if not accounts.may_tell_operations(account, now=now):
        return
    waiting = dead_letters().exclude(pk=letter.pk).count() + 1
    about = f" about #{letter.incident.number}" if letter.incident else ""
    failed = f"The page to {letter.user} {Channel(letter.channel).phrase}{about} failed for good"
    text = (
        f"{failed}: {letter.last_error}\n\nDead letters that wait for somebody: {waiting}. "
        f"You are told of this provider at most once in ten minutes."
    )
    for people in _to_be_told(letter):
        if notices.tell(
            people,
            subject=f"Pages fail: {account}",
            text=text,
            path=reverse("dead-letters"),
            avoid_account=account,
            now=now,
        ):
            return
    logger.error("%s, and there is nobody to be told", failed)


def _to_be_told(letter: Notification) -> Iterator[QuerySet[User]]:
    """Groups of people; each is to be told if nobody of those before it can be."""
    yield operators()
    yield User.objects.filter(is_active=True, is_superuser=True)
    if letter.incident:
        team = letter.incident.service.team_id
        yield User.objects.filter(is_active=True, memberships__team=team, memberships__role=Role.MANAGER)


@transaction.atomic
def replay(ids: Iterable[UUID], *, by: User) -> int:
    """Send dead letters that `by` may answer for again, each with all its attempts anew. Returns how many.

    They go to the contact method's address of today. Those that are no dead letters (any more) are left alone, so
    repeating it is harmless. A page that nobody needs any more is dropped instead, as any other.
    """
    now = timezone.now()
    letters = _locked(ids, by)
    for letter in letters:
        letter.status, letter.due_at, letter.wake_at = NotificationStatus.PENDING, now, now + GRACE
        letter.uncounted_attempts, letter.hold = letter.attempt_count, ""
        if letter.contact_method:
            letter.address = letter.contact_method.address
        letter.save()
    wake_senders(letters)
    audit.record_all([audit.action_on("dead_letter_replayed", letter) for letter in letters])
    logger.info("%s replayed %s dead letters", by.pk, len(letters))
    return len(letters)


@transaction.atomic
def discard(ids: Iterable[UUID], *, by: User) -> int:
    """Put dead letters that `by` may answer for away; their rows are kept. Returns how many. Repeating it is harmless."""
    now = timezone.now()
    letters = _locked(ids, by)
    for letter in letters:
        letter.discarded_at, letter.discarded_by = now, str(by)[:160]
        letter.save()
    audit.record_all([audit.action_on("dead_letter_discarded", letter) for letter in letters])
    return len(letters)


def _locked(ids: Iterable[UUID], by: User) -> list[Notification]:
    return list(
        answerable_by(by)
        .filter(pk__in=list(ids))
        .select_related("contact_method")
        .select_for_update(of=("self",))
        .order_by("pk")
    )
