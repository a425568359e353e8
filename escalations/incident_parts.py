"""What the escalations app adds to the list of incidents."""

from collections.abc import Sequence
from uuid import UUID

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from incidents import parts
from incidents.models import Incident

from .models import EscalationRun


def connect() -> None:
    parts.notes.append(paging_of)


def paging_of(incidents: Sequence[Incident]) -> dict[UUID, SafeString]:
    """For incidents that nobody has answered: when the next step is due, or that nobody else will be paged."""
    unanswered = [incident for incident in incidents if incident.needs_paging]
    newest = EscalationRun.objects.filter(incident__in=unanswered).order_by("incident_id", "-created_at")
    runs = {run.incident_id: run for run in newest.distinct("incident_id")}
    return {
        incident.pk: render_to_string("escalations/_row_note.html", {"run": runs.get(incident.pk)})
        for incident in unanswered
    }
