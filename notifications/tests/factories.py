"""Rows of the notifications app for tests. They are written as they are: nothing is delivered."""

from datetime import time

import factory
from django.utils import timezone

from incidents.tests.factories import IncidentFactory
from notifications.enums import AttemptStatus, Channel, NotificationStatus
from notifications.models import (
    ContactMethod,
    DeliveryAttempt,
    Notification,
    NotificationRule,
    QuietHours,
)
from openalert.ids import uuid7
from teams.tests.factories import UserFactory


class ContactMethodFactory(factory.django.DjangoModelFactory):
    """An email address of its own; `channel=Channel.IN_APP` has none."""

    class Meta:
        model = ContactMethod

    user = factory.SubFactory(UserFactory)
    channel = Channel.EMAIL

    @factory.lazy_attribute_sequence
    def address(self, n):
        return "" if self.channel == Channel.IN_APP else f"pager-{n}@example.org"


class NotificationRuleFactory(factory.django.DjangoModelFactory):
    """High urgency, at once, by a contact method of the same person."""

    class Meta:
        model = NotificationRule

    user = factory.SubFactory(UserFactory)
    contact_method = factory.SubFactory(ContactMethodFactory, user=factory.SelfAttribute("..user"))


class QuietHoursFactory(factory.django.DjangoModelFactory):
    """Every night from 22:00 to 07:00; `allowed=[method]` are the methods that go all the same."""

    class Meta:
        model = QuietHours
        skip_postgeneration_save = True

    user = factory.SubFactory(UserFactory)
    starts = time(22)
    until = time(7)

    @factory.post_generation
    def allowed(self, create, extracted, **kwargs):
        self.allowed_methods.set(extracted or [])


class NotificationFactory(factory.django.DjangoModelFactory):
    """A page that is due now; with `status=SENT` it was sent just now."""

    class Meta:
        model = Notification

    user = factory.SubFactory(UserFactory)
    incident = factory.SubFactory(IncidentFactory)
    contact_method = factory.SubFactory(ContactMethodFactory, user=factory.SelfAttribute("..user"))
    channel = factory.SelfAttribute("contact_method.channel")
    address = factory.SelfAttribute("contact_method.address")
    run_id = factory.LazyFunction(uuid7)
    status = NotificationStatus.PENDING
    due_at = factory.LazyFunction(timezone.now)
    wake_at = factory.SelfAttribute("due_at")
    sent_at = factory.LazyAttribute(
        lambda notification: timezone.now() if notification.status == NotificationStatus.SENT else None
    )


class DeliveryAttemptFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = DeliveryAttempt

    notification = factory.SubFactory(NotificationFactory)
    number = factory.LazyAttribute(lambda attempt: attempt.notification.attempts.count() + 1)
    status = AttemptStatus.SENT
    started_at = factory.LazyFunction(timezone.now)
    finished_at = factory.LazyFunction(timezone.now)
