"""What people change on an alert by hand, and how it reads with that.

Title, description and severity are as whoever spoke last said: the next event says them anew. Tags and labels
that were added stay.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from django.db import transaction

from incidents import lifecycle, rooms
from incidents.enums import SEVERITIES, Severity
from incidents.models import Incident
from incidents.timeline import Actor

from .enums import AlertStatus
from .models import Alert, AlertAdditions


def additions_of(alert: Alert) -> AlertAdditions:
    """What was added to it, not saved when that is nothing. Without a query after select_related("additions")."""
    try:
        return alert.additions
    except AlertAdditions.DoesNotExist:
        return AlertAdditions(alert=alert)


def tags_of(alert: Alert) -> list[str]:
    """The tags that came with it, then those that were added, each once."""
    return list(dict.fromkeys([*_own_tags(alert), *additions_of(alert).tags]))


def labels_of(alert: Alert) -> dict[str, str]:
    return {**alert.labels, **additions_of(alert).labels}


def _own_tags(alert: Alert) -> list[str]:
    tags = alert.metadata.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


@contextmanager
def _editing(alert_id: UUID) -> Iterator[tuple[Incident, Alert]]:
    """The alert and its incident, both locked, in the order in which intake locks them; saved at the end."""
    with transaction.atomic():
        of_alert = Alert.objects.filter(pk=alert_id).values_list("incident_id", flat=True)
        incident = lifecycle.lock_one(of_alert.get())
        while of_alert.get() != incident.pk:  # merged while we waited: the alert has gone with it
            incident = lifecycle.lock_one(of_alert.get())
        alert = Alert.objects.select_for_update(no_key=True).get(pk=alert_id)
        yield incident, alert
        alert.save(update_fields=["title", "severity", "labels", "metadata", "updated_at"])
        rooms.publish_incident(incident, "alert.updated")


def set_title(alert_id: UUID, title: str) -> None:
    with _editing(alert_id) as (_, alert):
        alert.title = title


def set_description(alert_id: UUID, description: str) -> None:
    with _editing(alert_id) as (_, alert):
        alert.metadata["description"] = description


def set_severity(alert_id: UUID, severity: Severity, *, priority: str, actor: Actor) -> None:
    """The incident becomes as severe as the worst of its firing alerts. `priority` is the sender's own word."""
    with _editing(alert_id) as (incident, alert):
        alert.severity = severity
        alert.metadata["priority"] = priority
        others = Alert.objects.filter(incident=incident, status=AlertStatus.FIRING).exclude(pk=alert.pk)
        there = set(others.values_list("severity", flat=True).distinct())
        if alert.status == AlertStatus.FIRING:
            worst = next(known for known in SEVERITIES if known in {*there, severity})
            lifecycle.set_severities([(incident, worst)], actor=actor)


def add_tags(alert_id: UUID, tags: Iterable[str]) -> None:
    with _editing(alert_id) as (_, alert):
        added = additions_of(alert)
        added.tags = list(dict.fromkeys([*added.tags, *tags]))
        added.save()


def remove_tags(alert_id: UUID, tags: Iterable[str]) -> None:
    gone = set(tags)
    with _editing(alert_id) as (_, alert):
        if _own_tags(alert):
            alert.metadata["tags"] = [tag for tag in _own_tags(alert) if tag not in gone]
        added = additions_of(alert)
        added.tags = [tag for tag in added.tags if tag not in gone]
        added.save()


def add_labels(alert_id: UUID, labels: Mapping[str, str]) -> None:
    with _editing(alert_id) as (_, alert):
        added = additions_of(alert)
        added.labels = {**added.labels, **labels}
        added.save()


def remove_labels(alert_id: UUID, names: Iterable[str]) -> None:
    gone = set(names)
    with _editing(alert_id) as (_, alert):
        alert.labels = {name: value for name, value in alert.labels.items() if name not in gone}
        added = additions_of(alert)
        added.labels = {name: value for name, value in added.labels.items() if name not in gone}
        added.save()
