"""Providers for the tests of the outbox, transports, webhooks and answers."""

import pytest

from notifications.enums import Channel
from notifications.transports import TRANSPORTS

from . import fault_table
from .provider import LOOPBACK, running_provider
from .recorder import Recorder


@pytest.fixture
def provider(monkeypatch):
    """Email goes to a Recorder."""
    recorder = Recorder()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    return recorder


@pytest.fixture
def web():
    """A provider that listens on this machine; whether we may go there is the settings' to say."""
    with running_provider() as provider:
        yield provider


@pytest.fixture
def reachable(settings):
    """Addresses on this machine are allowed, as an administrator may allow networks."""
    settings.OUTGOING_ALLOWED_NETWORKS = LOOPBACK


def pytest_terminal_summary(terminalreporter):
    """What the fault tests have found."""
    if lines := fault_table.lines():
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
