"""Choices of the notifications app."""

from django.db import models


class Channel(models.TextChoices):
    """By what a page travels; each has a transport of the same name."""

    IN_APP = "in_app", "In the app"
    EMAIL = "email", "Email"

    @property
    def phrase(self) -> str:
        """How it reads in a sentence: paged “in the app”, “by email”."""
        return "in the app" if self == Channel.IN_APP else f"by {self.label.lower()}"


class NotificationStatus(models.TextChoices):
    PENDING = "pending", "Waiting"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    DEAD = "dead", "Failed for good"
    CANCELLED = "cancelled", "No longer needed"


UNFINISHED = (NotificationStatus.PENDING, NotificationStatus.SENDING)


class Hold(models.TextChoices):
    """Why a notification waits longer than its rule says."""

    QUIET_HOURS = "quiet_hours", "Waits for the end of quiet hours"
    BUNDLE = "bundle", "Waits to go with others in one message"
    LIMIT = "limit", "Waits: the provider’s limit for a minute is used up"
    PAUSE = "pause", "Waits: the provider asked for a pause"
    BREAKER = "breaker", "Waits: the provider is failing"


class Purpose(models.TextChoices):
    PAGE = "page", "Page"
    TEST = "test", "Test page"
    NOTICE = "notice", "Notice"


class AttemptStatus(models.TextChoices):
    STARTED = "started", "Started"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    ABANDONED = "abandoned", "Abandoned: the sender died or was too slow"
