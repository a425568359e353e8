from django.db import migrations

TO_SECONDS = "UPDATE escalations_escalationstep SET delay_seconds = delay_minutes * 60"
TO_MINUTES = "UPDATE escalations_escalationstep SET delay_minutes = delay_seconds / 60"
# The others are over, and no worker looks for them.
LANES_OF_RUNNING = """
UPDATE escalations_escalationrun r SET lane = s.team_id
FROM incidents_incident i JOIN teams_service s ON s.id = i.service_id
WHERE i.id = r.incident_id AND r.due_at IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("escalations", "0002_complete_engine"),
        ("incidents", "0006_escalation_kinds"),
        ("teams", "0002_service_dependencies"),
    ]

    operations = [
        migrations.RunSQL(TO_SECONDS, TO_MINUTES),
        migrations.RunSQL(LANES_OF_RUNNING, migrations.RunSQL.noop),
    ]
