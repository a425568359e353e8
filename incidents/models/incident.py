"""Incidents and their timeline."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models import Case, F, Func, IntegerField, Q, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now, Upper
from django.urls import reverse

from incidents.enums import SEVERITIES, TRANSITIONS, ActorKind, Kind, Severity, Status
from incidents.exceptions import InvalidTransition
from openalert.base import BaseModel
from teams.models import Service, Team

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import AnonymousUser

    from teams.models import User

# How words are searched: their English stems.
WORDS = "english"
NOTE = KeyTextTransform("text", "data")
NUMBER_SEQUENCE = "incidents_incident_number_seq"


class IncidentQuerySet(models.QuerySet["Incident"]):
    def visible_to(self, user: "User | AnonymousUser") -> "IncidentQuerySet":
        """Those about services of the teams that `user` belongs to; all of them for a superuser."""
        teams = Team.objects.visible_to(user)
        # Every incident has a team: asking for it anyway would join all of them, to count them or to find the newest.
        return self.filter(service__team__in=teams) if teams.query.has_filters() else self

    def unresolved(self) -> "IncidentQuerySet":
        return self.exclude(status=Status.RESOLVED)

    def with_severity_rank(self) -> "IncidentQuerySet":
        """Adds `severity_rank`, 0 for critical."""
        return self.annotate(
            severity_rank=Case(
                *(When(severity=severity, then=Value(severity.rank)) for severity in SEVERITIES),
                output_field=IntegerField(),
            )
        )


class Incident(BaseModel):
    """Something that a team has to deal with: what responders acknowledge and resolve.

    Written only by incidents.lifecycle and incidents.merging, which lock the row first.
    """

    number = models.BigIntegerField(
        unique=True,
        editable=False,
        db_default=Func(Value(NUMBER_SEQUENCE), function="nextval", output_field=models.BigIntegerField()),
        help_text="What people call it: #42.",
    )
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="incidents")
    title = models.CharField(max_length=1024)
    summary = models.TextField(
        blank=True,
        default="",
        db_default="",
        max_length=5_000,
        help_text="What is known by now, in Markdown: it stands above everything else.",
    )
    severity = models.CharField(max_length=16, choices=Severity, default=Severity.HIGH)
    status = models.CharField(max_length=16, choices=Status, default=Status.OPEN)
    grouping_key = models.CharField(
        max_length=128, blank=True, editable=False, help_text="New alerts with the same key may join."
    )
    opened_at = models.DateTimeField()
    last_alert_at = models.DateTimeField(
        help_text="When the newest of its alerts arrived; in a storm it is some seconds late."
    )
    alert_entries = models.PositiveIntegerField(
        default=0, editable=False, help_text="How many timeline entries tell of its alerts."
    )
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Unlike the two above it stays, whatever comes after: this is what reports reckon with.
    first_acknowledged_at = models.DateTimeField(null=True, blank=True, editable=False)
    first_acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        related_name="+",
    )
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_incidents",
    )
    snoozed_until = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Old incidents may be removed for good: what was merged into one then is simply resolved.
    merged_into = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        db_index=False,
        related_name="merged",
        help_text="The incident in which it goes on.",
    )

    objects = IncidentQuerySet.as_manager()

    class Meta:
        ordering = ["-opened_at"]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="incident_status_known"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="incident_severity_known"),
            models.CheckConstraint(
                condition=Q(status=Status.RESOLVED, resolved_at__isnull=False)
                | (~Q(status=Status.RESOLVED) & Q(resolved_at__isnull=True)),
                name="incident_resolved_at_iff_resolved",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.SNOOZED, snoozed_until__isnull=False)
                | (~Q(status=Status.SNOOZED) & Q(snoozed_until__isnull=True)),
                name="incident_snoozed_until_iff_snoozed",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.ACKNOWLEDGED) | Q(acknowledged_at__isnull=False),
                name="incident_acknowledged_at_when_acknowledged",
            ),
            models.CheckConstraint(
                condition=Q(merged_into__isnull=True) | Q(status=Status.RESOLVED) & ~Q(merged_into=F("id")),
                name="incident_merged_is_resolved",
            ),
        ]
        indexes = [
            models.Index(
                fields=["service", "grouping_key", "-last_alert_at"],
                condition=~Q(status=Status.RESOLVED),
                name="incident_to_join",
            ),
            models.Index(
                fields=["-opened_at"], condition=~Q(status=Status.RESOLVED), name="incident_unresolved"
            ),
            models.Index(fields=["service", "-opened_at"], name="incident_by_service"),
            models.Index(
                fields=["snoozed_until"], condition=Q(status=Status.SNOOZED), name="incident_snoozed"
            ),
            models.Index(
                fields=["merged_into"], condition=Q(merged_into__isnull=False), name="incident_by_merged_into"
            ),
            models.Index(
                fields=["service", "grouping_key"],
                condition=Q(merged_into__isnull=False),
                name="incident_merged_group",
            ),
            # Lists of all incidents, and reports: these read nothing but the index.
            models.Index(
                fields=["-opened_at", "-id"],
                include=[
                    "service",
                    "severity",
                    "status",
                    "first_acknowledged_at",
                    "first_acknowledged_by",
                    "resolved_at",
                    "merged_into",
                ],
                name="incident_reported",
            ),
            # Django asks icontains as UPPER(title) LIKE UPPER(…).
            GinIndex(OpClass(Upper("title"), name="gin_trgm_ops"), name="incident_title_trigram"),
            GinIndex(SearchVector("title", config=WORDS), name="incident_title_words"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("incident", args=[self.number])

    @property
    def is_resolved(self) -> bool:
        return self.status == Status.RESOLVED

    @property
    def needs_paging(self) -> bool:
        """Nobody has answered yet: pages may go out."""
        return self.status == Status.OPEN

    def can_become(self, status: Status) -> bool:
        return status in TRANSITIONS[Status(self.status)]

    def move_to(self, status: Status, *, at: "datetime", by: "User | None" = None) -> None:
        """Set the status and the instants that hang on it; does not save.

        Raises InvalidTransition when the table of transitions has no such step.
        """
        if not self.can_become(status):
            raise InvalidTransition(number=self.number, status=self.status, wanted=status)
        self.status = status
        self.snoozed_until = None
        self.resolved_at, self.resolved_by = (at, by) if status == Status.RESOLVED else (None, None)
        if status == Status.ACKNOWLEDGED:
            self.acknowledged_at, self.acknowledged_by = at, by
            if self.first_acknowledged_at is None:
                self.first_acknowledged_at, self.first_acknowledged_by = at, by
        elif status == Status.OPEN:
            self.acknowledged_at, self.acknowledged_by = None, None


# Few of all; reports look for them.
REPORTED = [Kind.ESCALATION_EXHAUSTED, Kind.NOBODY_TO_PAGE, Kind.PAGE_FAILED, Kind.FLAPPING]


class TimelineEntry(models.Model):
    """One line of an incident's story. Never changed, never removed; `id` is the order of telling."""

    id = models.BigAutoField(primary_key=True)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="timeline")
    at = models.DateTimeField()
    kind = models.CharField(max_length=32, choices=Kind)
    actor_kind = models.CharField(max_length=16, choices=ActorKind, default=ActorKind.SYSTEM)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    actor_name = models.CharField(max_length=160, blank=True, help_text="As it was at the time.")
    via = models.CharField(max_length=32, blank=True, help_text="The door: web, api, email, sms, …")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "timeline entries"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=Kind.values), name="timeline_kind_known"),
            models.CheckConstraint(
                condition=Q(actor_kind__in=ActorKind.values), name="timeline_actor_kind_known"
            ),
        ]
        indexes = [
            models.Index(F("incident"), F("id").desc(), name="timeline_by_incident"),
            models.Index(fields=["at"], condition=Q(kind__in=REPORTED), name="timeline_reported"),
            GinIndex(
                SearchVector(NOTE, config=WORDS), condition=Q(kind=Kind.NOTE), name="timeline_note_words"
            ),
            GinIndex(
                OpClass(Upper(NOTE), name="gin_trgm_ops"),
                condition=Q(kind=Kind.NOTE),
                name="timeline_note_trigram",
            ),
            # For a search by two letters, which no trigram has: all notes, the newest incidents' first.
            models.Index(fields=["incident"], condition=Q(kind=Kind.NOTE), name="timeline_note_by_incident"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.actor_name or self.get_actor_kind_display()})"


