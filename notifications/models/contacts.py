"""How people are reached: their contact methods, the rules by which these are used, and quiet hours."""

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from incidents.enums import Urgency
from notifications import addresses
from notifications.enums import KNOWN_BY_ITSELF, Channel
from openalert.base import BaseModel
from openalert.encryption import EncryptedJSONField
from openalert.words import listed

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
    keys = EncryptedJSONField(
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
