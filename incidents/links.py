"""How incidents hang together: what relates to, is caused by or is a duplicate of another. A link changes nothing else."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from teams.models import User

from . import lifecycle, timeline
from .enums import Kind, LinkKind
from .exceptions import LinkedWithItself
from .models import Incident, IncidentLink, TimelineEntry
from .timeline import Actor


@dataclass(frozen=True)
class Linked:
    """Another incident, what the first one is to it in words, and the last note about it when it is over."""

    link_id: UUID
    words: str
    incident: Incident
    note: str = ""


def links_of(incident: Incident, *, user: User) -> list[Linked]:
    """Both ways, as far as `user` may see the others, in the order of linking. Three queries at most."""
    links = list(IncidentLink.objects.filter(Q(incident=incident) | Q(other=incident)))
    if not links:
        return []
    others = {
        other.pk: other
        for other in Incident.objects.visible_to(user)
        .filter(pk__in=[_end(link, incident) for link in links])
        .select_related("service")
    }
    over = [other.pk for other in others.values() if other.is_resolved]
    notes = TimelineEntry.objects.filter(incident__in=over, kind=Kind.NOTE).order_by("incident_id", "-pk")
    last = {note.incident_id: note.data["text"] for note in notes.distinct("incident_id")} if over else {}
    return [
        Linked(link.pk, words_of(link, incident), others[end], last.get(end, ""))
        for link in links
        if (end := _end(link, incident)) in others
    ]


def words_of(link: IncidentLink, incident: Incident) -> str:
    kind = LinkKind(link.kind)
    return str(kind.label) if link.incident_id == incident.pk else kind.inverse


def _end(link: IncidentLink, incident: Incident) -> UUID:
    return link.other_id if link.incident_id == incident.pk else link.incident_id


@transaction.atomic
def link(*, incident_id: UUID, other_id: UUID, kind: LinkKind, actor: Actor) -> IncidentLink:
    """Both timelines tell of it. Repeating it changes nothing. Raises LinkedWithItself."""
    if incident_id == other_id:
        raise LinkedWithItself(field="other")
    found = {incident.pk: incident for incident in lifecycle.lock([incident_id, other_id])}
    incident, other = found[incident_id], found[other_id]
    there = IncidentLink.objects.filter(incident=incident, other=other, kind=kind)
    if kind == LinkKind.RELATES_TO:  # it has no direction
        there |= IncidentLink.objects.filter(incident=other, other=incident, kind=kind)
    if known := there.first():
        return known
    made = IncidentLink.objects.create(incident=incident, other=other, kind=kind)
    _record(Kind.LINKED, incident, other, kind, actor)
    return made


@transaction.atomic
def unlink(*, link_id: UUID, actor: Actor) -> None:
    """Repeating it changes nothing."""
    link = IncidentLink.objects.filter(pk=link_id).first()
    if link is None:
        return
    found = {incident.pk: incident for incident in lifecycle.lock([link.incident_id, link.other_id])}
    if IncidentLink.objects.filter(pk=link_id).delete()[0]:
        incident, other = found[link.incident_id], found[link.other_id]
        _record(Kind.UNLINKED, incident, other, LinkKind(link.kind), actor)


def _record(kind: Kind, incident: Incident, other: Incident, link: LinkKind, actor: Actor) -> None:
    timeline.record_all(
        timeline.entry(one, kind, actor=actor, link=link, is_other=one is other, numbers=[two.number])
        for one, two in ((incident, other), (other, incident))
    )
