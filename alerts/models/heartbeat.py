"""Heartbeats: programs that say at intervals that they are alive."""

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower, Upper

from alerts.cron import next_after, validate_cron
from alerts.enums import IntervalUnit, PingKind
from incidents.enums import Severity
from openalert.base import BaseModel
from teams.models import Team, TimeZoneNameField

from .integration import Integration

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from teams.models import User

MAX_INTERVAL = 10_000
MAX_GRACE_MINUTES = 10_080
MAX_PING_BODY = 10_000
MOST_WORDS = 50
LONGEST_WORD = 100
LONGEST_SENDER = 320
# RFC 5322 §2.1.1: the longest line there is.
LONGEST_MESSAGE_ID = 998


def new_ping_key() -> str:
    return secrets.token_urlsafe(18)


def words_field(means: str) -> ArrayField:
    return ArrayField(
        models.CharField(max_length=LONGEST_WORD),
        size=MOST_WORDS,
        default=list,
        blank=True,
        db_default=Value([], ArrayField(models.CharField(max_length=LONGEST_WORD))),
        help_text=f"Words in a mail’s subject, else in its text, that mean: {means}.",
    )


class HeartbeatQuerySet(models.QuerySet["Heartbeat"]):
    def visible_to(self, user: "User | AnonymousUser") -> "HeartbeatQuerySet":
        return self.filter(integration__service__team__in=Team.objects.visible_to(user))


class Heartbeat(BaseModel):
    """A program that has to ping once in an interval, or when cron says, or an alert fires for it until it does.

    It is watched from its first ping on: `due_at` is when the next one is late, None while nothing is watched.
    `expired_at` is since when its alert fires. Its alerts are its integration's. Written only by alerts.heartbeats.
    """

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="heartbeats")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True, max_length=10_000)
    interval = models.PositiveIntegerField(
        default=10, validators=[MinValueValidator(1), MaxValueValidator(MAX_INTERVAL)]
    )
    interval_unit = models.CharField(max_length=8, choices=IntervalUnit, default=IntervalUnit.MINUTES)
    cron = models.CharField(
        max_length=100,
        blank=True,
        validators=[validate_cron],
        help_text="When it runs, instead of the interval: like “30 2 * * *”.",
    )
    time_zone = TimeZoneNameField(help_text="Whose clock cron goes by.")
    grace_minutes = models.PositiveIntegerField(
        default=0,
        validators=[MaxValueValidator(MAX_GRACE_MINUTES)],
        help_text="How long after its time a ping is not late yet; how long it may run, if it says when it starts.",
    )
    ping_key = models.CharField(max_length=32, unique=True, default=new_ping_key, editable=False)
    is_enabled = models.BooleanField(default=True, help_text="Off: nobody minds when no ping comes.")
    alert_message = models.CharField(
        max_length=1024, blank=True, help_text="The alert's title; empty: the name, and “is expired”."
    )
    alert_tags = ArrayField(models.CharField(max_length=255), default=list, blank=True)
    severity = models.CharField(max_length=16, choices=Severity, default=Severity.MEDIUM)
    start_words = words_field("it begins")
    success_words = words_field("it is done")
    fail_words = words_field("it failed")
    mail_means = models.CharField(
        max_length=8,
        choices=[(kind.value, kind.label) for kind in (PingKind.SUCCESS, PingKind.FAIL)],
        default=PingKind.SUCCESS,
        db_default=PingKind.SUCCESS,
        help_text="What a mail means that has none of the words.",
    )
    last_ping_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    took = models.DurationField(null=True, blank=True, editable=False)
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    expired_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), "integration", name="heartbeat_name_unique_in_integration"
            ),
            # Mail servers may change the case of an address, which the key is a part of.
            models.UniqueConstraint(Upper("ping_key"), name="heartbeat_ping_key_unique_in_mail"),
            models.CheckConstraint(condition=Q(interval__gte=1), name="heartbeat_interval_positive"),
            models.CheckConstraint(
                condition=Q(interval_unit__in=IntervalUnit.values), name="heartbeat_interval_unit_known"
            ),
            models.CheckConstraint(
                condition=Q(severity__in=Severity.values), name="heartbeat_severity_known"
            ),
            models.CheckConstraint(
                condition=Q(mail_means__in=[PingKind.SUCCESS, PingKind.FAIL]),
                name="heartbeat_mail_means_known",
            ),
            models.CheckConstraint(
                condition=Q(due_at__isnull=True) | Q(is_enabled=True, expired_at__isnull=True),
                name="heartbeat_due_only_when_watched",
            ),
        ]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="heartbeat_due")]

    def __str__(self) -> str:
        return self.name

    @property
    def span(self) -> timedelta:
        return timedelta(**{self.interval_unit: self.interval})

    @property
    def grace(self) -> timedelta:
        return timedelta(minutes=self.grace_minutes)

    def late_at(self, last: datetime) -> datetime:
        """When the next ping is late if the last one came at an instant."""
        expected = next_after(self.cron, self.time_zone, last) if self.cron else last + self.span
        return expected + self.grace

    @property
    def title(self) -> str:
        return self.alert_message or f"{self.name} is expired"


class HeartbeatPing(models.Model):
    """What a program said; the newest of each heartbeat are kept."""

    heartbeat = models.ForeignKey(Heartbeat, on_delete=models.CASCADE, related_name="pings")
    at = models.DateTimeField()
    kind = models.CharField(max_length=8, choices=PingKind)
    exit_status = models.PositiveSmallIntegerField(null=True)
    took = models.DurationField(null=True, help_text="Since it said that it starts.")
    body = models.TextField(blank=True, max_length=MAX_PING_BODY)
    address = models.GenericIPAddressField(null=True)
    sender = models.CharField(
        max_length=LONGEST_SENDER, blank=True, default="", db_default="", help_text="Whose mail it was."
    )
    message_id = models.CharField(max_length=LONGEST_MESSAGE_ID, blank=True, default="", db_default="")

    class Meta:
        ordering = ["-pk"]
        constraints = [models.CheckConstraint(condition=Q(kind__in=PingKind.values), name="ping_kind_known")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.at:%Y-%m-%d %H:%M:%S}"


class HeartbeatWatch(models.Model):
    """One row: when somebody last looked which heartbeats are late. A hole in it is an outage of our own."""

    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.looked_at:%Y-%m-%d %H:%M:%S}"
