from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0009_changes"),
    ]

    operations = [
        migrations.AddField(
            model_name="integration",
            name="key_rotated_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
