"""What the escalations app adds to the list of incidents."""

from collections.abc import Sequence
from uuid import UUID

from django.utils.html import format_html
from django.utils.safestring import SafeString

from incidents import parts
from incidents.models import Incident
from openalert.templatetags.piece_tags import countdown

from .enums import RunStatus
from .models import EscalationRun


def connect() -> None:
    parts.notes.append(paging_of)


def paging_of(incidents: Sequence[Incident]) -> dict[UUID, SafeString]:
    """For incidents that nobody has answered: when the next step is due, or that nobody else will be paged."""
    unanswered = [incident for incident in incidents if incident.needs_paging]
    newest = EscalationRun.objects.filter(incident__in=unanswered).order_by("incident_id", "-created_at")
    runs = {run.incident_id: run for run in newest.distinct("incident_id")}
    return {incident.pk: _note(runs.get(incident.pk)) for incident in unanswered}


def _note(run: EscalationRun | None) -> SafeString:
    if run and run.due_at:
        return format_html("next step {}", countdown(run.due_at))
    words = "nobody answered" if run and run.status == RunStatus.EXHAUSTED else "nobody is paged"
    return format_html('<strong class="tinted" data-tone="danger">{}</strong>', words)
