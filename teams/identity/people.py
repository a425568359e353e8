"""Who somebody is by the provider's claims, and what their groups give them."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from openalert.acting import acting_as
from openalert.audit.log import record
from openalert.audit.sign_ins import as_person
from teams.enums import InstallationRole, Role
from teams.models import GroupMapping, Identity, Membership, User

from .exceptions import SignInRefused

# What gives more counts when several groups give a role in one team.
HIGHEST_FIRST = (Role.MANAGER, Role.RESPONDER, Role.OBSERVER)
LONGEST_NAME = 120


def sign_in(claims: Mapping[str, Any]) -> User:
    """The person of checked claims, made if they are new, with the teams and roles of their groups.

    Raises SignInRefused.
    """
    groups = groups_of(claims)
    if settings.OIDC_REQUIRED_GROUP and settings.OIDC_REQUIRED_GROUP not in groups:
        raise SignInRefused(
            f"Your account is not in the group “{settings.OIDC_REQUIRED_GROUP}”, which OpenAlert needs. "
            "Whoever manages accounts at your identity provider can put you into it.",
            user=_known(claims),
            tried=_email(claims),
        )
    try:
        return _sign_in(claims, groups)
    except (IntegrityError, ValidationError):  # the same person's first sign-in, in two windows at once
        try:
            return _sign_in(claims, groups)
        except ValidationError as error:
            raise SignInRefused(
                "The identity provider tells something of you that cannot be kept: "
                + " ".join(error.messages)
            ) from error


@transaction.atomic
def _sign_in(claims: Mapping[str, Any], groups: set[str]) -> User:
    user = _known(claims) or _join(claims) or _make(claims)
    # Two sign-ins of one person, one after the other.
    user = User.objects.select_for_update().get(pk=user.pk)
    if not user.is_active:
        raise SignInRefused(
            "Your account is deactivated. An administrator can activate it again.",
            user=user,
            tried=user.email,
        )
    with acting_as(as_person(user)):
        _set_memberships(user, groups)
        _set_installation_role(user, groups)
    return user


def groups_of(claims: Mapping[str, Any]) -> set[str]:
    """Raises SignInRefused when there are too many to be sent: to go on would take all teams from the person."""
    name = settings.OIDC_GROUPS_CLAIM
    if name not in claims and name in (claims.get("_claim_names") or {}):
        raise SignInRefused(
            "You are in more groups than the identity provider sends. It has to be set up to send only those that "
            "are assigned to OpenAlert."
        )
    given = claims.get(name) or []
    return {given} if isinstance(given, str) else {str(group) for group in given}


def _known(claims: Mapping[str, Any]) -> User | None:
    found = (
        Identity.objects.filter(issuer=claims["iss"], subject=claims["sub"]).select_related("user").first()
    )
    return found.user if found else None


def _email(claims: Mapping[str, Any]) -> str:
    return str(claims.get("email") or "").strip()


def _join(claims: Mapping[str, Any]) -> User | None:
    """The account that has the address already. An address that the provider did not check could be anybody's."""
    email = _email(claims)
    if not email:
        raise SignInRefused("The identity provider does not tell your email address, which OpenAlert needs.")
    user = User.objects.select_for_update().filter(email__iexact=email).first()
    if user is None:
        return None
    is_verified = claims.get("email_verified") in (True, "true")
    if not is_verified or user.is_service_account or user.identities.filter(issuer=claims["iss"]).exists():
        raise SignInRefused(
            f"There is an account with the address {email} already. An administrator has to join it with yours at the "
            f"identity provider, in the admin under Identities. Your subject there is {claims['sub']}.",
            user=user,
            tried=email,
        )
    with acting_as(as_person(user)):
        Identity.objects.create(user=user, issuer=claims["iss"], subject=claims["sub"])
    return user


def _make(claims: Mapping[str, Any]) -> User:
    email = _email(claims)
    name = str(claims.get("name") or claims.get("preferred_username") or email.partition("@")[0])
    user = User.objects.create_user(email, name=name[:LONGEST_NAME])
    Identity.objects.create(user=user, issuer=claims["iss"], subject=claims["sub"])
    return user


def _set_memberships(user: User, groups: set[str]) -> None:
    """What mappings gave follows them; what was given by hand stays as it is."""
    mappings = GroupMapping.objects.filter(group__in=groups).exclude(team=None)
    wanted: dict[Any, str] = {}
    for mapping in sorted(mappings, key=lambda mapping: HIGHEST_FIRST.index(Role(mapping.role))):
        wanted.setdefault(mapping.team_id, mapping.role)
    for membership in Membership.objects.filter(user=user).select_related("team", "user"):
        role = wanted.pop(membership.team_id, None)
        if not membership.from_identity or role == membership.role:
            continue
        if role is None:
            membership.delete()
        else:
            membership.role = role
            membership.save()
    for team_id, role in wanted.items():
        Membership.objects.create(user=user, team_id=team_id, role=role, from_identity=True)


def _set_installation_role(user: User, groups: set[str]) -> None:
    """Each role that any mapping names is given and taken by groups alone; the last administrator is left."""
    mappings = list(GroupMapping.objects.exclude(installation_role=""))
    named = {mapping.installation_role for mapping in mappings}
    given = {mapping.installation_role for mapping in mappings if mapping.group in groups}
    before = (user.is_superuser, user.is_staff, user.is_auditor)
    if InstallationRole.ADMIN in named:
        is_admin = InstallationRole.ADMIN in given
        others = User.objects.filter(is_superuser=True, is_active=True).exclude(pk=user.pk)
        if user.is_superuser and not is_admin and not others.exists():
            record("last_administrator_kept", user)
        elif user.is_superuser != is_admin:
            user.is_superuser = user.is_staff = is_admin
    if InstallationRole.AUDITOR in named:
        user.is_auditor = InstallationRole.AUDITOR in given
    if (user.is_superuser, user.is_staff, user.is_auditor) != before:
        user.save()
