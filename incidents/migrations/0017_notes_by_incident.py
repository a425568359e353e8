from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # incidents go on being told of while the index is made

    dependencies = [("incidents", "0016_live_news_at_once")]

    operations = [
        AddIndexConcurrently(
            model_name="timelineentry",
            index=models.Index(
                condition=models.Q(("kind", "note")),
                fields=["incident"],
                name="timeline_note_by_incident",
            ),
        ),
    ]
