"""What was learnt from an incident, and what is to be done about it."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from incidents.enums import ActionItemState, PostmortemState
from openalert.base import BaseModel

from .incident import Incident

LONGEST_BODY = 200_000


class Postmortem(BaseModel):
    """One for an incident. Written only by incidents.postmortems, which locks the row first."""

    incident = models.OneToOneField(Incident, on_delete=models.CASCADE, related_name="postmortem")
    body = models.TextField(blank=True, max_length=LONGEST_BODY, help_text="Markdown.")
    state = models.CharField(max_length=16, choices=PostmortemState, default=PostmortemState.DRAFT)
    version = models.PositiveIntegerField(default=1, help_text="Goes up with every change of the text.")
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    edited_at = models.DateTimeField()
    published_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=PostmortemState.values), name="postmortem_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=PostmortemState.PUBLISHED) | Q(published_at__isnull=False),
                name="postmortem_published_at_when_published",
            ),
        ]

    def __str__(self) -> str:
        return f"Postmortem of {self.incident}"


class PostmortemRevision(BaseModel):
    """The text as it was at a version: what was written over is not lost."""

    postmortem = models.ForeignKey(Postmortem, on_delete=models.CASCADE, related_name="revisions")
    version = models.PositiveIntegerField()
    body = models.TextField(blank=True)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    author_name = models.CharField(max_length=160, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-version"]
        constraints = [models.UniqueConstraint(fields=["postmortem", "version"], name="revision_once")]

    def __str__(self) -> str:
        return f"Version {self.version}"


class ActionItem(BaseModel):
    """Something that is to be done so that it does not happen again. Written only by incidents.action_items."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="action_items")
    text = models.CharField(max_length=500)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="action_items",
    )
    due_on = models.DateField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=ActionItemState, default=ActionItemState.OPEN)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["created_at", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ActionItemState.values), name="action_item_state_known"
            )
        ]
        indexes = [
            models.Index(
                fields=["due_on"],
                condition=Q(state__in=[ActionItemState.OPEN, ActionItemState.IN_PROGRESS]),
                name="action_item_to_do",
            )
        ]

    def __str__(self) -> str:
        return self.text
