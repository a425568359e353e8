"""Choices of the incidents app and the table of allowed transitions."""

from django.db import models


class Severity(models.TextChoices):
    CRITICAL = "critical", "Critical"
    HIGH = "high", "High"
    MEDIUM = "medium", "Medium"
    LOW = "low", "Low"

    @property
    def rank(self) -> int:
        """0 for critical to 3 for low: what is paged first, and how lists are sorted."""
        return SEVERITIES.index(self)

    @property
    def urgency(self) -> "Urgency":
        return Urgency.HIGH if self.rank <= Severity.HIGH.rank else Urgency.LOW


SEVERITIES = list(Severity)


class Urgency(models.TextChoices):
    """Which of a person's notification rules apply: high for critical and high, low for the rest."""

    HIGH = "high", "High urgency (critical and high incidents)"
    LOW = "low", "Low urgency (medium and low incidents)"


class Status(models.TextChoices):
    OPEN = "open", "Open"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    SNOOZED = "snoozed", "Snoozed"
    RESOLVED = "resolved", "Resolved"


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.OPEN: frozenset({Status.ACKNOWLEDGED, Status.SNOOZED, Status.RESOLVED}),
    Status.ACKNOWLEDGED: frozenset({Status.OPEN, Status.SNOOZED, Status.RESOLVED}),
    Status.SNOOZED: frozenset({Status.OPEN, Status.ACKNOWLEDGED, Status.SNOOZED, Status.RESOLVED}),
    Status.RESOLVED: frozenset({Status.OPEN}),
}


class ActorKind(models.TextChoices):
    USER = "user", "A person"
    INTEGRATION = "integration", "An integration"
    SYSTEM = "system", "OpenAlert"


class Kind(models.TextChoices):
    """What a timeline entry tells. The values are also the live events' names."""

    OPENED = "opened", "Opened"
    ALERT_ADDED = "alert_added", "Alert added"
    ALERT_REFIRED = "alert_refired", "Alert fired again"
    ALERT_RESOLVED = "alert_resolved", "Alert resolved"
    FLAPPING = "flapping", "Comes and goes"
    ACKNOWLEDGED = "acknowledged", "Acknowledged"
    UNACKNOWLEDGED = "unacknowledged", "Put back to open"
    ACKNOWLEDGEMENT_EXPIRED = "acknowledgement_expired", "Acknowledgement ran out"
    SNOOZED = "snoozed", "Snoozed"
    WOKEN = "woken", "Snooze ended"
    RESOLVED = "resolved", "Resolved"
    REOPENED = "reopened", "Reopened"
    MERGED_INTO = "merged_into", "Merged into another incident"
    MERGED = "merged", "Another incident merged into it"
    UNMERGED = "unmerged", "Taken out of another incident again"
    UNMERGED_FROM = "unmerged_from", "An incident was taken out of it again"
    SPLIT_OFF = "split_off", "Alerts split off into another incident"
    SPLIT_FROM = "split_from", "Split off from another incident"
    LINKED = "linked", "Linked with another incident"
    UNLINKED = "unlinked", "Link with another incident taken away"
    UPSTREAM_OPEN = "upstream_open", "Incident of a service that it depends on"
    SEVERITY_CHANGED = "severity_changed", "Severity changed"
    NOTE = "note", "Note"
    SUMMARY_CHANGED = "summary_changed", "Summary changed"
    STATUS_UPDATE = "status_update", "Status update"
    ROLE_ASSIGNED = "role_assigned", "Role assigned"
    ROLE_FREED = "role_freed", "Role given up"
    TASK_ADDED = "task_added", "Task added"
    TASK_CHANGED = "task_changed", "Task changed"
    TASK_DONE = "task_done", "Task done"
    TASK_REOPENED = "task_reopened", "Task to be done again"
    TASK_REMOVED = "task_removed", "Task removed"
    POSTMORTEM_STARTED = "postmortem_started", "Postmortem started"
    POSTMORTEM_MOVED = "postmortem_moved", "State of the postmortem changed"
    ACTION_ITEM_ADDED = "action_item_added", "Action item added"
    ACTION_ITEM_MOVED = "action_item_moved", "State of an action item changed"
    REASSIGNED = "reassigned", "Reassigned"
    ESCALATION_STARTED = "escalation_started", "Escalation started"
    REROUTED = "rerouted", "Another policy is in charge"
    PAGING_WAITS = "paging_waits", "Paging waits"
    ESCALATED = "escalated", "Escalated by hand"
    STEP_REACHED = "step_reached", "Escalation step"
    ESCALATION_EXHAUSTED = "escalation_exhausted", "Escalation ended without an answer"
    NOBODY_TO_PAGE = "nobody_to_page", "Nobody to page"
    PAGE_SENT = "page_sent", "Page sent"
    PAGE_RECEIPT = "page_receipt", "What became of a page"
    PAGE_FAILED = "page_failed", "Page failed"


class UpdateState(models.TextChoices):
    """Where an incident stands, as those are told who do not work on it."""

    INVESTIGATING = "investigating", "Investigating"
    IDENTIFIED = "identified", "Identified"
    MONITORING = "monitoring", "Monitoring"
    RESOLVED = "resolved", "Resolved"


class LinkKind(models.TextChoices):
    """What an incident is to the one that it is linked with."""

    RELATES_TO = "relates_to", "relates to"
    CAUSED_BY = "caused_by", "caused by"
    DUPLICATE_OF = "duplicate_of", "duplicate of"

    @property
    def inverse(self) -> str:
        """What the other one is to the incident."""
        return {
            LinkKind.RELATES_TO: "relates to",
            LinkKind.CAUSED_BY: "caused",
            LinkKind.DUPLICATE_OF: "duplicated by",
        }[self]


class PostmortemState(models.TextChoices):
    DRAFT = "draft", "Draft"
    IN_REVIEW = "in_review", "In review"
    PUBLISHED = "published", "Published"


class ActionItemState(models.TextChoices):
    OPEN = "open", "Open"
    IN_PROGRESS = "in_progress", "In progress"
    DONE = "done", "Done"
    DROPPED = "dropped", "Dropped"

    @property
    def is_over(self) -> bool:
        return self in (ActionItemState.DONE, ActionItemState.DROPPED)


class ReportKind(models.TextChoices):
    """What a mailed report covers, up to the minute at which it is made."""

    DAILY = "daily", "Daily report"
    WEEKLY = "weekly", "Weekly report"

    @property
    def days(self) -> int:
        return 1 if self == ReportKind.DAILY else 7


class Recipients(models.TextChoices):
    MANAGERS = "managers", "The team's managers"
    RESPONDERS = "responders", "The team's managers and responders"
    EVERYBODY = "everybody", "All of the team"
    NOBODY = "nobody", "Only the addresses below"
