"""People and what they own: users, teams, services, and on-call schedules."""

from .duty import CalendarFeed, HandOverNote, Notice, ShiftSwap
from .identities import GroupMapping, Identity
from .people import E164, Membership, Team, TimeZoneNameField, User, UserManager, validate_time_zone
from .schedules import (
    Calendar,
    CalendarEvent,
    Fallback,
    Layer,
    Override,
    Participant,
    Rows,
    Schedule,
    ScheduleQuerySet,
    grouped,
)
from .second_factors import RecoveryCode, SecondFactor
from .services import (
    LONGEST_WINDOW_MINUTES,
    USUAL_WINDOW_MINUTES,
    Service,
    ServiceDependency,
    TeamOwnedQuerySet,
)
from .tokens import ApiToken

__all__ = [
    "E164",
    "LONGEST_WINDOW_MINUTES",
    "USUAL_WINDOW_MINUTES",
    "ApiToken",
    "Calendar",
    "CalendarEvent",
    "CalendarFeed",
    "Fallback",
    "GroupMapping",
    "HandOverNote",
    "Identity",
    "Layer",
    "Membership",
    "Notice",
    "Override",
    "Participant",
    "RecoveryCode",
    "Rows",
    "Schedule",
    "ScheduleQuerySet",
    "SecondFactor",
    "Service",
    "ServiceDependency",
    "ShiftSwap",
    "Team",
    "TeamOwnedQuerySet",
    "TimeZoneNameField",
    "User",
    "UserManager",
    "grouped",
    "validate_time_zone",
]
