from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0005_transports"),
    ]

    operations = [
        # What people were paged by until now is known to reach them.
        migrations.RunSQL(
            "UPDATE notifications_contactmethod SET verified_at = created_at WHERE verified_at IS NULL",
            migrations.RunSQL.noop,
        ),
    ]
