"""The second factor beside a password: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.

Each code opens once. Whatever is decided about one is decided with the factor's row locked, so two that come at once are
one after the other. Wrong ones are counted for the account, from wherever they come: to try one takes the password.
"""

import base64
import hashlib
import hmac
import math
import secrets
from datetime import datetime, timedelta

import pyotp
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from openalert.acting import acting_as
from openalert.audit.log import record
from openalert.audit.sign_ins import as_person
from openalert.exceptions import OpenAlertError

from . import api_tokens, notices
from .identity.exceptions import (
    LockedOut,
    SecondFactorNotSetUp,
    SecondFactorOn,
    SecondFactorRequired,
    SecondFactorWrong,
)
from .models import RecoveryCode, SecondFactor, User

STEP_SECONDS = 30
STEPS_OFF = 1  # that the phone's clock may differ
DIGITS = 6
ISSUER = "OpenAlert"
RECOVERY_CODES = 10
RECOVERY_BYTES = 10
BEGUN_FOR = timedelta(hours=1)
PATH = "/me/second-factor/"


def is_wanted(user: User) -> bool:
    """Whether the installation requires one of them."""
    if settings.SECOND_FACTOR_REQUIRED == "administrators":
        return user.is_staff or user.is_superuser
    return settings.SECOND_FACTOR_REQUIRED == "everybody"


def factor_of(user: User) -> SecondFactor | None:
    return SecondFactor.objects.filter(user=user).exclude(confirmed_at=None).first()


def begun_of(user: User) -> SecondFactor | None:
    """One that is being set up."""
    since = timezone.now() - BEGUN_FOR
    return SecondFactor.objects.filter(user=user, confirmed_at=None, began_at__gt=since).first()


def codes_left(factor: SecondFactor) -> int:
    return factor.recovery_codes.filter(used_at=None).count()


def address_for_app(factor: SecondFactor) -> str:
    """The otpauth: address that the QR code holds. Raises SecretUnreadable."""
    return pyotp.TOTP(factor.secret).provisioning_uri(name=factor.user.email, issuer_name=ISSUER)


@transaction.atomic
def begin(user: User) -> SecondFactor:
    """A new secret, which nothing asks for until it is confirmed. Raises SecondFactorOn."""
    User.objects.select_for_update(of=("self",)).get(pk=user.pk)
    if factor_of(user):
        raise SecondFactorOn
    values = {"secret": pyotp.random_base32(), "began_at": timezone.now()}
    return SecondFactor.objects.update_or_create(user=user, defaults=values)[0]


def confirm(user: User, code: str) -> list[str]:
    """Turn it on by a first code; gives the recovery codes. Other sessions and tokens, which came in without it, end.

    Raises LockedOut, SecondFactorWrong, SecondFactorOn, SecretUnreadable.
    """
    failure: OpenAlertError
    with transaction.atomic(), acting_as(as_person(user)):
        factor = SecondFactor.objects.select_for_update().filter(user=user).first()
        if factor is None:
            raise SecondFactorWrong
        if factor.confirmed_at:
            raise SecondFactorOn
        refused = _refused(factor, code, with_recovery=False)
        if refused is None:
            factor.confirmed_at = timezone.now()
            factor.save(update_fields=["confirmed_at", "updated_at"])
            record("second_factor_on", user)
            api_tokens.sign_out_everywhere(user)
            _tell(
                user,
                "on",
                "Your account has a second factor now",
                "Signing in by password takes a code from now on.",
            )
            return _make_codes(factor)
        failure = refused
    raise failure


def check(user: User, code: str) -> None:
    """Use a code of the app, or a recovery code, up.

    Raises SecondFactorRequired without a code, LockedOut, SecondFactorWrong, SecretUnreadable.
    """
    if not code.strip():
        raise SecondFactorRequired
    with transaction.atomic(), acting_as(as_person(user)):
        factor = SecondFactor.objects.select_for_update().filter(user=user).exclude(confirmed_at=None).first()
        failure = SecondFactorWrong() if factor is None else _refused(factor, code, with_recovery=True)
    if failure:  # outside, so that it stays counted
        raise failure


