"""Flapping: a problem that ends and begins again and again must not page somebody each time.

Counted is how often a problem's end also ended its incident. From the FLAPS_FROM-th time within WINDOW on, the incident
is kept open until the problem has been quiet for QUIET: what fires meanwhile belongs to the same incident, which has
been paged already. The timeline says so.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from incidents import lifecycle, timeline
from incidents.enums import Kind
from incidents.models import Incident
from openalert import sql
from openalert.ids import uuid7_texts

from . import store
from .models import Flap
from .problems import Problem

FLAPS_FROM = 4
WINDOW = timedelta(hours=1)
QUIET = timedelta(minutes=10)
BATCH = 200

COUNT = """
INSERT INTO alerts_flap AS f (id, created_at, updated_at, integration_id, dedup_key, incident, ends, since)
SELECT id, %(now)s, %(now)s, integration, key, incident, 1, %(now)s
FROM json_to_recordset(%(ended)s::json) AS k(id uuid, integration uuid, key text, incident uuid)
ORDER BY integration, key
ON CONFLICT (integration_id, dedup_key) DO UPDATE SET
    ends = CASE WHEN f.since >= %(window)s THEN f.ends + 1 ELSE 1 END,
    since = CASE WHEN f.since >= %(window)s THEN f.since ELSE excluded.since END,
    settles_at = CASE WHEN f.since >= %(window)s AND f.ends + 1 >= %(enough)s THEN %(settles_at)s::timestamptz END,
    incident = excluded.incident, updated_at = %(now)s
RETURNING incident::text, ends
"""


def incidents_to_keep(ended: dict[Incident, list[Problem]], *, now: datetime) -> set[str]:
    """The ids of those incidents whose end has to wait, as one of the problems that ended with them flaps.

    The incidents' rows are locked. Counts the ends, and tells the timelines. A fixed number of statements.
    """
    problems = [(problem, incident) for incident, found in ended.items() for problem in found]
    if not problems:
        return set()
    rows = [
        {
            "id": flap_id,
            "integration": problem.arrival.integration.id_text,
            "key": problem.event.dedup_key,
            "incident": incident.id_text,
        }
        for flap_id, (problem, incident) in zip(uuid7_texts(len(problems)), problems, strict=True)
    ]
    given = {
        "now": now,
        "ended": sql.as_json(rows),
        "window": now - WINDOW,
        "enough": FLAPS_FROM,
        "settles_at": now + QUIET,
    }
    often: dict[str, int] = {}
    for incident_id, ends in sql.fetch(COUNT, given):
        if ends >= FLAPS_FROM:
            often[incident_id] = max(ends, often.get(incident_id, 0))
    _tell([incident for incident in ended if incident.id_text in often], often, now=now)
    return set(often)


def _tell(incidents: Sequence[Incident], often: dict[str, int], *, now: datetime) -> None:
    """Once for each incident."""
    told = set(
        timeline.TimelineEntry.objects.filter(incident__in=incidents, kind=Kind.FLAPPING).values_list(
            "incident_id", flat=True
        )
    )
    timeline.record_all(
        timeline.entry(
            incident,
            Kind.FLAPPING,
            at=now,
            ends=often[incident.id_text],
            quiet_minutes=int(QUIET.total_seconds() // 60),
        )
        for incident in incidents
        if incident.pk not in told
    )


@transaction.atomic
def settle(now: datetime | None = None) -> int:
    """Resolve a batch of incidents whose flapping problems have been quiet; safe from any number of workers.

    Also forgets counts that are too old to matter. Returns how many incidents.
    """
    now = now or timezone.now()
    settled = list(
        Flap.objects.select_for_update(skip_locked=True)
        .filter(settles_at__lte=now)
        .order_by("settles_at")[:BATCH]
    )
    Flap.objects.filter(pk__in=[flap.pk for flap in settled]).update(settles_at=None, updated_at=now)
    concerned: set[UUID] = {flap.incident for flap in settled}
    waiting = set(
        Flap.objects.filter(incident__in=concerned, settles_at__gt=now).values_list("incident", flat=True)
    )
    incidents = lifecycle.lock(concerned - waiting)
    firing = store.still_firing(incident.id_text for incident in incidents)
    over = [
        incident
        for incident in incidents
        if incident.id_text not in firing
        and incident.service.resolves_with_alerts
        and not incident.is_resolved
    ]
    lifecycle.resolve_locked(over, actor=timeline.SYSTEM)
    old = Flap.objects.filter(settles_at=None, since__lt=now - WINDOW)[:BATCH]
    Flap.objects.filter(pk__in=[flap.pk for flap in old]).delete()
    return len(over)
