"""Rows of the notifications app for tests. They are written as they are: nothing is delivered."""

from datetime import time

import factory
from django.utils import timezone

from incidents.tests.factories import IncidentFactory
from notifications.enums import AttemptStatus, Channel, NotificationStatus, WebhookEvent
from notifications.models import (
    ContactMethod,
    DeliveryAttempt,
    Notification,
    NotificationRule,
    QuietHours,
    Webhook,
    WebhookDelivery,
)
from notifications.webhooks import new_secret
from openalert.ids import uuid7
from teams.tests.factories import TeamFactory, UserFactory


class ContactMethodFactory(factory.django.DjangoModelFactory):
    """A verified email address of its own; `channel=Channel.IN_APP` has none."""

    class Meta:
        model = ContactMethod

    user = factory.SubFactory(UserFactory)
    channel = Channel.EMAIL
    verified_at = factory.LazyFunction(timezone.now)

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


class WebhookFactory(factory.django.DjangoModelFactory):
    """A webhook for every event of its team's incidents."""

    class Meta:
        model = Webhook

    team = factory.SubFactory(TeamFactory)
    name = factory.Sequence(lambda n: f"Webhook {n}")
    url = factory.Sequence(lambda n: f"https://hooks.example.org/{n}")
    secret = factory.LazyFunction(new_secret)


class WebhookDeliveryFactory(factory.django.DjangoModelFactory):
    """One that is due now."""

    class Meta:
        model = WebhookDelivery

    webhook = factory.SubFactory(WebhookFactory)
    event = WebhookEvent.TEST
    event_id = factory.LazyFunction(uuid7)
    body = factory.LazyFunction(lambda: {"type": "webhook.test", "data": {"summary": "Ünïcode"}})
    due_at = factory.LazyFunction(timezone.now)
    wake_at = factory.SelfAttribute("due_at")
