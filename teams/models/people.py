"""People and the teams that they belong to."""

import zoneinfo
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from openalert.base import BaseModel
from openalert.zones import time_zones
from teams.enums import Role
from teams.standing import Grant, grant_of, sees_everything

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

E164 = RegexValidator(r"^\+[1-9]\d{6,14}$", "Write the number with its country code, like +15005550006.")


def validate_time_zone(value: str) -> None:
    """Raises ValidationError unless `value` names a zone of the IANA database."""
    if value not in time_zones():
        raise ValidationError(f"“{value}” is not a time zone. Try one like Europe/Berlin.")


class TimeZoneNameField(models.CharField):
    """The name of an IANA time zone, such as America/New_York."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"max_length": 64, "default": "UTC", **kwargs})
        self.validators = [*self.validators, validate_time_zone]


class UserManager(BaseUserManager["User"]):
    use_in_migrations = True

    def get_by_natural_key(self, email: str | None) -> "User":
        return self.get(email__iexact=email)

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A person who signs in by email; without a password, signing in by password is off."""
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.full_clean()
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, **{"is_staff": True, "is_superuser": True, **fields})


class User(BaseModel, AbstractBaseUser, PermissionsMixin):
    """A person. The email address is the name they sign in with, whatever its case."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120)
    job_title = models.CharField(max_length=120, blank=True)
    phone = models.CharField(max_length=16, blank=True, validators=[E164], help_text="E.164: +15005550006")
    time_zone = TimeZoneNameField()
    is_active = models.BooleanField(default=True, help_text="Off: may not sign in and is never paged.")
    inactive_since_at = models.DateTimeField(null=True, editable=False)  # kept by save
    is_staff = models.BooleanField("may use the admin", default=False)
    is_auditor = models.BooleanField(
        "auditor",
        default=False,
        db_default=False,
        help_text="Sees everything of all teams, and changes nothing by that.",
    )
    # Whom the timeline names for what a team's API token does. Nobody signs in as it, nor pages it.
    is_service_account = models.BooleanField(default=False, db_default=False, editable=False)
    # Of an administrator: the guide for an empty installation is not what they want to see first.
    first_steps_put_away = models.BooleanField(default=False, db_default=False, editable=False)
    sign_outs = models.PositiveIntegerField(default=0, db_default=0, editable=False)  # from everywhere

    grant: Grant | None = None  # what a team's API token may do, set when it is let in

    objects = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["name"]

    class Meta:
        ordering = ["name", "email"]
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_unique_in_any_case")]

    def __str__(self) -> str:
        return self.name or self.email

    def clean(self) -> None:
        super().clean()
        self.email = type(self).objects.normalize_email(self.email)

    def save(self, *args: Any, **options: Any) -> None:
        self.settle_activity()
        if "is_active" in (fields := options.get("update_fields") or ()):
            options["update_fields"] = {*fields, "inactive_since_at"}
        super().save(*args, **options)

    def settle_activity(self) -> None:
        """Remembers since when a person is inactive: the shifts before stay theirs. `save` does it by itself."""
        if self.is_active:
            self.inactive_since_at = None
        elif self.inactive_since_at is None:
            self.inactive_since_at = timezone.now()

    def get_session_auth_hash(self) -> str:
        """Signing out everywhere ends sessions as a new password does."""
        return self._session_hash(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        return map(self._session_hash, super().get_session_auth_fallback_hash())

    def _session_hash(self, of_password: str) -> str:
        return f"{of_password}.{self.sign_outs}" if self.sign_outs else of_password

    def is_active_at(self, at: datetime) -> bool:
        """Whether they could be on call at the instant `at`, as far as is known."""
        return self.is_active or (self.inactive_since_at is not None and at < self.inactive_since_at)

    @property
    def enters_admin(self) -> bool:
        """Whether the admin has anything for them: see openalert.admin_roles."""
        return sees_everything(self) or (
            self.is_active and self.memberships.filter(role=Role.MANAGER).exists()
        )

    @property
    def initials(self) -> str:
        """One or two capitals for the avatar: “Ana María Ruiz” gives AR."""
        words = (self.name or self.email.partition("@")[0]).split()
        return "".join(word[0] for word in ([words[0], words[-1]] if len(words) > 1 else words)).upper()

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name.split()[0] if self.name else self.email


class TeamQuerySet(models.QuerySet["Team"]):
    def visible_to(self, user: "User | AnonymousUser") -> "TeamQuerySet":
        """The teams that `user` belongs to; all of them for administrators and auditors, none for nobody."""
        if not user.is_authenticated:
            return self.none()
        if grant := grant_of(user):
            return self.filter(pk=grant.team_id)
        return self if sees_everything(user) else self.filter(memberships__user=user)


class Team(BaseModel):
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    time_zone = TimeZoneNameField()
    members = models.ManyToManyField(User, through="Membership", related_name="teams")

    objects = TeamQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(Lower("name"), name="team_name_unique_in_any_case")]

    def __str__(self) -> str:
        return self.name

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Membership(BaseModel):
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.RESPONDER)
    # Follows the groups at the identity provider; one given by hand is left alone by them.
    from_identity = models.BooleanField("by a group", default=False, db_default=False, editable=False)

    class Meta:
        ordering = ["team__name", "user__name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="membership_once_per_team"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.team} ({self.get_role_display()})"
