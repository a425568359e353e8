"""Integrations are made, and get new keys."""

from uuid import UUID

from django.db import transaction

from .models import Integration


def create_integration(integration: Integration) -> str:
    """Save a new, validated integration and return its key: the only time it can be seen."""
    key = integration.set_key()
    integration.save(force_insert=True)
    return key


@transaction.atomic
def rotate_key(integration_id: UUID) -> str:
    """Give it a new key and return it, the only time it can be seen. The old one is void at once."""
    integration = Integration.objects.select_for_update().get(pk=integration_id)
    key = integration.set_key()
    integration.save(update_fields=["key_hash", "key_hint", "updated_at"])
    return key
