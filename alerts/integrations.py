"""Integrations are made, changed, given new keys, and removed."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from openalert import audit, sql

from . import samples
from .models import Integration

KEY_FIELDS = ("key_hash", "key_hint", "key_rotated_at", "old_key_hash", "old_key_hint", "old_key_until")
# How long an old key may work on after a rotation, in hours.
OVERLAPS = {
    0: "is void at once",
    1: "works for another hour",
    24: "works for another day",
    168: "works for another week",
}
# In the order in which intake and the incidents' transitions lock them. There may be very many, which the ORM would
# load one and all.
REMOVE_ALERTS = """
WITH gone AS MATERIALIZED (
    SELECT id FROM alerts_alert WHERE integration_id = %s AND first_fired_at > '1970-01-02+00' ORDER BY id FOR UPDATE
), additions AS (
    DELETE FROM alerts_alertadditions d WHERE d.alert_id IN (SELECT id FROM gone)
)
DELETE FROM alerts_alert a USING gone WHERE a.id = gone.id
"""


def create_integration(integration: Integration) -> str:
    """Save a new, validated integration and return its key: the only time it can be seen."""
    key = integration.set_key()
    integration.save(force_insert=True)
    audit.secret_shown(integration, "integration key")
    return key


@transaction.atomic
def change_integration(
    integration_id: UUID, *, settings: dict[str, Any] | None = None, **fields: Any
) -> Integration:
    """Set validated `fields`, and those of the `settings` that are given: each stands for one format's.

    What other fields and settings were changed to meanwhile stays. Intake heeds it with the next alert.
    """
    integration = Integration.objects.select_for_update().get(pk=integration_id)
    for name, value in fields.items():
        setattr(integration, name, value)
    integration.settings = {**integration.settings, **(settings or {})}
    integration.save(update_fields=[*fields, "settings", "updated_at"])
    return integration


@transaction.atomic
def rotate_key(integration_id: UUID, *, overlap: timedelta = timedelta(0)) -> str:
    """Give it a new key and return it, the only time it can be seen.

    The old one works on for the `overlap`, without one it is void at once; the one before that is void in any case.
    """
    integration = Integration.objects.select_for_update().get(pk=integration_id)
    now = timezone.now()
    if overlap:
        integration.old_key_hash, integration.old_key_hint = integration.key_hash, integration.key_hint
        integration.old_key_until = now + overlap
    else:
        integration.forget_old_key()
    key = integration.set_key()
    integration.key_rotated_at = now
    integration.save(update_fields=[*KEY_FIELDS, "updated_at"])
    audit.secret_shown(integration, "integration key")
    return key


@transaction.atomic
def end_old_key(integration_id: UUID) -> None:
    """The key before the last rotation is void from now on. Doing it again changes nothing."""
    integration = Integration.objects.select_for_update().get(pk=integration_id)
    if integration.old_key_hash is not None:
        integration.forget_old_key()
        integration.save(update_fields=[*KEY_FIELDS, "updated_at"])


@transaction.atomic
def delete_integration(integration_id: UUID) -> None:
    """Remove it with its alerts, changes, rules, heartbeats and samples. Doing it again changes nothing.

    Incidents stay as they are, with their timelines: an open one waits for a person.
    """
    integration = Integration.objects.select_for_update().filter(pk=integration_id).first()
    if integration is None:
        return
    sql.execute(REMOVE_ALERTS, [integration.pk])
    integration.delete()
    transaction.on_commit(partial(samples.forget, integration_id), robust=True)
