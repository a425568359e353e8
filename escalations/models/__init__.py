"""The tables of the escalations app, a module for each matter."""

from .policy import EscalationPolicy, EscalationStep, RoundRobinTurn, StepTarget
from .routing import PagingSettings, RoutingRule
from .run import EscalationRun

__all__ = [
    "EscalationPolicy",
    "EscalationRun",
    "EscalationStep",
    "PagingSettings",
    "RoundRobinTurn",
    "RoutingRule",
    "StepTarget",
]
