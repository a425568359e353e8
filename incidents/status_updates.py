"""Status updates: what those are told who do not work on an incident.

One is written with its timeline entry, and receivers of `status_updates_published` write the mails in the same
transaction (notifications.letters): what is published is sent, and once.
"""

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from . import lifecycle, signals, timeline
from .enums import Kind, UpdateState
from .exceptions import EmptyText
from .models import Incident, StatusUpdate
from .timeline import Actor


@transaction.atomic
def publish(*, incident_id: UUID, state: UpdateState, text: str, actor: Actor) -> StatusUpdate:
    """Tell subscribers. It changes nothing about the incident, not even with the state “resolved”. Raises EmptyText."""
    text = text.strip()
    if not text:
        raise EmptyText(field="text")
    incident = lifecycle.lock_one(incident_id)
    update = StatusUpdate.objects.create(
        incident=incident, state=state, text=text, author=actor.user, author_name=actor.name[:160]
    )
    timeline.record(incident, Kind.STATUS_UPDATE, actor=actor, state=state, text=text)
    signals.status_updates_published.send(sender=StatusUpdate, updates=[update])
    return update


def updates_of(incident: Incident) -> QuerySet[StatusUpdate]:
    """The newest first."""
    return StatusUpdate.objects.filter(incident=incident).select_related("author").order_by("-created_at")
