"""API tokens are made, let in, and revoked; and people sign out everywhere."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from openalert import sql
from openalert.audit.log import record

from . import scopes as known_scopes
from .access import require_manage, teams_to_manage
from .exceptions import EndsInThePast, InvalidToken, TooManyTokens, UnknownScope
from .models import ApiToken, Team, User
from .standing import Grant

PERSONAL, OF_TEAM = "oap_", "oat_"  # so that scanners of leaked secrets know them
PREFIX_BYTES, SECRET_BYTES = 6, 20
MOST_TOKENS = 50  # of a person or a team, in force
USE_NOTED_EVERY = timedelta(minutes=1)
# Whoever holds the row is noting the same: nobody waits for it.
NOTE_USE = (
    "UPDATE teams_apitoken SET last_used_at = %s WHERE id = "
    "(SELECT id FROM teams_apitoken WHERE id = %s FOR UPDATE SKIP LOCKED)"
)


def looks_like_one(text: str) -> bool:
    return text.startswith((PERSONAL, OF_TEAM))


def visible_to(user: User) -> QuerySet[ApiToken]:
    """Their own, and those of the teams that they manage."""
    own = Q(user=user, team=None)
    return ApiToken.objects.filter(own | Q(team__in=teams_to_manage(user))).select_related(
        "team", "created_by"
    )


@transaction.atomic
def create_token(
    *,
    by: User,
    name: str,
    scopes: Iterable[str],
    team: Team | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiToken, str]:
    """A token of `by`, or of the `team`, and its text: the only time it can be seen.

    Raises PermissionMissing unless `by` manages the team, UnknownScope, EndsInThePast, TooManyTokens.
    """
    wanted = list(dict.fromkeys(scopes))
    if not wanted or not set(wanted) <= set(known_scopes.ALL):
        raise UnknownScope
    now = timezone.now()
    if expires_at is not None and expires_at <= now:
        raise EndsInThePast
    if team is not None:
        require_manage(by, team)
        Team.objects.select_for_update(of=("self",)).get(pk=team.pk)
        kept = ApiToken.objects.filter(team=team)
    else:
        User.objects.select_for_update(of=("self",)).get(pk=by.pk)
        kept = ApiToken.objects.filter(user=by, team=None)
    if kept.in_force(now).count() >= MOST_TOKENS:
        raise TooManyTokens
    prefix = (OF_TEAM if team else PERSONAL) + secrets.token_hex(PREFIX_BYTES)
    secret = secrets.token_hex(SECRET_BYTES)
    token = ApiToken.objects.create(
        user=_service_account(name, prefix) if team else by,
        team=team,
        created_by=by,
        name=name,
        prefix=prefix,
        secret_hash=_hash(secret),
        scopes=wanted,
        expires_at=expires_at,
    )
    return token, f"{prefix}_{secret}"


def _service_account(name: str, prefix: str) -> User:
    return User.objects.create_user(f"{prefix}@service.invalid", name=name, is_service_account=True)


@transaction.atomic
def revoke_token(token_id: UUID, *, by: User) -> ApiToken:
    """It opens nothing from now on. Doing it again changes nothing. Raises ApiToken.DoesNotExist."""
    token = visible_to(by).select_for_update(of=("self",)).get(pk=token_id)
    if token.revoked_at is None:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at", "updated_at"])
        if token.team_id is not None:
            User.objects.filter(pk=token.user_id, is_service_account=True).update(
                is_active=False, inactive_since_at=token.revoked_at
            )
    return token


def authenticate(text: str) -> ApiToken:
    """The token in force that the text is, with whom it acts as; notes that it was used.

    Raises InvalidToken: one failure for all reasons, so that nothing can be learned from it.
    """
    prefix, _, secret = text.rpartition("_")
    # A NUL is none of PostgreSQL's text; all that is ours is ASCII.
    token = (
        ApiToken.objects.select_related("user").filter(prefix=prefix).first()
        if prefix.isascii() and prefix.isprintable()
        else None
    )
    is_right = hmac.compare_digest(_hash(secret), token.secret_hash if token else "0" * 64)
    now = timezone.now()
    if token is None or not is_right or not token.is_in_force(now) or not token.user.is_active:
        raise InvalidToken
    if token.team_id is not None:
        token.user.grant = Grant(token.team_id, known_scopes.role_for(token.scopes))
    if token.last_used_at is None or now - token.last_used_at >= USE_NOTED_EVERY:
        sql.execute(NOTE_USE, [now, token.pk])
    return token


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def sign_out_everywhere(user: User) -> None:
    """End all sessions, access and refresh tokens of theirs. API tokens stay: they are revoked one by one."""
    User.objects.filter(pk=user.pk).update(sign_outs=F("sign_outs") + 1)
    BlacklistedToken.objects.bulk_create(
        [
            BlacklistedToken(token=token)
            for token in OutstandingToken.objects.filter(user=user, blacklistedtoken=None)
        ],
        ignore_conflicts=True,
    )
    user.refresh_from_db(fields=["sign_outs"])
    record("signed_out_everywhere", user)
