"""What people do about their shifts: swaps, notes at the hand-over, calendar feeds; and what they are told of."""

import hashlib

from django.db import models
from django.db.models import F, Q

from openalert.base import BaseModel
from teams.enums import SwapStatus

from .people import User
from .schedules import Schedule


class ShiftSwap(BaseModel):
    """Somebody asks to be relieved of a span of their shifts, maybe for a span of the other's. See teams.swaps."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="swaps")
    asker = models.ForeignKey(User, on_delete=models.CASCADE, related_name="swaps_asked")
    asked = models.ForeignKey(
        User,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="swaps_offered",
        help_text="Without one, any responder of the team may accept.",
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    return_starts_at = models.DateTimeField(null=True, blank=True)
    return_ends_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=16, choices=SwapStatus, default=SwapStatus.ASKED, editable=False)
    expires_at = models.DateTimeField(help_text="Default: when the first of the shifts begins.")
    answered_at = models.DateTimeField(null=True, editable=False)
    answered_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="swap_ends_after_start"),
            models.CheckConstraint(
                condition=Q(return_starts_at__isnull=True, return_ends_at__isnull=True)
                | Q(return_ends_at__gt=F("return_starts_at"), asked__isnull=False),
                name="swap_return_whole",
            ),
            models.CheckConstraint(condition=Q(status__in=SwapStatus.values), name="swap_status_known"),
        ]
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(status="asked"), name="swap_open_by_expiry")
        ]

    def __str__(self) -> str:
        return f"{self.asker} · {self.schedule}"


class HandOverNote(BaseModel):
    """What those on call want the next ones to know."""

    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="notes")
    author = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    text = models.TextField(max_length=4000)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["schedule", "-created_at"], name="note_newest_first")]

    def __str__(self) -> str:
        return f"{self.schedule} · {self.created_at:%Y-%m-%d %H:%M}"


class CalendarFeed(BaseModel):
    """An address under which a calendar program finds a person's shifts, or a schedule's. Of the secret in it we keep a hash."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="calendar_feeds")
    schedule = models.ForeignKey(
        Schedule, on_delete=models.CASCADE, null=True, blank=True, related_name="calendar_feeds"
    )
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    read_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "schedule"], nulls_distinct=False, name="calendar_feed_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.schedule or 'own shifts'}"

    @staticmethod
    def hash_token(token: str) -> str:
        return hashlib.sha256(token.encode()).hexdigest()


class Notice(BaseModel):
    """A message about schedules to one person, by email and on their open pages: no page, nobody has to answer it.

    There is one for a person and a `key`, however often it is given. See teams.notices.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    key = models.CharField(max_length=200)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    path = models.CharField(max_length=200, help_text="The page that it is about.")
    due_at = models.DateTimeField(
        null=True, help_text="When sending it is tried next; null once that is over."
    )
    void_at = models.DateTimeField(help_text="From then on it would come too late.")
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="notice_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="notice_due")]

    def __str__(self) -> str:
        return f"{self.user}: {self.subject}"
