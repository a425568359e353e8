from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # incidents go on being opened while the indexes are made

    dependencies = [("incidents", "0003_merging")]

    operations = [
        AddIndexConcurrently(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("merged_into__isnull", False)),
                fields=["merged_into"],
                name="incident_by_merged_into",
            ),
        ),
        AddIndexConcurrently(
            model_name="incident",
            index=models.Index(
                condition=models.Q(("merged_into__isnull", False)),
                fields=["service", "grouping_key"],
                name="incident_merged_group",
            ),
        ),
    ]
