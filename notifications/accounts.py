"""Provider accounts: the pauses that providers ask for, and a circuit breaker for those that fail.

The state is in PostgreSQL, not in Redis: it is written seldom and read with every lease, and a flushed Redis
must not make us hammer a provider that asked for a pause. A row is locked last, after notifications.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from .enums import Hold
from .models import ProviderAccount

# More than one message's attempts: a single odd address cannot close an account for everybody.
FAILURES_TO_OPEN = 8
FIRST_OPENING = timedelta(seconds=10)
LONGEST_OPENING = timedelta(seconds=60)
# How long the one message that tries a failing account may take before another is let through.
PROBE = timedelta(seconds=60)
SHORTEST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)
OPERATIONS_TOLD_EVERY = timedelta(minutes=10)


@dataclass(frozen=True)
class Closed:
    """Nothing may be handed to the account before `until`."""

    until: datetime
    hold: Hold


@dataclass(frozen=True)
class Admitted:
    """A message may be handed to the account; a probe is the one that tries it after an opening of the breaker."""

    is_probe: bool = False


def admit(name: str, *, now: datetime) -> Admitted | Closed:
    """Whether a message has to wait for the account. To be called inside the transaction that takes the lease.

    When an opening of the circuit breaker is over, one caller is let through. What becomes of it has to be told:
    `succeeded`, `failed` or `pause`, or `give_back_probe`.
    """
    account = ProviderAccount.objects.filter(name=name).first()
    if account is None:
        return Admitted()
    if account.paused_until and account.paused_until > now:
        return Closed(account.paused_until, Hold.PAUSE)
    if account.open_until is None:
        return Admitted()
    if account.open_until > now:
        return Closed(account.open_until, Hold.BREAKER)
    ours = ProviderAccount.objects.filter(pk=account.pk, open_until=account.open_until)
    if ours.update(open_until=now + PROBE):
        return Admitted(is_probe=True)
    return closed_for_probe(now=now)


def closed_for_probe(*, now: datetime) -> Closed:
    """Another message is the one that tries the account."""
    return Closed(now + FIRST_OPENING, Hold.BREAKER)


def give_back_probe(name: str, *, now: datetime) -> None:
    """The message was not handed over after all: the next one may be the probe."""
    ProviderAccount.objects.filter(name=name, open_until__gt=now).update(open_until=now)


def succeeded(name: str, *, now: datetime) -> bool:
    """The provider took a message, or refused it for good: it is there. Whether the breaker was open until now."""
    is_failing = Q(failures__gt=0) | Q(open_until__isnull=False)
    account = ProviderAccount.objects.filter(is_failing, name=name).first()
    if account is None:
        return False
    ProviderAccount.objects.filter(name=name).update(failures=0, open_until=None, openings=0, updated_at=now)
    return account.open_until is not None


@transaction.atomic
def failed(name: str, *, error: str, is_probe: bool, now: datetime) -> None:
    """A message failed in a way that may pass: too many in a row, and the account is left alone for a while."""
    ProviderAccount.objects.get_or_create(name=name)
    account = ProviderAccount.objects.select_for_update().get(name=name)
    account.failures += 1
    account.last_error, account.last_failed_at = error, now
    is_closing = account.open_until is None and account.failures >= FAILURES_TO_OPEN
    if is_closing or (is_probe and account.open_until is not None):
        account.openings += 1
        account.open_until = now + opening(account.openings)
    account.save()


def opening(number: int) -> timedelta:
    """How long opening `number` (1 is the first) lasts: 10, 20, 40 and then 60 s."""
    return min(FIRST_OPENING * 2 ** min(number - 1, 10), LONGEST_OPENING)


@transaction.atomic
def pause(name: str, *, span: timedelta, error: str, now: datetime) -> datetime:
    """The provider asked for a pause of its account; it lasts for all workers. Returns its end.

    A provider that says so is there: the circuit breaker closes.
    """
    until = now + bounded(span)
    ProviderAccount.objects.get_or_create(name=name)
    account = ProviderAccount.objects.select_for_update().get(name=name)
    account.paused_until = max(until, account.paused_until or until)
    account.failures, account.open_until, account.openings = 0, None, 0
    account.last_error, account.last_failed_at = error, now
    account.save()
    return account.paused_until


def bounded(span: timedelta) -> timedelta:
    """A pause as we keep it: a provider's “for ever” and “at once” are made bearable."""
    return min(max(span, SHORTEST_PAUSE), LONGEST_PAUSE)


def may_tell_operations(name: str, *, now: datetime) -> bool:
    """Whether operations have not been told of the account for ten minutes; if so, they count as told now."""
    ProviderAccount.objects.get_or_create(name=name)
    untold = Q(operations_told_at__isnull=True) | Q(operations_told_at__lte=now - OPERATIONS_TOLD_EVERY)
    return bool(ProviderAccount.objects.filter(untold, name=name).update(operations_told_at=now))
