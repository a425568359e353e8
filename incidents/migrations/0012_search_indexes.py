import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.fields.json
import django.db.models.functions.text
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # incidents go on being opened while the indexes are made

    dependencies = [("incidents", "0011_saved_filters")]

    operations = [
        AddIndexConcurrently(
            model_name="incident",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector("title", config="english"),
                name="incident_title_words",
            ),
        ),
        AddIndexConcurrently(
            model_name="timelineentry",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.search.SearchVector(
                    django.db.models.fields.json.KeyTextTransform("text", "data"), config="english"
                ),
                condition=models.Q(("kind", "note")),
                name="timeline_note_words",
            ),
        ),
        AddIndexConcurrently(
            model_name="timelineentry",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Upper(
                        django.db.models.fields.json.KeyTextTransform("text", "data")
                    ),
                    name="gin_trgm_ops",
                ),
                condition=models.Q(("kind", "note")),
                name="timeline_note_trigram",
            ),
        ),
    ]
