"""Who acknowledged first, and when, of the incidents that are there already: their timelines know it."""

from django.db import migrations

BATCH = 5_000

NEXT = "SELECT id FROM incidents_incident WHERE id > %s ORDER BY id LIMIT %s"
FILL = """
UPDATE incidents_incident i
SET first_acknowledged_at = coalesce(first.at, i.acknowledged_at),
    first_acknowledged_by_id = CASE WHEN first.at IS NULL THEN i.acknowledged_by_id ELSE first.actor_id END
FROM incidents_incident same
LEFT JOIN LATERAL (
    SELECT t.at, t.actor_id FROM incidents_timelineentry t
    WHERE t.incident_id = same.id AND t.kind = 'acknowledged' ORDER BY t.id LIMIT 1
) first ON true
WHERE same.id = i.id AND i.id = ANY(%s) AND i.first_acknowledged_at IS NULL
    AND (first.at IS NOT NULL OR i.acknowledged_at IS NOT NULL)
"""


def fill(apps, schema_editor):
    """In batches, each its own transaction: incidents are being written meanwhile. Doing it again does no harm."""
    last = "00000000-0000-0000-0000-000000000000"
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(NEXT, [last, BATCH])
            ids = [row[0] for row in cursor.fetchall()]
            if not ids:
                return
            cursor.execute(FILL, [ids])
            last = ids[-1]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("incidents", "0008_reports")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop, elidable=True)]
