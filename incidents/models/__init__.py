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
from .report import ReportSchedule, ReportSent

__all__ = [
    "NUMBER_SEQUENCE",
    "DoneAction",
    "Incident",
    "IncidentQuerySet",
    "LiveEvent",
    "ReportSchedule",
    "ReportSent",
    "SavedFilter",
    "TimelineEntry",
    "ToldOnCall",
]
