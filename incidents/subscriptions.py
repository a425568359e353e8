"""Who is told how an incident goes without working on it: people of the installation, and others by email.

Anybody's address can be typed in, so others are asked first and get nothing before they have agreed (double opt-in);
once they have, they are subscribed without being asked again. One link in each mail ends it, another everything. Links
are signed; to open one changes nothing, as mail scanners follow links.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urljoin
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from teams.models import Membership, Service, User

from . import signals
from .exceptions import TooManyAsked, TooManySubscriptions
from .models import Incident, Stakeholder, Subscription

ASK_AGAIN_AFTER = timedelta(hours=1)
ASKED_SPAN, MOST_ASKED = timedelta(days=30), 3
CONFIRM_AGE = timedelta(days=14)
CONFIRM, END = "incidents.confirm", "incidents.unsubscribe"
MOST = 500


@dataclass(frozen=True)
class Recipient:
    """Who gets a mail: a person of the installation or a stakeholder, one of the two."""

    address: str
    user_id: UUID | None = None
    stakeholder_id: UUID | None = None


def _to(incident: Incident | None, service: Service | None) -> Q:
    return Q(incident=incident) if incident else Q(service=service)


def subscriptions_of(incident: Incident) -> QuerySet[Subscription]:
    """Those of the incident, then the standing ones of its service."""
    found = Subscription.objects.filter(Q(incident=incident) | Q(service=incident.service_id))
    return found.select_related("user", "stakeholder").order_by("service_id", "created_at")


def recipients_of(incident: Incident) -> list[Recipient]:
    """Each address once: stakeholders who agreed, and people who still see the incident. Two queries."""
    found = list(subscriptions_of(incident))
    members = set(Membership.objects.filter(team=incident.service.team_id).values_list("user_id", flat=True))
    recipients: dict[str, Recipient] = {}
    for subscription in found:
        if user := subscription.user:
            if user.is_active and (user.is_superuser or user.pk in members):
                recipients[user.email.lower()] = Recipient(user.email, user_id=user.pk)
        elif (stakeholder := subscription.stakeholder) and stakeholder.confirmed_at:
            one = Recipient(stakeholder.address, stakeholder_id=stakeholder.pk)
            recipients.setdefault(stakeholder.address, one)
    return list(recipients.values())


@transaction.atomic
def subscribe_user(*, user: User, incident: Incident | None = None, service: Service | None = None) -> None:
    """Repeating it changes nothing. Whether the person sees it is the caller's to check."""
    Subscription.objects.bulk_create(
        [Subscription(user=user, incident=incident, service=service)], ignore_conflicts=True
    )


def unsubscribe_user(*, user: User, incident: Incident | None = None, service: Service | None = None) -> None:
    Subscription.objects.filter(_to(incident, service), user=user).delete()


@transaction.atomic
def subscribe_address(
    *, address: str, incident: Incident | None = None, service: Service | None = None
) -> Subscription:
    """Subscribe somebody by email; who has not agreed yet is asked, at most once an hour and three times in a month.

    Repeating it changes nothing. An address of a person of the installation is subscribed as any other: they may have
    no right to see the incident. Raises TooManyAsked and TooManySubscriptions.
    """
    if Subscription.objects.filter(_to(incident, service)).count() >= MOST:
        raise TooManySubscriptions
    address = address.strip().lower()
    Stakeholder.objects.bulk_create([Stakeholder(address=address)], ignore_conflicts=True)
    stakeholder = Stakeholder.objects.select_for_update().get(address=address)
    if stakeholder.confirmed_at is None:
        _ask(stakeholder, timezone.now())
    Subscription.objects.bulk_create(
        [Subscription(stakeholder=stakeholder, incident=incident, service=service)], ignore_conflicts=True
    )
    return Subscription.objects.get(_to(incident, service), stakeholder=stakeholder)


