from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # the index is made beside what is written

    dependencies = [("notifications", "0010_pages_by_month")]

    operations = [
        AddIndexConcurrently(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("purpose", "page"), ("status", "sent")),
                fields=["sent_at"],
                name="notification_pages_sent",
            ),
        ),
    ]