def check_for_token(user: User, code: str) -> None:
    """For a sign-in by password that has no pages. Raises as `check` does, and SecondFactorNotSetUp."""
    if factor_of(user):
        check(user, code)
    elif is_wanted(user):
        raise SecondFactorNotSetUp


def renew_codes(user: User, code: str) -> list[str]:
    """Ten new recovery codes in place of the old ones. Raises as `check` does."""
    check(user, code)
    with transaction.atomic():
        factor = SecondFactor.objects.select_for_update().exclude(confirmed_at=None).get(user=user)
        record("recovery_codes_renewed", user)
        return _make_codes(factor)


def turn_off(user: User, code: str) -> None:
    """Raises as `check` does."""
    check(user, code)
    with transaction.atomic():
        _remove(
            user, "second_factor_off", "You turned it off: signing in takes the password alone from now on."
        )


@transaction.atomic
def reset(user: User) -> bool:
    """An administrator takes it from somebody who lost it; sessions and tokens end too. False when there is none."""
    if not _remove(user, "second_factor_reset", "An administrator reset it. Set it up anew under “Me”."):
        return False
    api_tokens.sign_out_everywhere(user)
    return True


def _remove(user: User, action: str, words: str) -> bool:
    removed, _ = SecondFactor.objects.filter(user=user).delete()
    if removed:
        record(action, user)
        _tell(user, "off", "Your account has no second factor any more", words)
    return bool(removed)


def _refused(factor: SecondFactor, code: str, *, with_recovery: bool) -> OpenAlertError | None:
    """Uses the code up, or counts it as a failure and says which. The row must be locked."""
    now = timezone.now()
    if wait := seconds_left(factor, now):
        return LockedOut(wait)
    text = "".join(character for character in code if character.isalnum() and character.isascii()).lower()
    is_right = (
        _use_step(factor, text, now)
        if len(text) == DIGITS and text.isdigit()
        else with_recovery and _use_recovery_code(factor, text, now)
    )
    if is_right:
        factor.failures = 0
    else:
        is_old = factor.failed_at is None or factor.failed_at + settings.AXES_COOLOFF_TIME <= now
        factor.failures = 1 if is_old else factor.failures + 1
        factor.failed_at = now
        record("second_factor_failed", factor.user)
        if wait := seconds_left(factor, now):
            record("locked_out", factor.user, seconds=wait)
    factor.save(update_fields=["last_step", "failures", "failed_at", "updated_at"])
    return None if is_right else SecondFactorWrong()


def seconds_left(factor: SecondFactor, now: datetime) -> int:
    """For how long codes have to wait; 0 when they need not."""
    if factor.failures < settings.AXES_FAILURE_LIMIT or factor.failed_at is None:
        return 0
    return max(0, math.ceil((factor.failed_at + settings.AXES_COOLOFF_TIME - now).total_seconds()))


def _use_step(factor: SecondFactor, text: str, now: datetime) -> bool:
    current, app = int(now.timestamp()) // STEP_SECONDS, pyotp.TOTP(factor.secret)
    for step in range(current - STEPS_OFF, current + STEPS_OFF + 1):
        if step > factor.last_step and hmac.compare_digest(app.generate_otp(step), text):
            factor.last_step = step
            return True
    return False


def _use_recovery_code(factor: SecondFactor, text: str, now: datetime) -> bool:
    if not factor.recovery_codes.filter(code_hash=_hash(text), used_at=None).update(used_at=now):
        return False
    left = codes_left(factor)
    record("recovery_code_used", factor.user, left=left)
    _tell(
        factor.user,
        "recovery",
        "A recovery code of yours was used",
        f"{left} are left. You can make new ones.",
    )
    return True


def _make_codes(factor: SecondFactor) -> list[str]:
    factor.recovery_codes.all().delete()
    made = [
        base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower() for _ in range(RECOVERY_CODES)
    ]
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, code_hash=_hash(code)) for code in made)
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in made]


def _hash(code: str) -> str:
    """They are random enough to need no slow hash."""
    return hashlib.sha256(code.encode()).hexdigest()


def _tell(user: User, what: str, subject: str, text: str) -> None:
    words = f"{text} If that was not you, change your password and tell an administrator."
    key = f"second-factor-{what}:{timezone.now().isoformat()}"
    notices.give([notices.notice(user, key=key, subject=subject, text=words, path=PATH)])
