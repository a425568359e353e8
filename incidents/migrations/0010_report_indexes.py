from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # incidents go on being opened while the indexes are made

    dependencies = [("incidents", "0009_first_acknowledged")]

    operations = [
        AddIndexConcurrently(
            model_name="incident",
            index=models.Index(
                fields=["-opened_at", "-id"],
                include=(
                    "service",
                    "severity",
                    "status",
                    "first_acknowledged_at",
                    "first_acknowledged_by",
                    "resolved_at",
                    "merged_into",
                ),
                name="incident_reported",
            ),
        ),
        AddIndexConcurrently(
            model_name="timelineentry",
            index=models.Index(
                condition=models.Q(
                    ("kind__in", ["escalation_exhausted", "nobody_to_page", "page_failed", "flapping"])
                ),
                fields=["at"],
                name="timeline_reported",
            ),
        ),
    ]
