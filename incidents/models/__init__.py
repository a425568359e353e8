"""What the incidents app keeps."""

from .filter import SavedFilter
from .incident import (
    NUMBER_SEQUENCE,
    DoneAction,
    Incident,
    IncidentQuerySet,
    LiveEvent,
    TimelineEntry,
    ToldOnCall,
)
from .postmortem import ActionItem, Postmortem, PostmortemRevision
from .report import ReportSchedule, ReportSent
from .response import IncidentLink, IncidentTask, ResponseSettings, RoleAssignment
from .updates import Stakeholder, StatusUpdate, Subscription

__all__ = [
    "NUMBER_SEQUENCE",
    "ActionItem",
    "DoneAction",
    "Incident",
    "IncidentLink",
    "IncidentQuerySet",
    "IncidentTask",
    "LiveEvent",
    "Postmortem",
    "PostmortemRevision",
    "ReportSchedule",
    "ReportSent",
    "ResponseSettings",
    "RoleAssignment",
    "SavedFilter",
    "Stakeholder",
    "StatusUpdate",
    "Subscription",
    "TimelineEntry",
    "ToldOnCall",
]
