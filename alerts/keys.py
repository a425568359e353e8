"""Which integration a key opens."""

from .exceptions import IntegrationDisabled, UnknownKey, WrongSource
from .models import Integration


def authenticate(key: str, source: str | None = None) -> Integration:
    """The integration that the key opens, service and team loaded. `source`: the format that it must speak.

    The key is looked up by its hash, so the time it takes tells nothing about the keys that exist. Raises
    UnknownKey, IntegrationDisabled, WrongSource.
    """
    integration = (
        Integration.objects.select_related("service__team").filter(key_hash=Integration.hash_key(key)).first()
    )
    if integration is None:
        raise UnknownKey
    if not integration.is_enabled:
        raise IntegrationDisabled
    if source is not None and integration.source != source:
        raise WrongSource(f"This key is of an integration for {integration.get_source_display()}.")
    return integration
