"""A mail to somebody who was added without a password, with a link by which they choose one."""

import time
from collections.abc import Iterable

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from openalert.audit.log import action_on, record_all

from . import invitation_links, notices
from .models import User

FIRST = "invitation"
AGAIN_EVERY_SECONDS = 300  # to one account
SUBJECT = "You have been added to OpenAlert"
TEXT = (
    "OpenAlert pages people when something breaks, and somebody has added you. You sign in as {email}. Choose a password by "
    "this link: it opens until you have, for {days} days at most. After that, ask an administrator for another one."
)


def who_may_be_invited() -> QuerySet[User]:
    """Those who are here, have no password, and do not sign in by the identity provider already."""
    if not settings.OIDC_LOCAL_SIGN_IN:
        return User.objects.none()
    people = User.objects.filter(is_active=True, is_service_account=False, identities=None)
    return people.filter(password__startswith=UNUSABLE_PASSWORD_PREFIX)


def invite(people: Iterable[User]) -> int:
    """Those who have just been added: each once, however often this is called. Gives how many are mailed.

    Nobody is where there is an identity provider: people who have no password sign in there.
    """
    if settings.OIDC_ISSUER:
        return 0
    return len(_invite(people, key=FIRST))


def invite_again(people: Iterable[User]) -> list[User]:
    """Because somebody asked for it: at most one mail in five minutes to each. Gives those who may be invited."""
    return _invite(people, key=f"{FIRST}:{int(time.time() // AGAIN_EVERY_SECONDS)}")


@transaction.atomic
def _invite(people: Iterable[User], *, key: str) -> list[User]:
    found = list(who_may_be_invited().filter(pk__in=[user.pk for user in people]))
    void_at = timezone.now() + invitation_links.LASTS
    notices.give(
        notices.notice(
            user,
            key=key,
            subject=SUBJECT,
            text=TEXT.format(email=user.email, days=invitation_links.LASTS.days),
            path=invitation_links.PLACE,
            void_at=void_at,
        )
        for user in found
    )
    record_all([action_on("invited", user) for user in found])
    return found
