"""How people are reached, the outbox of what is to be sent to them, and what became of it."""

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from incidents.enums import Urgency
from incidents.models import Incident
from notifications import addresses
from notifications.enums import (
    KNOWN_BY_ITSELF,
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
from openalert.words import listed
from teams.models import Team

LONGEST_ADDRESS = (
    2048  # a browser's push address, or a webhook's; short enough for the index that keeps it unique
)


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
        default=dict,
        db_default={},
        blank=True,
        editable=False,
        help_text="What encrypts messages to a browser.",
    )
    is_enabled = models.BooleanField(default=True)
    broken_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="Since when its provider says that nothing can be delivered there.",
    )
    broken_reason = models.TextField(blank=True, default="", db_default="", editable=False)
    verified_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When its owner proved to be there; nothing but codes is sent before.",
    )

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
        """Pages may go to it: switched on, and known to be its owner's."""
        return self.is_enabled and self.is_verified

    @property
    def is_working(self) -> bool:
        """Usable, and no provider says that it is no good."""
        return self.is_usable and self.broken_at is None

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


WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class QuietHours(BaseModel):
    """“From 22:00 to 07:00 only critical pages”, in the person's own time zone.

    They begin on each of `weekdays` and last past midnight when `until` is not after `starts`. Pages by the
    allowed methods go out all the same; the others wait for the end.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="quiet_hours")
    weekdays = ArrayField(
        models.PositiveSmallIntegerField(choices=list(enumerate(WEEKDAYS))),
        default=list,
        blank=True,
        size=7,
        help_text="On which days they begin: 0 is Monday. Empty: every day.",
    )
    starts = models.TimeField()
    until = models.TimeField()
    allowed_methods = models.ManyToManyField(
        ContactMethod, blank=True, related_name="+", help_text="Pages go by these all the same."
    )

    class Meta:
        ordering = ["starts", "created_at"]
        verbose_name_plural = "quiet hours"
        constraints = [
            models.CheckConstraint(
                condition=Q(weekdays__contained_by=list(range(7))), name="quiet_hours_weekdays_known"
            )
        ]

    def __str__(self) -> str:
        days = listed([WEEKDAYS[day] for day in sorted(set(self.weekdays))])
        return f"{self.starts:%H:%M} to {self.until:%H:%M}, {days or 'every day'}"


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


class ProviderAccount(BaseModel):
    """How a transport's account at its provider fares. Written only by notifications.accounts.

    It stands in PostgreSQL: a flushed Redis must not make us hammer a provider that asked for a pause.
    """

    name = models.CharField(max_length=32, unique=True)
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="The provider asked for a pause (Retry-After)."
    )
    failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    open_until = models.DateTimeField(
        null=True, blank=True, help_text="The circuit breaker is open: then one message is tried."
    )
    openings = models.PositiveIntegerField(default=0, help_text="Of the circuit breaker, in a row.")
    last_error = models.TextField(blank=True)
    last_failed_at = models.DateTimeField(null=True, blank=True)
    operations_told_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def closed_until(self) -> datetime | None:
        """When something may be handed to it again; None when it may be now."""
        ends = [end for end in (self.paused_until, self.open_until) if end and end > timezone.now()]
        return max(ends, default=None)


class OperationsTeam(BaseModel):
    """A team that looks after the installation: its responders are told of dead letters and see all of them."""

    team = models.OneToOneField(Team, on_delete=models.CASCADE, related_name="+")

    class Meta:
        ordering = ["created_at"]

    def __str__(self) -> str:
        return str(self.team)


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
