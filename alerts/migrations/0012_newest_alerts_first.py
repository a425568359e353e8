from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0011_alerts_of_incidents_in_order"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="alert",
            options={"ordering": ["-id"]},
        ),
    ]
