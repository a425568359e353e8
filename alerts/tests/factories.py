"""Rows of the alerts app for tests. They are written as they are: no correlation, no paging."""

from datetime import timedelta

import factory
from django.utils import timezone

from alerts.enums import AlertStatus, Repeats
from alerts.models import (
    Alert,
    Change,
    Heartbeat,
    HeldAlert,
    Integration,
    IntegrationRule,
    MaintenanceSeries,
    MaintenanceWindow,
)
from incidents.enums import Severity
from incidents.tests.factories import IncidentFactory
from teams.tests.factories import ServiceFactory, TeamFactory


class IntegrationFactory(factory.django.DjangoModelFactory):
    """An integration whose plain key is its attribute `key`."""

    class Meta:
        model = Integration

    service = factory.SubFactory(ServiceFactory)
    name = factory.Sequence(lambda n: f"Integration {n}")

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        key = kwargs.pop("key", None)
        integration = model_class(*args, **kwargs)
        integration.key = integration.set_key(key)
        integration.save()
        return integration


class AlertFactory(factory.django.DjangoModelFactory):
    """A firing alert of an open incident, its integration in the incident's service."""

    class Meta:
        model = Alert

    incident = factory.SubFactory(IncidentFactory)
    integration = factory.SubFactory(IntegrationFactory, service=factory.SelfAttribute("..incident.service"))
    dedup_key = factory.Sequence(lambda n: f"alert-{n}")
    title = factory.Sequence(lambda n: f"Alert {n}")
    severity = Severity.HIGH
    first_fired_at = factory.LazyFunction(timezone.now)
    last_fired_at = factory.SelfAttribute("first_fired_at")
    resolved_at = factory.LazyAttribute(
        lambda alert: timezone.now() if alert.status == AlertStatus.RESOLVED else None
    )
    status = AlertStatus.FIRING


class HeartbeatFactory(factory.django.DjangoModelFactory):
    """A heartbeat of ten minutes that has not pinged yet."""

    class Meta:
        model = Heartbeat

    integration = factory.SubFactory(IntegrationFactory)
    name = factory.Sequence(lambda n: f"Heartbeat {n}")


class ChangeFactory(factory.django.DjangoModelFactory):
    """A change that was made just now."""

    class Meta:
        model = Change

    integration = factory.SubFactory(IntegrationFactory)
    summary = factory.Sequence(lambda n: f"Deployed build {n}")
    at = factory.LazyFunction(timezone.now)


class RuleFactory(factory.django.DjangoModelFactory):
    """A rule that drops what comes from staging; give the second of an integration its position."""

    class Meta:
        model = IntegrationRule

    integration = factory.SubFactory(IntegrationFactory)
    name = factory.Sequence(lambda n: f"Rule {n}")
    conditions = factory.LazyFunction(lambda: [{"test": "equals", "field": "labels.env", "value": "staging"}])
    actions = factory.LazyFunction(lambda: [{"do": "drop"}])


class MaintenanceWindowFactory(factory.django.DjangoModelFactory):
    """The hour that has just begun, for all services of the team; `services` is a list of some of them."""

    class Meta:
        model = MaintenanceWindow
        skip_postgeneration_save = True

    team = factory.SubFactory(TeamFactory)
    title = factory.Sequence(lambda n: f"Maintenance {n}")
    starts_at = factory.LazyFunction(timezone.now)
    ends_at = factory.LazyAttribute(lambda window: window.starts_at + timedelta(hours=1))

    @factory.post_generation
    def services(self, create, extracted, **kwargs):
        self.services.set(extracted or [])


class MaintenanceSeriesFactory(factory.django.DjangoModelFactory):
    """Every week from tomorrow on, for an hour; without its windows."""

    class Meta:
        model = MaintenanceSeries
        skip_postgeneration_save = True

    team = factory.SubFactory(TeamFactory)
    title = factory.Sequence(lambda n: f"Series {n}")
    repeats = Repeats.WEEKLY
    starts_at = factory.LazyFunction(lambda: timezone.now() + timedelta(days=1))
    duration = timedelta(hours=1)

    @factory.post_generation
    def services(self, create, extracted, **kwargs):
        self.services.set(extracted or [])


class HeldAlertFactory(factory.django.DjangoModelFactory):
    """It began to fire just now, and becomes an alert in five minutes."""

    class Meta:
        model = HeldAlert

    integration = factory.SubFactory(IntegrationFactory)
    dedup_key = factory.Sequence(lambda n: f"held-{n}")
    event = factory.LazyAttribute(
        lambda held: {
            "dedup_key": held.dedup_key,
            "status": "firing",
            "title": f"About {held.dedup_key}",
            "severity": "high",
            "name": "Held",
            "source": "db1",
            "labels": {"env": "prod"},
            "metadata": {},
            "by": "",
        }
    )
    wait = timedelta(minutes=5)
    firing_since = factory.LazyFunction(timezone.now)
    last_fired_at = factory.SelfAttribute("firing_since")
    due_at = factory.LazyAttribute(lambda held: held.firing_since + held.wait)
