"""Reads over several tables."""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from openalert import sql

# In a storm an incident has many thousands of alerts, of the same labels mostly.
MOST_LOOKED_AT = 100

LABELS = """
SELECT i.id, (a.labels || coalesce(d.labels, '{}'))::text
FROM unnest(%s::uuid[]) AS i (id)
CROSS JOIN LATERAL (
    SELECT id, labels FROM alerts_alert WHERE incident_id = i.id ORDER BY status, id LIMIT %s
) AS a
LEFT JOIN alerts_alertadditions d ON d.alert_id = a.id
"""


def labels_of_incidents(incident_ids: Iterable[UUID]) -> dict[UUID, list[dict[str, str]]]:
    """The labels of each incident's alerts, with those that were added by hand; one query.

    A hundred alerts of each are looked at: those that fire before those that do not, the oldest first.
    """
    found: dict[UUID, list[dict[str, str]]] = {}
    for incident_id, labels in sql.fetch(LABELS, [sql.as_array(map(str, incident_ids)), MOST_LOOKED_AT]):
        found.setdefault(incident_id, []).append(msgspec.json.decode(labels))
    return found
