"""The tables of the alerts app, a module for each matter."""

from .additions import AlertAdditions
from .alert import Alert
from .change import Change
from .flap import Flap
from .heartbeat import Heartbeat, HeartbeatPing, HeartbeatWatch
from .integration import KEY_LENGTH, Integration
from .maintenance import MaintenanceSeries, MaintenanceWindow
from .move import AlertMove
from .noise import CountedMonth, MonthlyNoise
from .rule import HeldAlert, IntegrationRule

__all__ = [
    "KEY_LENGTH",
    "Alert",
    "AlertAdditions",
    "AlertMove",
    "Change",
    "CountedMonth",
    "Flap",
    "Heartbeat",
    "HeartbeatPing",
    "HeartbeatWatch",
    "HeldAlert",
    "Integration",
    "IntegrationRule",
    "MaintenanceSeries",
    "MaintenanceWindow",
    "MonthlyNoise",
]
