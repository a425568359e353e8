"""The outbox of mail to subscribers of incidents, who may have no account."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from incidents.models import Stakeholder, StatusUpdate
from notifications.enums import UNFINISHED, NotificationStatus
from openalert.base import BaseModel


class SubscriberMail(BaseModel):
    """A status update, or without one the question whether somebody wants them, to one address.

    Written only by notifications.subscriber_mail. The unique `key` names what it says and to whom: nothing is written,
    and so sent, a second time.
    """

    key = models.CharField(max_length=400, unique=True, editable=False)
    address = models.EmailField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    stakeholder = models.ForeignKey(
        Stakeholder, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    update = models.ForeignKey(
        StatusUpdate, on_delete=models.CASCADE, null=True, blank=True, related_name="mails"
    )
    status = models.CharField(max_length=16, choices=NotificationStatus, default=NotificationStatus.PENDING)
    due_at = models.DateTimeField(
        help_text="Not to be tried before; while it is tried, when that counts as failed."
    )
    tries = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    provider_id = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "subscriber mail"
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=NotificationStatus.values), name="subscriber_mail_status_known"
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(stakeholder__isnull=True),
                name="subscriber_mail_has_one_reader",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(status__in=UNFINISHED), name="subscriber_mail_to_send"
            )
        ]

    def __str__(self) -> str:
        return f"{self.address}: {self.get_status_display()}"
