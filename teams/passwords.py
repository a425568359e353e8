"""New passwords: what ends with the old one, who is told, and links to one for who forgot it."""

import time
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from openalert.acting import acting_as
from openalert.audit.log import record
from openalert.audit.sign_ins import as_person

from . import api_tokens, notices, reset_links
from .identity import lock_out
from .models import User

MAIL_EVERY_SECONDS = 300  # to one account
HOW = {
    "changed": "It was changed by who knew the old one.",
    "chosen": "It was chosen by the link in your invitation.",
    "reset": "It was set by the link that was mailed to you.",
    "set_by_administrator": "An administrator set it.",
    "removed_by_administrator": "An administrator took the old one away: you sign in through the identity provider.",
}


@transaction.atomic
def set_password(user: User, password: str, *, how: str) -> None:
    """Give `user` the password: their sessions, access and refresh tokens end, and they are told. `how` is one of HOW.

    The second factor stays as it is. Who is deactivated is not told.
    """
    user.set_password(password)
    user.save(update_fields=["password", "updated_at"])
    after_new_password(user, how=how)


@transaction.atomic
def after_new_password(user: User, *, how: str) -> None:
    """What follows from a new password that is saved already, in the same transaction."""
    api_tokens.sign_out_everywhere(user)
    record(f"password_{how}", user)
    words = f"{HOW[how]} You are signed out everywhere. If that was not you, ask for a new one and tell an administrator."
    key = f"password-{how}:{timezone.now().isoformat()}"
    subject = "Your password has changed"
    notices.give([notices.notice(user, key=key, subject=subject, text=words, path=reverse("password-reset"))])


def who_may_reset() -> QuerySet[User]:
    """Those who are here and sign in by a password: who has only the provider's account is helped there."""
    if not settings.OIDC_LOCAL_SIGN_IN:
        return User.objects.none()
    return User.objects.filter(is_active=True, is_service_account=False).exclude(
        password__startswith=UNUSABLE_PASSWORD_PREFIX
    )


def ask_reset(email: str) -> None:
    """Mail a link to whoever has the address, if they may have one: at most one in five minutes. Never tells whether.

    The mail is sent later by a worker, as a notice is, so the answer takes as long for everybody.
    """
    user = who_may_reset().filter(email__iexact=email).first()
    if user is None:
        record("password_reset_asked", tried=email)
        return
    with transaction.atomic():
        record("password_reset_asked", user, tried=email)
        notice = notices.notice(
            user,
            key=f"password-reset:{int(time.time() // MAIL_EVERY_SECONDS)}",
            subject="A new password for OpenAlert",
            text=(
                "Somebody, probably you, asked for a new password for this account. The link opens once, within an hour. "
                "If it was not you, do nothing: the password stays as it is."
            ),
            path=reset_links.PLACE,
            void_at=timezone.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT),
        )
        notices.give([notice])


@transaction.atomic
def reset(user: User, password: str, *, how: str = "reset") -> None:
    """By the link that was mailed: it shows who they are, so what locked the account out ends too."""
    with acting_as(as_person(user)):
        set_password(user, password, how=how)
        lock_out.lift(user, codes=False)
