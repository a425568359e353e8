"""Reads over several tables, scoped by who asks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Lower

from incidents.enums import Urgency
from teams.access import may_administer
from teams.models import User

from . import contacts
from .enums import Channel, NotificationStatus, Purpose
from .models import ContactMethod, MailboxMessage, Notification, NotificationRule, Verification

TESTS_SHOWN_FOR = timedelta(minutes=10)


@dataclass(frozen=True)
class Reach:
    """How a person is reached with one urgency: their rules, and what these come to in words.

    Without methods that are switched on they are unreachable; with rules of which none can be used, every
    working method is used at once (contacts.rules_for).
    """

    urgency: Urgency
    rules: list[NotificationRule]
    words: str
    is_reachable: bool
    is_by_default: bool
    is_in_app_only: bool


def reach_of(user: User) -> list[Reach]:
    """For each urgency, high first; in a fixed number of queries."""
    own = list(NotificationRule.objects.filter(user=user).select_related("contact_method"))
    return [_reach(user, urgency, own) for urgency in Urgency]


def _reach(user: User, urgency: Urgency, own: list[NotificationRule]) -> Reach:
    rules = [rule for rule in own if rule.urgency == urgency]
    used = contacts.rules_for([user], urgency).get(user.pk, [])
    return Reach(
        urgency=urgency,
        rules=sorted(rules, key=contacts.in_order_of_use),
        words=contacts.in_words(used),
        is_reachable=bool(used),
        is_by_default=bool(used) and used[0]._state.adding,
        is_in_app_only={rule.contact_method.channel for rule in used} == {Channel.IN_APP},
    )


def last_tests(user: User, *, now: datetime) -> dict[UUID, Notification]:
    """The newest test page of each of the person's methods, by the method's id, while it is news."""
    tests = Notification.objects.filter(
        user=user,
        purpose=Purpose.TEST,
        contact_method__isnull=False,
        created_at__gte=now - TESTS_SHOWN_FOR,
    )
    return {
        test.contact_method_id: test
        for test in tests.order_by("created_at").prefetch_related("attempts", "replies")
    }


def waiting_codes(user: User, *, now: datetime) -> set[UUID]:
    """The ids of the person's methods for which a code is on its way or waits to be typed in."""
    waiting = Verification.objects.filter(
        contact_method__user=user, contact_method__verified_at=None, expires_at__gt=now, tries_left__gt=0
    )
    return set(waiting.values_list("contact_method_id", flat=True))


def pages_in_app(user: User) -> QuerySet[Notification]:
    """What reached the person in the app, newest first."""
    return (
        Notification.objects.filter(user=user, channel=Channel.IN_APP, status=NotificationStatus.SENT)
        .select_related("incident__service")
        .order_by("-created_at", "-pk")
    )


def unseen_pages(user: User) -> QuerySet[Notification]:
    return Notification.objects.filter(
        user=user, channel=Channel.IN_APP, status=NotificationStatus.SENT, seen_at__isnull=True
    )


def mails_visible_to(user: User) -> QuerySet[MailboxMessage]:
    """The mails to a person's own addresses, newest first; all of them for administrators."""
    mails = MailboxMessage.objects.order_by("-created_at", "-pk")
    if may_administer(user):
        return mails
    addresses = ContactMethod.objects.filter(user=user, channel=Channel.EMAIL).values_list(
        "address", flat=True
    )
    own = {address.lower() for address in (user.email, *addresses)}
    return mails.annotate(to=Lower("recipient")).filter(to__in=own)
