"""How people are reached, the outbox of what is to be sent to them, and what became of it."""

from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from incidents.enums import Urgency
from incidents.models import Incident
from notifications import addresses
from notifications.enums import (
    KNOWN_BY_ITSELF,
    UNFINISHED,
    AttemptStatus,
    Channel,
    NotificationStatus,
    Purpose,
    Receipt,
)
from openalert.base import BaseModel

LONGEST_ADDRESS = (
    2048  # a browser's push address, or a webhook's; short enough for the index that keeps it unique
)


class ContactMethodQuerySet(models.QuerySet["ContactMethod"]):
    def usable(self) -> "ContactMethodQuerySet":
        """Those that pages may go to: switched on, and known to be their owner's."""
        return self.filter(is_enabled=True, verified_at__isnull=False)


class ContactMethod(BaseModel):
    """A way to reach a person. Pages go to it once it is verified (notifications.verification)."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="contact_methods"
    )
    channel = models.CharField(max_length=16, choices=Channel)
    label = models.CharField(max_length=80, blank=True, help_text="Your own name for it, like “work”.")
    address = models.CharField(
        max_length=LONGEST_ADDRESS, blank=True, help_text="Empty for pages in the app."
    )
    keys = models.JSONField(
        default=dict, blank=True, editable=False, help_text="What encrypts messages to a browser."
    )
    is_enabled = models.BooleanField(default=True)
    verified_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its owner proved to be there; nothing but codes is sent before.",
    )

    objects = ContactMethodQuerySet.as_manager()

    class Meta:
        ordering = ["channel", "address"]
        constraints = [
            models.UniqueConstraint("user", "channel", Lower("address"), name="contact_method_once_per_user"),
            models.CheckConstraint(
                condition=Q(channel__in=Channel.values), name="contact_method_channel_known"
            ),
            models.CheckConstraint(
                condition=Q(channel=Channel.IN_APP, address="")
                | (~Q(channel=Channel.IN_APP) & ~Q(address="")),
                name="contact_method_address_unless_in_app",
            ),
        ]

    def __str__(self) -> str:
        where = self.label or self.shown_address
        return f"{self.get_channel_display()} ({where})" if where else self.get_channel_display()

    @property
    def shown_address(self) -> str:
        """The address as pages show it: of one that is a secret, or too long to read, the recognisable part."""
        return addresses.shown(Channel(self.channel), self.address)

    @property
    def is_verified(self) -> bool:
        return self.verified_at is not None

    @property
    def needs_code(self) -> bool:
        """Not for our own pages, a device's own address, and the address of the person's account, which an
        administrator gave them."""
        is_own = self.channel == Channel.EMAIL and self.address.lower() == self.user.email.lower()
        return not is_own and self.channel not in KNOWN_BY_ITSELF

    def settle_verification(self, *, now: datetime) -> None:
        """After its address was given: it is known at once, or has to be verified. Does not save."""
        self.verified_at = None if self.needs_code else now

    @property
    def is_usable(self) -> bool:
        """Pages may go to it."""
        return self.is_enabled and self.is_verified

    def clean(self) -> None:
        super().clean()
        try:
            self.address = addresses.checked(Channel(self.channel), self.address)
        except ValidationError as error:
            raise ValidationError({"address": error.messages}) from error
        except ValueError:  # an unknown channel is told by its own field
            return


class NotificationRule(BaseModel):
    """“When I am paged with this urgency, use this method after so many minutes.”"""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_rules"
    )
    urgency = models.CharField(max_length=8, choices=Urgency, default=Urgency.HIGH)
    contact_method = models.ForeignKey(ContactMethod, on_delete=models.CASCADE, related_name="rules")
    delay_minutes = models.PositiveSmallIntegerField(
        default=0, validators=[MaxValueValidator(1440)], help_text="0: at once."
    )

    class Meta:
        ordering = ["urgency", "delay_minutes"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "urgency", "contact_method"], name="notification_rule_once_per_method"
            ),
            models.CheckConstraint(
                condition=Q(urgency__in=Urgency.values), name="notification_rule_urgency_known"
            ),
        ]

    def __str__(self) -> str:
        when = f"after {self.delay_minutes} min" if self.delay_minutes else "at once"
        return f"{self.contact_method} {when}"

    def clean(self) -> None:
        super().clean()
        if self.contact_method_id and self.contact_method.user_id != self.user_id:
            raise ValidationError({"contact_method": "Choose one of this person's own contact methods."})


class Notification(BaseModel):
    """One message to one person by one method: a row of the outbox. Written only by notifications.outbox.

    `run_id`, `loop` and `step` say which escalation step asked for it. The run lives in a higher app,
    hence no foreign key; the unique constraint on them is what makes a second page for the same step
    impossible, whatever is retried or repeated.
    """

    purpose = models.CharField(max_length=16, choices=Purpose, default=Purpose.PAGE)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, null=True, blank=True, related_name="notifications"
    )
    contact_method = models.ForeignKey(
        ContactMethod, on_delete=models.SET_NULL, null=True, related_name="notifications"
    )
    channel = models.CharField(max_length=16, choices=Channel)
    address = models.CharField(max_length=LONGEST_ADDRESS, blank=True)
    run_id = models.UUIDField(null=True, blank=True, editable=False)
    loop = models.PositiveSmallIntegerField(default=0, editable=False)
    step = models.PositiveSmallIntegerField(default=0, editable=False)
    priority = models.PositiveSmallIntegerField(default=0, help_text="0 first: the severity's rank.")
    status = models.CharField(max_length=16, choices=NotificationStatus, default=NotificationStatus.PENDING)
    due_at = models.DateTimeField(help_text="Not to be sent before.")
    wake_at = models.DateTimeField(help_text="When the sweep looks at it again.")
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    last_error = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="In the app: when the person saw it.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["run_id", "loop", "step", "user", "contact_method"],
                name="notification_once_per_step_person_method",
            ),
            models.CheckConstraint(
                condition=Q(status__in=NotificationStatus.values), name="notification_status_known"
            ),
            models.CheckConstraint(
                condition=~Q(purpose=Purpose.PAGE) | Q(incident__isnull=False, run_id__isnull=False),
                name="notification_page_has_incident_and_run",
            ),
            models.CheckConstraint(
                condition=~Q(status=NotificationStatus.SENT) | Q(sent_at__isnull=False),
                name="notification_sent_at_when_sent",
            ),
        ]
        indexes = [
            models.Index(fields=["wake_at"], condition=Q(status__in=UNFINISHED), name="notification_to_wake"),
            models.Index(fields=["user", "-created_at"], name="notification_by_user"),
            models.Index(
                fields=["-updated_at"], condition=Q(status=NotificationStatus.DEAD), name="notification_dead"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} to {self.user}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED

    @property
    def receipt_words(self) -> str:
        """What its provider told last, like “delivered”; "" while nothing was. Reads the attempts: prefetch them."""
        told = [attempt for attempt in self.attempts.all() if attempt.receipt != Receipt.NOTHING]
        return max(told, key=lambda attempt: attempt.number).get_receipt_display().lower() if told else ""


class DeliveryAttempt(BaseModel):
    """One try at handing a notification to its transport: committed before the call, completed after."""

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    status = models.CharField(max_length=16, choices=AttemptStatus, default=AttemptStatus.STARTED)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    is_permanent = models.BooleanField("failed for good", default=False)
    provider_id = models.CharField(
        max_length=255, blank=True, help_text="The provider's name for the message."
    )
    receipt = models.CharField(
        max_length=16, choices=Receipt, default=Receipt.NOTHING, help_text="What the provider told later."
    )
    receipt_at = models.DateTimeField(null=True, blank=True)
    receipt_detail = models.TextField(blank=True)

    class Meta:
        ordering = ["notification", "number"]
        constraints = [
            models.UniqueConstraint(fields=["notification", "number"], name="attempt_number_unique"),
            models.CheckConstraint(condition=Q(status__in=AttemptStatus.values), name="attempt_status_known"),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number}: {self.get_status_display()}"

    @property
    def latency_seconds(self) -> float | None:
        return (self.finished_at - self.started_at).total_seconds() if self.finished_at else None


class MailboxMessage(BaseModel):
    """An email that the embedded installation delivered to itself, for the mailbox page."""

    sender = models.CharField(max_length=320)
    recipient = models.EmailField()
    subject = models.CharField(max_length=998)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    message_id = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(Lower("recipient"), models.F("created_at").desc(), name="mailbox_by_recipient")
        ]

    def __str__(self) -> str:
        return self.subject