class LiveEvent(models.Model):
    """Something that open pages are told, kept for a while so that who was away can catch up.

    Written in the transaction of what it tells: a trigger adds one for each timeline entry, `incidents.rooms` adds
    others. It gets its `position`, and with it the rooms and the incident as it is then, after the commit, by
    incidents.live.log. Positions have no holes and become visible in their order.
    """

    id = models.BigAutoField(primary_key=True)
    position = models.BigIntegerField(null=True, editable=False)
    at = models.DateTimeField(db_default=Now())
    kind = models.CharField(
        max_length=64, help_text="Of the timeline entry, if there is one, or of the event."
    )
    entry_id = models.BigIntegerField(null=True)
    # Whose rooms it is told in. No foreign keys: it outlives none of them by much, and intake must not wait for a check.
    incident_id = models.UUIDField(null=True)
    service_id = models.UUIDField(null=True)
    team_id = models.UUIDField(null=True)
    user_id = models.UUIDField(null=True)
    data = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["position"], condition=Q(position__isnull=False), name="live_event_position_unique"
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(position__isnull=True), name="live_event_to_place")
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.position}"


class ToldOnCall(models.Model):
    """Who was on call for a schedule when open pages were told last."""

    schedule_id = models.UUIDField(primary_key=True)
    people = ArrayField(models.UUIDField())

    def __str__(self) -> str:
        return str(self.schedule_id)


class DoneAction(models.Model):
    """An action that a page asked for by a key of its own, so that asking again does nothing."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    key = models.UUIDField()
    done_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="action_done_once")]
        indexes = [models.Index(fields=["done_at"], name="action_by_time")]

    def __str__(self) -> str:
        return str(self.key)
