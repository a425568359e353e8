"""Past incidents like this one, and what ended them: PostgreSQL's trigram similarity of titles."""

from dataclasses import dataclass

from django.contrib.postgres.search import TrigramSimilarity
from django.db.models import Case, IntegerField, Value, When
from django.db.models.functions import Upper

from teams.models import User

from .enums import Kind, Status
from .models import Incident, TimelineEntry

MOST = 5
# Of the newest that are like it at all, the most alike are shown.
CANDIDATES = 200
LEAST_ALIKE = 0.45


@dataclass(frozen=True)
class Similar:
    incident: Incident
    alike: float  # 0 to 1
    note: TimelineEntry | None  # the last that was written about it

    @property
    def percent(self) -> int:
        return round(self.alike * 100)


def similar_to(incident: Incident, *, user: User) -> list[Similar]:
    """Resolved ones that `user` may see, of the same service first, then the most alike. Two queries."""
    visible = Incident.objects.visible_to(user).filter(status=Status.RESOLVED, merged_into=None)
    # “%” is what the trigram index answers; UPPER as the index has it.
    alike = visible.exclude(pk=incident.pk).annotate(upper=Upper("title"))
    alike = alike.filter(upper__trigram_similar=incident.title.upper())
    newest = alike.order_by("-pk").values("pk")[:CANDIDATES]
    is_elsewhere = Case(
        When(service=incident.service_id, then=Value(0)), default=Value(1), output_field=IntegerField()
    )
    ranked = (
        Incident.objects.filter(pk__in=newest)
        .annotate(alike=TrigramSimilarity(Upper("title"), incident.title.upper()))
        .filter(alike__gte=LEAST_ALIKE)
        .select_related("service__team", "resolved_by")
        .order_by(is_elsewhere, "-alike", "-opened_at")
    )
    found = list(ranked[:MOST])
    notes = TimelineEntry.objects.filter(incident__in=found, kind=Kind.NOTE).order_by("incident_id", "-pk")
    last = {note.incident_id: note for note in notes.distinct("incident_id")}
    return [Similar(other, other.alike, last.get(other.pk)) for other in found]
