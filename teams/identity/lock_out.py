"""Sign-in to an account waits after too many wrong passwords: django-axes, with two counts of ours.

- Of the account from one address: after SIGN_IN_FAILURES, sign-in from there waits for the cool-off.
- Of the account from anywhere: after ten times as many, sign-in from everywhere waits. Many addresses that try one account
  get no further by being many. From where its person has signed in of late only the first count holds: strangers
  cannot shut them out there.

Accounts that do not exist are counted alike, so nothing can be learned from a lock-out. Wrong codes of the second factor are
counted by teams.second_factor, addresses that try many accounts by openalert.guessing.
"""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from openalert.audit.log import record
from openalert.error_shape import error_response, wants_json
from openalert.guessing import origin_of, origin_of_address
from openalert.models import AuditEntry
from teams.models import SecondFactor, User

from .exceptions import LockedOut, minutes

SLOWER = 10
KNOWN_FOR = timedelta(days=30)
NOWHERE = "0.0.0.0"  # noqa: S104  (an address that is not known)
LONGEST_ACCOUNT = 254
MOST_PLACES_SHOWN = 20


def account_of(request: HttpRequest | None, credentials: Mapping[str, Any] | None) -> str:
    """The account that credentials are tried on: one, however its address is written. "" without an address."""
    given = (credentials or {}).get("username") or (credentials or {}).get("email") or ""
    tried = "".join(character for character in str(given)[:LONGEST_ACCOUNT] if character.isprintable())
    tried = tried.encode(errors="replace").decode()
    if not tried:
        return ""
    # As the database compares: there are letters that Python makes small otherwise.
    found = User.objects.filter(email__iexact=tried).values_list("email", flat=True).first()
    return (found or tried).lower()[:255]


def place_of(request: HttpRequest) -> str:
    """From where it is tried. Where all seem to come from one proxy, only the count of the account holds."""
    return (origin_of(request) if settings.KNOWS_ADDRESSES else None) or NOWHERE


def seconds_left(account: str, place: str) -> int:
    """For how many seconds sign-in to the account waits at the place; 0 when it does not."""
    if not account:
        return 0
    now, cool_off, limit = timezone.now(), settings.AXES_COOLOFF_TIME, settings.AXES_FAILURE_LIMIT
    attempts = _attempts(account, now)
    ends: list[datetime] = [
        at + cool_off
        for where, failures, at in attempts
        if where == place and place != NOWHERE and failures >= limit
    ]
    total = sum(failures for _, failures, _ in attempts)
    if total >= limit * SLOWER and not _is_known(account, place, now):
        for _, failures, at in attempts:
            total -= failures
            if total < limit * SLOWER:
                ends.append(at + cool_off)
                break
    return max((math.ceil((end - now).total_seconds()) for end in ends), default=0)


def _attempts(account: str, now: datetime) -> list[tuple[str, int, datetime]]:
    """(place, failures, the last one's time) of those that count still, the oldest first."""
    found = AccessAttempt.objects.filter(username=account, attempt_time__gt=now - settings.AXES_COOLOFF_TIME)
    return list(
        found.order_by("attempt_time").values_list("ip_address", "failures_since_start", "attempt_time")
    )


def _is_known(account: str, place: str, now: datetime) -> bool:
    """Whether the account's person has signed in from there of late."""
    user = User.objects.filter(email__iexact=account).first()
    if user is None or place == NOWHERE:
        return False
    addresses = AuditEntry.objects.filter(
        object_type=User._meta.label_lower,
        object_id=str(user.pk),
        action__in=("signed_in", "token_made"),
        at__gt=now - KNOWN_FOR,
    ).exclude(address=None)
    found = addresses.order_by("address").values_list("address", flat=True).distinct()
    return place in {origin_of_address(str(address)) for address in found}


class LockOutHandler(AxesDatabaseHandler):
    """What axes counts, by the two counts above. There is one row for an account and a place."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Axes locks out when this reaches AXES_FAILURE_LIMIT."""
        wait = seconds_left(account_of(request, credentials), place_of(request))
        return settings.AXES_FAILURE_LIMIT if wait else 0

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        if request is None or not (account := account_of(request, credentials)):
            return
        was_locked_out = request.axes_locked_out
        request.axes_user_agent = ""  # a guesser would make a row by each that they name
        super().user_login_failed(sender, credentials, request, **kwargs)
        if request.axes_locked_out and not was_locked_out:
            user = User.objects.filter(email__iexact=account).first()
            record(
                "locked_out",
                user,
                tried=account if "@" in account else "",
                seconds=seconds_left(account, place_of(request)),
            )

    def user_logged_in(self, sender: Any, request: Any, user: User, **kwargs: Any) -> None:
        succeeded(request, user)

    def user_logged_out(self, sender: Any, request: Any, user: User | None, **kwargs: Any) -> None:
        """Tells nothing about passwords."""


class LockOutBackend(AxesStandaloneBackend):
    """Asked first, it ends a sign-in that has to wait. What comes without a request is none from outside."""

    def authenticate(
        self, request: Any, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> None:
        if request is not None:
            super().authenticate(request, username, password, **kwargs)


def succeeded(request: HttpRequest, user: User) -> None:
    """The person is in: failures from where they are count no longer. Those from elsewhere do: they are somebody else's."""
    AccessAttempt.objects.filter(username=user.email.lower(), ip_address=place_of(request)).delete()


def is_password(request: HttpRequest, user: User, password: str) -> bool:
    """Whether it is the password of who is signed in already, by the same door and with the same counts as at sign-in."""
    return authenticate(request, username=user.email, password=password) == user


@transaction.atomic
def lift(user: User, *, codes: bool = True) -> bool:
    """End what locks the account out, everywhere; with `codes` also of the second factor. False when nothing did."""
    lifted, _ = AccessAttempt.objects.filter(username=user.email.lower()).delete()
    if codes:
        lifted += SecondFactor.objects.filter(user=user, failures__gt=0).update(failures=0, failed_at=None)
    if lifted:
        record("lock_out_lifted", user)
    return bool(lifted)


def state_of(user: User) -> str:
    """In words, for administrators."""
    attempts = _attempts(user.email.lower(), timezone.now())
    latest = attempts[-MOST_PLACES_SHOWN:]
    waits = [wait for place, _, _ in latest if (wait := seconds_left(user.email.lower(), place))]
    if not attempts:
        return "no failures"
    failures = sum(count for _, count, _ in attempts)
    words = f"{failures} failure{'' if failures == 1 else 's'} from {len(attempts)} address{'' if len(attempts) == 1 else 'es'}"
    return f"{words}, {len(waits)} of them locked out for up to {minutes(max(waits))}" if waits else words


def response(
    request: HttpRequest,
    original_response: HttpResponse | None = None,
    credentials: dict[str, Any] | None = None,
) -> HttpResponse:
    """What a page answers instead, when a password was tried that had to wait, or that was one too many."""
    given = getattr(request, "axes_credentials", None)
    return refusal(request, LockedOut(max(1, seconds_left(account_of(request, given), place_of(request)))))


def refusal(request: HttpRequest, failure: LockedOut) -> HttpResponse:
    if wants_json(request):
        answer: HttpResponse = error_response(HTTPStatus.TOO_MANY_REQUESTS, failure.code, failure.detail)
    else:
        answer = render(request, "registration/locked_out.html", {"failure": failure}, status=failure.status)
    answer["Retry-After"] = str(failure.wait)
    return answer
