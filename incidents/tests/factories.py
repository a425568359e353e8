"""Rows of the incidents app for tests. They are written as they are: no signals, no paging."""

from datetime import timedelta

import factory
from django.utils import timezone

from incidents.enums import Kind, Severity, Status
from incidents.models import Incident, TimelineEntry
from teams.tests.factories import ServiceFactory


class IncidentFactory(factory.django.DjangoModelFactory):
    """An open incident; give `status` and the instants that hang on it are set too."""

    class Meta:
        model = Incident

    class Params:
        was_acknowledged = factory.LazyAttribute(lambda o: o.status == Status.ACKNOWLEDGED)
        was_resolved = factory.LazyAttribute(lambda o: o.status == Status.RESOLVED)
        was_snoozed = factory.LazyAttribute(lambda o: o.status == Status.SNOOZED)

    service = factory.SubFactory(ServiceFactory)
    title = factory.Sequence(lambda n: f"Incident {n}")
    severity = Severity.HIGH
    status = Status.OPEN
    opened_at = factory.LazyFunction(timezone.now)
    last_alert_at = factory.SelfAttribute("opened_at")
    acknowledged_at = factory.LazyAttribute(lambda o: timezone.now() if o.was_acknowledged else None)
    resolved_at = factory.LazyAttribute(lambda o: timezone.now() if o.was_resolved else None)
    snoozed_until = factory.LazyAttribute(
        lambda o: timezone.now() + timedelta(hours=1) if o.was_snoozed else None
    )

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        incident = super()._create(model_class, *args, **kwargs)
        incident.refresh_from_db(fields=["number"])
        return incident


class TimelineEntryFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = TimelineEntry

    incident = factory.SubFactory(IncidentFactory)
    at = factory.LazyFunction(timezone.now)
    kind = Kind.NOTE
    actor_name = "OpenAlert"
    data = factory.LazyFunction(lambda: {"text": "A note."})
