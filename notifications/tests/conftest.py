"""Providers for the tests of transports, webhooks and answers."""

import pytest

from .provider import LOOPBACK, running_provider


@pytest.fixture
def web():
    """A provider that listens on this machine; whether we may go there is the settings' to say."""
    with running_provider() as provider:
        yield provider


@pytest.fixture
def reachable(settings):
    """Addresses on this machine are allowed, as an administrator may allow networks."""
    settings.OUTGOING_ALLOWED_NETWORKS = LOOPBACK