def _ask(stakeholder: Stakeholder, now: datetime) -> None:
    if stakeholder.asked_at and stakeholder.asked_at > now - ASK_AGAIN_AFTER:
        return  # the mail is on its way
    if stakeholder.asked_at and stakeholder.asked_at < now - ASKED_SPAN:
        stakeholder.asked = 0
    if stakeholder.asked >= MOST_ASKED:
        raise TooManyAsked(address=stakeholder.address)
    stakeholder.asked, stakeholder.asked_at = stakeholder.asked + 1, now
    stakeholder.save()
    signals.stakeholders_asked.send(sender=Stakeholder, stakeholders=[stakeholder])


def remove(*, subscription_ids: Iterable[UUID]) -> None:
    """A responder takes subscriptions away. Repeating it changes nothing."""
    Subscription.objects.filter(pk__in=list(subscription_ids)).delete()


def forget(stakeholder_ids: Iterable[UUID]) -> int:
    """Remove all that is known of stakeholders: the address, what they subscribed to, and their mails. Returns how many."""
    return (
        Stakeholder.objects.filter(pk__in=list(stakeholder_ids)).delete()[1].get("incidents.Stakeholder", 0)
    )


# What the links in mails do


def confirm_link(stakeholder: Stakeholder) -> str:
    token = signing.dumps(str(stakeholder.pk), salt=CONFIRM)
    return urljoin(settings.SITE_URL, reverse("subscription-confirm", args=[token]))


def end_link(recipient: Recipient, incident: Incident) -> str:
    who = ["u", str(recipient.user_id)] if recipient.user_id else ["s", str(recipient.stakeholder_id)]
    token = signing.dumps([*who, str(incident.pk)], salt=END)
    return urljoin(settings.SITE_URL, reverse("subscription-end", args=[token]))


def stakeholder_by(token: str) -> Stakeholder | None:
    """Who a link to agree was sent to; None for one that is not ours or too old."""
    try:
        pk = UUID(signing.loads(token, salt=CONFIRM, max_age=CONFIRM_AGE))
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None
    return Stakeholder.objects.filter(pk=pk).first()


def confirm(stakeholder_id: UUID) -> None:
    """They agree. Repeating it changes nothing."""
    Stakeholder.objects.filter(pk=stakeholder_id, confirmed_at=None).update(
        confirmed_at=timezone.now(), asked=0, updated_at=timezone.now()
    )


@dataclass(frozen=True)
class Ending:
    """Whom a link to unsubscribe was sent to, and about which incident."""

    user: User | None
    stakeholder: Stakeholder | None
    incident: Incident | None

    @property
    def whose(self) -> Q:
        return Q(user=self.user) if self.user else Q(stakeholder=self.stakeholder)


def ending_by(token: str) -> Ending | None:
    """None for a link that is not ours, or whose person is gone. These links do not grow old."""
    try:
        kind, pk, incident_id = signing.loads(token, salt=END)
        who, incident = UUID(pk), UUID(incident_id)
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        return None
    user = User.objects.filter(pk=who).first() if kind == "u" else None
    stakeholder = Stakeholder.objects.filter(pk=who).first() if kind == "s" else None
    if user is None and stakeholder is None:
        return None
    found = Incident.objects.filter(pk=incident).select_related("service").first()
    return Ending(user, stakeholder, found)


@transaction.atomic
def end(ending: Ending, *, everything: bool = False) -> None:
    """No more mails about the incident and its service, or about anything. Repeating it changes nothing.

    A stakeholder who wants nothing any more has to agree anew before anything is sent there again.
    """
    mine = Subscription.objects.filter(ending.whose)
    if everything:
        mine.delete()
        if ending.stakeholder:
            Stakeholder.objects.filter(pk=ending.stakeholder.pk).update(
                confirmed_at=None, updated_at=timezone.now()
            )
    elif ending.incident:
        mine.filter(Q(incident=ending.incident) | Q(service=ending.incident.service_id)).delete()
