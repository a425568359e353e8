"""What people answer to pages, and the proof that a contact method is theirs."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from incidents.models import Incident
from notifications.enums import Action, Channel, ReplyOutcome
from openalert.base import BaseModel

from .contacts import LONGEST_ADDRESS, ContactMethod
from .paging import Notification


class Reply(BaseModel):
    """One answer that came in, whoever sent it, and what it led to. Written only by notifications.replies.

    The unique constraint is what makes a repeated request harmless: it finds what was answered before.
    """

    channel = models.CharField(max_length=16, choices=Channel)
    key = models.CharField(max_length=255, help_text="The provider's name for the answer; once in a channel.")
    sender = models.CharField(max_length=320, blank=True, help_text="As the provider told it.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    notification = models.ForeignKey(
        Notification, on_delete=models.SET_NULL, null=True, blank=True, related_name="replies"
    )
    incident = models.ForeignKey(Incident, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    action = models.CharField(max_length=16, choices=Action, blank=True)
    text = models.CharField(max_length=1600, blank=True, help_text="What was written or pressed.")
    outcome = models.CharField(max_length=16, choices=ReplyOutcome)
    answer = models.TextField(blank=True, help_text="What the sender was told.")

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "replies"
        constraints = [
            models.UniqueConstraint(fields=["channel", "key"], name="reply_once"),
            models.CheckConstraint(condition=Q(outcome__in=ReplyOutcome.values), name="reply_outcome_known"),
        ]
        indexes = [models.Index(fields=["-created_at"], name="reply_newest_first")]

    def __str__(self) -> str:
        return f"{self.get_outcome_display()}: {self.text}"


class Verification(BaseModel):
    """A code that was sent to a contact method's address. The code itself is nowhere (notifications.codes)."""

    contact_method = models.ForeignKey(ContactMethod, on_delete=models.CASCADE, related_name="verifications")
    notification = models.OneToOneField(Notification, on_delete=models.CASCADE, related_name="+")
    address = models.CharField(
        max_length=LONGEST_ADDRESS, help_text="Where it went: a changed address needs its own."
    )
    expires_at = models.DateTimeField()
    tries_left = models.PositiveSmallIntegerField(default=5)
    used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"Code for {self.contact_method}"
