"""Answers to incidents' facts: an incident takes its alerts with it."""

from typing import Any

from django.db.models import Exists, OuterRef
from django.utils import timezone

from incidents import signals
from incidents.models import Incident
from openalert import sql

from . import maintenance_announcements, noise, upstream
from .enums import AlertStatus
from .models import Alert
from .signals import maintenance_windows_changed

# Locked in the order in which intake locks them. There may be a storm's worth.
MOVE = """
WITH locked AS MATERIALIZED (
    SELECT id FROM alerts_alert WHERE incident_id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
)
UPDATE alerts_alert a SET incident_id = %s, updated_at = %s FROM locked WHERE a.id = locked.id
"""
# Where they come from, in case the merge is undone.
REMEMBER = """
INSERT INTO alerts_alertmove (alert_id, incident_id)
SELECT id, incident_id FROM alerts_alert WHERE incident_id = ANY(%s::uuid[]) ON CONFLICT DO NOTHING
"""


def connect() -> None:
    signals.incidents_opened.connect(tell_of_upstream)
    signals.incidents_resolved.connect(close_alerts)
    signals.incidents_reopened.connect(take_alerts_back)
    signals.incidents_merged.connect(move_alerts)
    maintenance_windows_changed.connect(maintenance_announcements.tell_changed)


def tell_of_upstream(incidents: list[Incident], **kwargs: Any) -> None:
    """Perhaps they are symptoms: their timelines say so."""
    upstream.tell_of_upstream(incidents)


def close_alerts(incidents: list[Incident], **kwargs: Any) -> None:
    """The problem is over: its alerts are closed, and what fires from now on is a new problem."""
    now = timezone.now()
    alerts = Alert.objects.filter(incident__in=incidents, is_current=True)
    # In the order in which intake locks them.
    ids = list(alerts.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    Alert.objects.filter(pk__in=ids, status=AlertStatus.FIRING).update(
        status=AlertStatus.RESOLVED, resolved_at=now, is_current=False, updated_at=now
    )
    Alert.objects.filter(pk__in=ids, is_current=True).update(is_current=False, updated_at=now)


def take_alerts_back(incidents: list[Incident], **kwargs: Any) -> None:
    """The incident goes on: events with its alerts' keys come to it again, unless a newer alert has them."""
    newer = Alert.objects.filter(
        integration=OuterRef("integration"), dedup_key=OuterRef("dedup_key"), is_current=True
    )
    latest = (
        Alert.objects.filter(incident__in=incidents)
        .filter(~Exists(newer))
        .order_by("integration_id", "dedup_key", "-last_fired_at")
        .distinct("integration_id", "dedup_key")
        .values_list("pk", "first_fired_at")
    )
    began = dict(latest)
    noise.forget_months(began.values())
    Alert.objects.filter(pk__in=list(began)).update(is_current=True, updated_at=timezone.now())


def move_alerts(incidents: list[Incident], target: Incident, **kwargs: Any) -> None:
    """The incidents go on in `target`: their alerts, the current ones too, are its own from now on."""
    sources = sql.as_array(incident.id_text for incident in incidents)
    sql.execute(REMEMBER, [sources])
    sql.execute(MOVE, [sources, target.pk, timezone.now()])
