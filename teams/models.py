"""People and what they own: users, teams, services, and on-call schedules."""

import zoneinfo
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from openalert.base import BaseModel

from .enums import Correlation, Role, Rotation

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

E164 = RegexValidator(r"^\+[1-9]\d{6,14}$", "Write the number with its country code, like +15005550006.")


def validate_time_zone(value: str) -> None:
    """Raises ValidationError unless `value` names a zone of the IANA database."""
    if value not in zoneinfo.available_timezones():
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
    is_staff = models.BooleanField("may use the admin", default=False)

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
        """The teams that `user` belongs to; all of them for a superuser, none for nobody."""
        if not user.is_authenticated:
            return self.none()
        return self if user.is_superuser else self.filter(memberships__user=user)


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

    class Meta:
        ordering = ["team__name", "user__name"]
        constraints = [
            models.UniqueConstraint(fields=["team", "user"], name="membership_once_per_team"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.team} ({self.get_role_display()})"


class TeamOwnedQuerySet(models.QuerySet):
    """For rows with a `team`."""

    def visible_to(self, user: "User | AnonymousUser") -> "TeamOwnedQuerySet":
        """Those of the teams that `user` belongs to; all of them for a superuser."""
        return self.filter(team__in=Team.objects.visible_to(user))


class Service(BaseModel):
    """Something that a team runs and that can be broken: alerts arrive for it, incidents are about it."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="services")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    runbook_url = models.URLField(blank=True, max_length=500)
    resolves_with_alerts = models.BooleanField(
        default=True, help_text="Resolve the incident when the last of its open alerts is resolved."
    )

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), "team", name="service_name_unique_in_team"),
        ]

    def __str__(self) -> str:
        return self.name


USUAL_WINDOW_MINUTES = 30
LONGEST_WINDOW_MINUTES = 7 * 24 * 60


class ServiceDependencyQuerySet(models.QuerySet["ServiceDependency"]):
    def visible_to(self, user: "User | AnonymousUser") -> "ServiceDependencyQuerySet":
        """Those of services that `user` may see, on either side; all for a superuser."""
        services = Service.objects.visible_to(user)
        return self.filter(Q(service__in=services) | Q(upstream__in=services))


class ServiceDependency(BaseModel):
    """A service that is broken when another one, upstream of it, is. Written only by teams.dependencies.

    No service is upstream of itself, over however many others.
    """

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="dependencies")
    upstream = models.ForeignKey(
        Service, on_delete=models.CASCADE, related_name="dependents", verbose_name="depends on"
    )
    correlation = models.CharField(
        max_length=16,
        choices=Correlation,
        default=Correlation.SUGGEST,
        help_text="What becomes of its alerts while the upstream service has an incident.",
    )
    window_minutes = models.PositiveIntegerField(
        default=USUAL_WINDOW_MINUTES,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_WINDOW_MINUTES)],
        help_text="The upstream incident counts for so long after its last alert.",
    )

    objects = ServiceDependencyQuerySet.as_manager()

    class Meta:
        ordering = ["service__name", "upstream__name"]
        verbose_name_plural = "service dependencies"
        constraints = [
            models.UniqueConstraint(fields=["service", "upstream"], name="dependency_once"),
            models.CheckConstraint(condition=~Q(service=F("upstream")), name="dependency_not_on_itself"),
            models.CheckConstraint(
                condition=Q(correlation__in=Correlation.values), name="dependency_correlation_known"
            ),
            models.CheckConstraint(
                condition=Q(window_minutes__range=(1, LONGEST_WINDOW_MINUTES)), name="dependency_window_sane"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.service} depends on {self.upstream}"


class Schedule(BaseModel):
    """Who is on call when. The answer is teams.oncall's."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="schedules")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    time_zone = TimeZoneNameField()

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(Lower("name"), "team", name="schedule_name_unique_in_team"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tzinfo(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Layer(BaseModel):
    """One rotation. Of two layers, the one with the higher position wins."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="layers")
    name = models.CharField(max_length=120, default="Rotation")
    position = models.PositiveSmallIntegerField(default=0)
    rotation = models.CharField(max_length=16, choices=Rotation, default=Rotation.WEEKLY)
    turn_length = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Hours, days or weeks until the hand-over."
    )
    starts_at = models.DateTimeField(
        help_text="The first participant's first hand-over: its local day and time set all later ones."
    )
    ends_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["schedule", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "position"],
                name="layer_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(condition=Q(turn_length__gte=1), name="layer_turn_length_positive"),
            models.CheckConstraint(condition=Q(rotation__in=Rotation.values), name="layer_rotation_known"),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")),
                name="layer_ends_after_start",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schedule} · {self.name}"


class Participant(BaseModel):
    """A person's place in a rotation."""

    layer = models.ForeignKey(Layer, on_delete=models.CASCADE, related_name="participants")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="participations")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["layer", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["layer", "position"],
                name="participant_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            )
        ]

    def __str__(self) -> str:
        return str(self.user)


class Override(BaseModel):
    """One person instead of whoever the layers name, for a while."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="overrides")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="overrides")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    created_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-starts_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="override_ends_after_start")
        ]
        indexes = [models.Index(fields=["schedule", "ends_at"], name="override_by_end")]

    def __str__(self) -> str:
        return f"{self.user} · {self.schedule}"

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at
