"""Operators leave a provider alone for a while, and let it be used again: work at its side, a wrong password at ours.

It is the same pause as one that the provider asks for (accounts.py): pages go by other ways meanwhile, or wait.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import DateTimeField, Value
from django.db.models.functions import Least
from django.utils import timezone

from openalert import audit
from teams.models import User

from . import accounts
from .dead_letters import is_operator
from .enums import Hold, NotificationStatus
from .exceptions import NoSuchProvider, NotAnOperator
from .limits import UNLIMITED_ACCOUNTS
from .models import ContactMethod, Notification, ProviderAccount
from .transports import TRANSPORTS, account_of, accounts_of, channels_of

logger = logging.getLogger(__name__)

SPANS = {"15": timedelta(minutes=15), "60": timedelta(minutes=60)}


@dataclass(frozen=True)
class Provider:
    """A provider account and how it fares; `account` is None while nothing was ever wrong with it."""

    name: str
    account: ProviderAccount | None

    @property
    def closed_until(self) -> datetime | None:
        return self.account.closed_until if self.account else None


def names() -> list[str]:
    """Of the accounts that pages are handed to, outside of this installation."""
    accounts_used = {name for channel in TRANSPORTS for name in accounts_of(channel)}
    return sorted(accounts_used - set(UNLIMITED_ACCOUNTS))


def providers() -> list[Provider]:
    """Those of the accounts that may matter here: of channels that lead to many providers, where people are reached or
    something was wrong."""
    known = {account.name: account for account in ProviderAccount.objects.all()}
    shared = [channel for channel in TRANSPORTS if len(accounts_of(channel)) > 1]
    methods = ContactMethod.objects.filter(channel__in=shared).values_list("channel", "address")
    used = {account_of(channel, address) for channel, address in methods.iterator()}
    unused = {name for channel in shared for name in accounts_of(channel)} - used - set(known)
    return [Provider(name, known.get(name)) for name in names() if name not in unused]


def pause(name: str, *, span: timedelta, by: User) -> datetime:
    """Hand nothing to the provider for so long (an hour at most), or longer if it is paused for longer already.
    Returns when that ends. Raises NotAnOperator, NoSuchProvider."""
    _check(name, by)
    until = accounts.pause(name, span=span, error=f"Paused by {by}.", now=timezone.now())
    audit.record("provider_paused", provider=name, until=until.isoformat())
    logger.warning("%s paused the provider %s until %s", by.pk, name, until.isoformat())
    return until


@transaction.atomic
def resume(name: str, *, by: User) -> int:
    """Use the provider again, at once; what waits for it goes now. Returns how many pages that are. Repeating it is
    harmless. Raises NotAnOperator, NoSuchProvider."""
    _check(name, by)
    now = timezone.now()
    waiting = (
        Notification.objects.select_for_update(skip_locked=True)
        .filter(
            status=NotificationStatus.PENDING,
            channel__in=channels_of(name),
            hold__in=(Hold.PAUSE, Hold.BREAKER),
        )
        .order_by("pk")
    )
    # Those whose own try was put off by the provider's answer (due_at) go now, too.
    released = Notification.objects.filter(pk__in=list(waiting.values_list("pk", flat=True)))
    count = released.update(
        wake_at=now, due_at=Least("due_at", Value(now, DateTimeField())), hold="", updated_at=now
    )
    ProviderAccount.objects.filter(name=name).update(
        paused_until=None, open_until=None, failures=0, openings=0, updated_at=now
    )
    audit.record("provider_resumed", provider=name, released=count)
    logger.warning("%s resumed the provider %s", by.pk, name)
    return count


def _check(name: str, by: User) -> None:
    if not is_operator(by):
        raise NotAnOperator
    if name not in names():
        raise NoSuchProvider
