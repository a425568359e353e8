import pytest

from notifications.enums import Channel
from notifications.transports import TRANSPORTS

from .recorder import Recorder


@pytest.fixture
def provider(monkeypatch):
    """Email goes to a Recorder."""
    recorder = Recorder()
    monkeypatch.setitem(TRANSPORTS, Channel.EMAIL, recorder)
    return recorder
