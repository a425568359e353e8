"""Tags and filters of the pages of incidents."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from incidents import markdown
from incidents.enums import Kind
from openalert.templatetags.piece_tags import icon

register = template.Library()

# kind → tone and icon in the timeline; the others are changes like any
LOOKS = {
    Kind.OPENED: ("high", "incidents"),
    Kind.ALERT_ADDED: ("neutral", "bell"),
    Kind.ALERT_REFIRED: ("neutral", "bell"),
    Kind.ALERT_RESOLVED: ("success", "bell-off"),
    Kind.FLAPPING: ("medium", "refresh"),
    Kind.ACKNOWLEDGED: ("acknowledged", "eye"),
    Kind.UNACKNOWLEDGED: ("high", "reopen"),
    Kind.ACKNOWLEDGEMENT_EXPIRED: ("high", "reopen"),
    Kind.SNOOZED: ("neutral", "moon"),
    Kind.WOKEN: ("high", "sun"),
    Kind.RESOLVED: ("success", "check"),
    Kind.REOPENED: ("high", "reopen"),
    Kind.MERGED_INTO: ("success", "merge"),
    Kind.MERGED: ("success", "merge"),
    Kind.UNMERGED: ("info", "route"),
    Kind.UNMERGED_FROM: ("info", "route"),
    Kind.SPLIT_OFF: ("info", "route"),
    Kind.SPLIT_FROM: ("info", "route"),
    Kind.LINKED: ("neutral", "link"),
    Kind.UNLINKED: ("neutral", "link"),
    Kind.UPSTREAM_OPEN: ("info", "route"),
    Kind.NOTE: ("neutral", "note"),
    Kind.STATUS_UPDATE: ("info", "send"),
    Kind.ROLE_ASSIGNED: ("neutral", "users"),
    Kind.ROLE_FREED: ("neutral", "users"),
    Kind.TASK_DONE: ("success", "check"),
    Kind.REASSIGNED: ("neutral", "reassign"),
    Kind.ESCALATION_STARTED: ("info", "play"),
    Kind.REROUTED: ("high", "route"),
    Kind.PAGING_WAITS: ("neutral", "moon"),
    Kind.ESCALATED: ("info", "escalate"),
    Kind.STEP_REACHED: ("info", "escalate"),
    Kind.ESCALATION_EXHAUSTED: ("danger", "error"),
    Kind.NOBODY_TO_PAGE: ("danger", "error"),
    Kind.PAGE_SENT: ("info", "send"),
    Kind.PAGE_RECEIPT: ("info", "send"),
    Kind.PAGE_FAILED: ("danger", "warning"),
}


@register.filter
def as_markdown(text: str) -> SafeString:
    return markdown.as_html(text)


@register.simple_tag
def timeline_icon(kind: str) -> SafeString:
    """What stands before an entry of the timeline."""
    tone, name = LOOKS.get(kind, ("neutral", "edit"))  # type: ignore[call-overload]  # a Kind is equal to its value
    return format_html('<span class="timeline-icon" data-tone="{}">{}</span>', tone, icon(name))
