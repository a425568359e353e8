"""How many of an incident's alerts fired when: the small chart above them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate

from django.utils import timezone

from incidents.models import Incident
from openalert import sql

COLUMNS = 48
HEIGHT = 40
MOST_READ = 2_500
SHORTEST = timedelta(minutes=1)
SHORTEST_BAR = 2

# From either end of the index, so that an incident with a million alerts is read no longer than another.
SPANS = """
(SELECT a.first_fired_at, NULL::timestamptz FROM alerts_alert a
 WHERE a.incident_id = %s AND a.status = 'firing' ORDER BY a.id DESC LIMIT %s)
UNION ALL
(SELECT a.first_fired_at, a.resolved_at FROM alerts_alert a
 WHERE a.incident_id = %s AND a.status = 'resolved' ORDER BY a.id DESC LIMIT %s)
"""


@dataclass(frozen=True)
class Bar:
    """`x` and `width` are per cent, `y` and `height` pixels."""

    x: float
    width: float
    y: float
    height: float
    starts_at: datetime
    firing: int


@dataclass(frozen=True)
class Activity:
    bars: Sequence[Bar]
    starts_at: datetime
    ends_at: datetime
    most: int
    height: int = HEIGHT


def activity_of(incident: Incident, *, now: datetime | None = None) -> Activity | None:
    """Of the newest alerts; None for a single one, of which the list says as much."""
    now = now or timezone.now()
    rows = sql.fetch(SPANS, [incident.id_text, MOST_READ, incident.id_text, MOST_READ])
    if len(rows) < 2:
        return None
    spans = [(first, max(first, end or now)) for first, end in rows]
    starts_at = min(first for first, _ in spans)
    length = max(max(end for _, end in spans) - starts_at, SHORTEST)
    width = length / COLUMNS
    counts = [0] * (COLUMNS + 1)
    # Where each begins and ends; what is in between follows by adding up.
    for first, end in spans:
        counts[min(int((first - starts_at) / width), COLUMNS - 1)] += 1
        counts[min(int((end - starts_at) / width), COLUMNS - 1) + 1] -= 1
    firing = list(accumulate(counts[:COLUMNS]))
    most = max(firing)
    bars = [
        _bar(place, total, most, starts_at + width * place) for place, total in enumerate(firing) if total
    ]
    return Activity(bars, starts_at, starts_at + length, most)


def _bar(place: int, total: int, most: int, starts_at: datetime) -> Bar:
    height = max(round(HEIGHT * total / most, 1), SHORTEST_BAR)
    step = 100 / COLUMNS
    return Bar(round(step * place, 3), round(step * 0.8, 3), HEIGHT - height, height, starts_at, total)
