"""The tables of the alerts app, a module for each matter."""

from .alert import Alert
from .integration import KEY_LENGTH, Integration

__all__ = ["KEY_LENGTH", "Alert", "Integration"]
