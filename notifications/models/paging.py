"""The outbox of what is to be sent to people, and what became of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from incidents.models import Incident
from notifications import addresses
from notifications.enums import (
    UNFINISHED,
    Action,
    AttemptStatus,
    Channel,
    Hold,
    NotificationStatus,
    Purpose,
    Receipt,
)
from openalert.base import BaseModel

from .contacts import LONGEST_ADDRESS, ContactMethod


class Notification(BaseModel):
    """One message to one person by one method: a row of the outbox.

    Written only by the outbox and the modules that it consists of.

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
    hold = models.CharField(
        max_length=16,
        choices=Hold,
        blank=True,
        default="",
        db_default="",
        help_text="Why it waits longer than its rule says.",
    )
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    request_id = models.UUIDField(
        null=True,
        blank=True,
        editable=False,
        help_text="The message that it travels in, or that brought it: who holds the lease.",
    )
    bundle_size = models.PositiveIntegerField(
        default=1, db_default=1, help_text="How many pages went to the person in the same message."
    )
    attempt_count = models.PositiveSmallIntegerField(default=0)
    uncounted_attempts = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Those that were answered “later”, or came before a replay.",
    )
    last_error = models.TextField(blank=True)
    payload = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="What it says: of a notice, and of what failed for good as it was to be sent.",
    )
    needs_fallback = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text="Another way to the person is still to be found.",
    )
    fell_back_at = models.DateTimeField(null=True, blank=True, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="In the app: when the person saw it.")
    discarded_at = models.DateTimeField(
        null=True, blank=True, help_text="When somebody put the dead letter away."
    )
    discarded_by = models.CharField(max_length=160, blank=True, default="", db_default="")

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
                fields=["sent_at"],
                condition=Q(purpose=Purpose.PAGE, status=NotificationStatus.SENT),
                name="notification_pages_sent",
            ),
            models.Index(
                fields=["-updated_at"], condition=Q(status=NotificationStatus.DEAD), name="notification_dead"
            ),
            models.Index(
                fields=["contact_method", "due_at"],
                condition=Q(status__in=UNFINISHED),
                name="notification_waiting_by_method",
            ),
            models.Index(
                fields=["updated_at"], condition=Q(needs_fallback=True), name="notification_to_fall_back"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} to {self.user}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED

    @property
    def is_about_paging(self) -> bool:
        """Whether it is a notice that something of the paging is broken (notices.py), and of no incident."""
        return self.purpose == Purpose.NOTICE and self.incident_id is None

    @property
    def shown_address(self) -> str:
        return addresses.shown(Channel(self.channel), self.address)

    @property
    def actions(self) -> tuple[Action, ...]:
        """What it can be answered with."""
        if self.purpose == Purpose.TEST:
            return (Action.ACKNOWLEDGE,)  # to see that the answer arrives
        return (Action.ACKNOWLEDGE, Action.RESOLVE) if self.incident_id else ()

    @property
    def last_receipt(self) -> Receipt:
        """What its provider told last. Reads the attempts: prefetch them."""
        told = [attempt for attempt in self.attempts.all() if attempt.receipt != Receipt.NOTHING]
        return Receipt(max(told, key=lambda attempt: attempt.number).receipt) if told else Receipt.NOTHING

    @property
    def was_unheard(self) -> bool:
        """Whether nobody, or a machine, took the call. Reads the attempts: prefetch them."""
        return self.last_receipt in (Receipt.UNANSWERED, Receipt.MACHINE)

    @property
    def receipt_words(self) -> str:
        """What its provider told last, like “delivered”; "" while nothing was. Reads the attempts: prefetch them."""
        receipt = self.last_receipt
        return "" if receipt == Receipt.NOTHING else str(receipt.label).lower()


class DeliveryAttempt(BaseModel):
    """One try at handing a notification to its transport: committed before the call, completed after.

    Those of pages that were bundled into one message have its `request_id` in common.
    """

    notification = models.ForeignKey(Notification, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    request_id = models.UUIDField(
        null=True, blank=True, help_text="Our name for the message that was handed over."
    )
    account = models.CharField(
        max_length=32,
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The provider account that it went through.",
    )
    # Plain, without a foreign key: what counts is how many went there in the last minute.
    method_id = models.UUIDField(null=True, blank=True, editable=False)
    status = models.CharField(max_length=16, choices=AttemptStatus, default=AttemptStatus.STARTED)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    is_permanent = models.BooleanField("failed for good", default=False)
    provider_id = models.CharField(
        max_length=255, blank=True, help_text="The provider's name for the message."
    )
    receipt = models.CharField(
        max_length=16,
        choices=Receipt,
        default=Receipt.NOTHING,
        db_default=Receipt.NOTHING,
        help_text="What the provider told later.",
    )
    receipt_at = models.DateTimeField(null=True, blank=True)
    receipt_detail = models.TextField(blank=True, default="", db_default="")

    class Meta:
        ordering = ["notification", "number"]
        constraints = [
            models.UniqueConstraint(fields=["notification", "number"], name="attempt_number_unique"),
            models.CheckConstraint(condition=Q(status__in=AttemptStatus.values), name="attempt_status_known"),
        ]
        indexes = [
            models.Index(fields=["method_id", "started_at"], name="attempt_by_method"),
            models.Index(fields=["account", "started_at"], name="attempt_by_account"),
            models.Index(fields=["request_id"], name="attempt_by_request"),
        ]

    def __str__(self) -> str:
        return f"Attempt {self.number}: {self.get_status_display()}"

    @property
    def has_arrived(self) -> bool:
        """Whether its provider has told that it has the message."""
        return self.receipt != Receipt.NOTHING and not Receipt(self.receipt).is_failure

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
