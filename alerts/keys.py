"""Which integration a key opens, remembered by each process and checked again by every batch.

What a process remembers is checked where it matters: the batch that stores alerts reads each integration's
stamp in its own transaction. So a key that was rotated, an integration that was switched off, edited or
deleted is heeded by the very next alert, whoever changed it and however.
"""

from collections import OrderedDict
from collections.abc import Iterable

from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from openalert import sql

from .exceptions import IntegrationDisabled, UnknownKey, WrongSource
from .models import Integration

MOST_REMEMBERED = 10_000

# xmin is the transaction that last wrote a row.
STAMP = "concat_ws('.', alerts_integration.xmin, teams_service.xmin, teams_team.xmin)"
# The lock keeps the integration from being deleted before its alerts are stored.
STAMPS = (
    f"SELECT alerts_integration.id::text, {STAMP} "  # noqa: S608
    "FROM alerts_integration "
    "JOIN teams_service ON teams_service.id = alerts_integration.service_id "
    "JOIN teams_team ON teams_team.id = teams_service.team_id "
    "WHERE alerts_integration.id = ANY(%s::uuid[]) "
    "ORDER BY alerts_integration.id FOR KEY SHARE OF alerts_integration"
)


class IntegrationChanged(Exception):
    """An integration is not what the process remembers, or gone: look its key up again."""


def authenticate(key: str, source: str | None = None) -> Integration:
    """The integration that the key opens, service and team loaded. `source`: the format that it must speak.

    The key is looked up by its hash, so the time it takes tells nothing about the keys that exist. Raises
    UnknownKey, IntegrationDisabled, WrongSource.
    """
    hashed = Integration.hash_key(key)
    integration = (
        Integration.objects.select_related("service__team")
        .annotate(stamp=RawSQL(STAMP, []))  # noqa: S611
        .filter(Q(key_hash=hashed) | Q(old_key_hash=hashed, old_key_until__gt=timezone.now()))
        .first()
    )
    if integration is None:
        raise UnknownKey
    if integration.key_hash != hashed:
        integration.key_ends_at = integration.old_key_until
    check(integration, source)
    return integration


def check(integration: Integration, source: str | None) -> None:
    """Raises UnknownKey when it was looked up by an old key that has ended since, IntegrationDisabled, WrongSource."""
    if integration.key_ends_at is not None and timezone.now() >= integration.key_ends_at:
        raise UnknownKey
    if not integration.is_enabled:
        raise IntegrationDisabled
    if source is not None and integration.source != source:
        raise WrongSource(f"This key is of an integration for {integration.get_source_display()}.")


def hold(integrations: Iterable[Integration]) -> None:
    """Keep the integrations from being deleted until the transaction ends.

    Raises IntegrationChanged when one is gone, or is not as it was when its key was looked up.
    """
    held = {integration.id_text: integration for integration in integrations}
    stamps = dict(sql.fetch(STAMPS, [sql.as_array(held)]))
    for integration_id, integration in held.items():
        stamp = stamps.get(integration_id)
        if stamp is None or integration.stamp not in ("", stamp):
            raise IntegrationChanged(f"{integration} has changed")


class KeyCache:
    """The keys that one process has seen. To be used from one thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Integration] = OrderedDict()

    def get(self, key: str) -> Integration | None:
        return self._known.get(key)

    def remember(self, key: str, integration: Integration) -> None:
        self._known[key] = integration
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, key: str) -> None:
        self._known.pop(key, None)
