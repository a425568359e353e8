"""The tables of the alerts app, a module for each matter."""

from .additions import AlertAdditions
from .alert import Alert
from .change import Change
from .flap import Flap
from .heartbeat import Heartbeat
from .integration import KEY_LENGTH, Integration
from .maintenance import MaintenanceWindow
from .move import AlertMove
from .rule import HeldAlert, IntegrationRule

__all__ = [
    "KEY_LENGTH",
    "Alert",
    "AlertAdditions",
    "AlertMove",
    "Change",
    "Flap",
    "Heartbeat",
    "HeldAlert",
    "Integration",
    "IntegrationRule",
    "MaintenanceWindow",
]
