from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0010_key_rotation"),
        ("incidents", "0005_flapping"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="alert",
            name="alert_by_incident",
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(fields=["incident", "status", "id"], name="alert_by_incident"),
        ),
    ]
