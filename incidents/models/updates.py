"""What those are told who do not work on an incident, and who they are."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from incidents.enums import UpdateState
from openalert.base import BaseModel
from teams.models import Service

from .incident import Incident


class StatusUpdate(BaseModel):
    """Written only by incidents.status_updates; never changed, as it has been sent."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    state = models.CharField(max_length=16, choices=UpdateState)
    text = models.TextField(max_length=10_000)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    author_name = models.CharField(max_length=160, blank=True, help_text="As it was at the time.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=UpdateState.values), name="update_state_known")
        ]
        indexes = [models.Index(fields=["incident", "-created_at"], name="update_by_incident")]

    def __str__(self) -> str:
        return f"{self.get_state_display()}: {self.text[:60]}"


class Stakeholder(BaseModel):
    """Somebody without an account who may be told by email, once they have agreed. Written only by incidents.subscriptions."""

    address = models.EmailField(unique=True, help_text="In small letters.")
    confirmed_at = models.DateTimeField(null=True, blank=True, help_text="When they agreed to get updates.")
    asked_at = models.DateTimeField(null=True, blank=True)
    asked = models.PositiveSmallIntegerField(default=0, help_text="How often lately.")

    class Meta:
        ordering = ["address"]

    def __str__(self) -> str:
        return self.address


class Subscription(BaseModel):
    """Who gets the updates of an incident, or of every incident of a service. Written only by incidents.subscriptions."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="subscriptions",
    )
    stakeholder = models.ForeignKey(
        Stakeholder, on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions"
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions"
    )
    service = models.ForeignKey(
        Service, on_delete=models.CASCADE, null=True, blank=True, related_name="subscriptions"
    )

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(stakeholder__isnull=True),
                name="subscription_has_one_subscriber",
            ),
            models.CheckConstraint(
                condition=Q(incident__isnull=True) ^ Q(service__isnull=True),
                name="subscription_is_to_one_thing",
            ),
            models.UniqueConstraint(
                fields=["user", "stakeholder", "incident", "service"],
                nulls_distinct=False,
                name="subscription_once",
            ),
        ]

    def __str__(self) -> str:
        return str(self.user or self.stakeholder)
